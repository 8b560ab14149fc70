"""zstd frames with a bound: the declared size is compared with the expected one before anything is allocated."""

from __future__ import annotations

import zstandard

from latcomp.container.format import WINDOW_BYTES_MAX
from latcomp.errors import DamagedFileError

LEVEL = 19
QUICK_LEVEL = 3
EXPANSION_MAX = 32768
"""Bytes that come of one byte at most: a block of four bytes may repeat a byte 131072 times, and none says more with
less.
"""
VERIFIED_AT_ONCE = 128  # bytes of a frame whose content is only counted: 4 MiB come of them at most


def compress(data: bytes | bytearray | memoryview, level: int = LEVEL) -> bytes:
    """One zstd frame that declares its content size; no zstd checksum, as every chunk has its CRC-32; window at most 8
    MiB.
    """
    size = len(data)
    found = zstandard.ZstdCompressionParameters.from_level(level, source_size=size)
    settings = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=size,
        window_log=min(found.window_log, WINDOW_BYTES_MAX.bit_length() - 1),
        write_content_size=True,
        write_checksum=False,
        threads=0,  # more threads would give other bytes
    )
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def compress_parts(parts: list[bytes]) -> bytes:
    """One zstd frame of parts whose statistics differ: each starts a block of its own, with Huffman tables of its own.

    For packed digits, which hold next to no repeats: a search for them as thorough as usual finds short chance ones
    that cost more than they save (7 %, measured), so only the cheapest search runs, under the parser that weighs best.
    """
    size = sum(len(part) for part in parts)
    settings = zstandard.ZstdCompressionParameters.from_level(
        LEVEL,
        source_size=size,
        strategy=zstandard.STRATEGY_BTOPT,
        min_match=6,
        search_log=1,
        hash_log=6,
        chain_log=6,
        window_log=min(max(size.bit_length(), 17), WINDOW_BYTES_MAX.bit_length() - 1),
        write_content_size=True,
        write_checksum=False,
        threads=0,
    )
    stream = zstandard.ZstdCompressor(compression_params=settings).compressobj(size=size)
    out = bytearray()
    for part in parts:
        if part:
            out += stream.compress(part) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return bytes(out + stream.flush())


def decompress(frame: bytes | memoryview, most: int, what: str, exactly: int | None = None) -> bytes:
    """The content of one zstd frame of at most `most` bytes (or of `exactly` so many).

    Raises `DamagedFileError` naming `what` when the frame declares no size or another one, needs a window above 8 MiB
    or a dictionary, is damaged, or is followed by more bytes."""
    size = _declared_size(frame, most, what, exactly)
    try:
        content = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).decompress(
            frame, max_output_size=max(size, 1), allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise DamagedFileError(f"{what}: damaged zstd frame ({error})") from None
    if len(content) != size:
        raise DamagedFileError(f"{what}: {len(content)} bytes came out of a zstd frame that declares {size}")
    return content


def verify(frame: bytes | memoryview, exactly: int, what: str) -> None:
    """Raise what `decompress` raises, without the memory that its content takes."""
    _declared_size(frame, exactly, what, exactly)
    stream = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).decompressobj()
    size = 0
    try:
        for place in range(0, len(frame), VERIFIED_AT_ONCE):
            if stream.eof:
                raise DamagedFileError(f"{what}: bytes behind its zstd frame")
            size += len(stream.decompress(frame[place : place + VERIFIED_AT_ONCE]))
    except zstandard.ZstdError as error:
        raise DamagedFileError(f"{what}: damaged zstd frame ({error})") from None
    if not stream.eof or stream.unused_data or size != exactly:
        raise DamagedFileError(f"{what}: the zstd frame does not hold exactly the {exactly} bytes that belong there")


def _declared_size(frame: bytes | memoryview, most: int, what: str, exactly: int | None) -> int:
    """The content size that a zstd frame declares; raises what `decompress` does before it allocates anything."""
    try:
        found = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError as error:
        raise DamagedFileError(f"{what}: not a zstd frame ({error})") from None
    size = found.content_size
    if size == zstandard.CONTENTSIZE_UNKNOWN:
        raise DamagedFileError(f"{what}: the zstd frame does not declare its size")
    if size > most or (exactly is not None and size != exactly):
        expected = f"at most {most}" if exactly is None else f"exactly {exactly}"
        raise DamagedFileError(f"{what}: the zstd frame declares {size} bytes, {expected} belong there")
    if size > EXPANSION_MAX * len(frame):
        raise DamagedFileError(f"{what}: a zstd frame of {len(frame)} bytes cannot hold the {size} that it declares")
    if found.dict_id:
        raise DamagedFileError(f"{what}: the zstd frame needs a dictionary")
    if found.window_size > max(WINDOW_BYTES_MAX, 1024):
        raise DamagedFileError(f"{what}: the zstd frame needs a window of {found.window_size} bytes, 8 MiB are allowed")
    return size
