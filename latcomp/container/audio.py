"""Audio packets, copied byte for byte: how a chunk of them is written and read."""

from __future__ import annotations

from dataclasses import dataclass

from latcomp.container.format import AUDIO_HEAD
from latcomp.container.times import PTS_MAX, PTS_MIN
from latcomp.container.varint import VarintReader, put_signed, put_unsigned
from latcomp.errors import DamagedFileError, LatcompError, UsageError

HAS_PTS, HAS_DTS = 1, 2
WHAT = "audio chunk"
PACKETS_MAX = 1 << 16  # of a chunk: a writer makes more chunks of more
FLAG_KEY = 1
UNHEARD_SHIFT, UNHEARD_MAX = 8, 2**32 - 1
NUMBERS_BYTES_MIN = 4  # presence, duration, flags and size take at least a byte each


@dataclass(frozen=True, slots=True)
class AudioPacketBytes:
    """One packet of an audio stream as the source had it."""

    pts: int | None
    """Presentation time in the stream's own time base."""
    dts: int | None
    """Decoding time in the same unit."""
    duration: int
    """Length in the same unit; 0 when unknown."""
    flags: int
    """As `audio_flags` makes them; other bits are kept as they come."""
    data: bytes

    @property
    def is_keyframe(self) -> bool:
        """Whether decoding can begin here."""
        return bool(self.flags & FLAG_KEY)

    @property
    def unheard_samples(self) -> int:
        """Samples at its end that a player throws away."""
        return self.flags >> UNHEARD_SHIFT & UNHEARD_MAX


@dataclass(frozen=True)
class AudioChunk:
    """Successive packets of one audio stream."""

    stream: int
    """Place of the stream in the header's `audio`."""
    packets: tuple[AudioPacketBytes, ...]


def audio_flags(is_keyframe: bool, unheard_samples: int = 0) -> int:
    """The flags of a packet: whether decoding can begin with it, and the samples at its end that a player throws
    away.
    """
    return (FLAG_KEY if is_keyframe else 0) | min(max(unheard_samples, 0), UNHEARD_MAX) << UNHEARD_SHIFT


def _check_numbers(pts: int | None, dts: int | None, duration: int, flags: int, error: type[LatcompError]) -> None:
    if not all(PTS_MIN <= time <= PTS_MAX for time in (pts, dts, duration) if time is not None):
        raise error(f"{WHAT}: a time passes 64 bits")
    if not 0 <= flags < 2**64:
        raise error(f"{WHAT}: flags {flags} are not 64 bits")


def pack_audio(chunk: AudioChunk) -> bytes:
    """Payload of an audio chunk: the numbers of all packets (times as differences), then their bytes in a row."""
    out = bytearray(AUDIO_HEAD.pack(stream=chunk.stream, packets=len(chunk.packets)))
    last = 0
    for packet in chunk.packets:
        _check_numbers(packet.pts, packet.dts, packet.duration, packet.flags, UsageError)
        put_unsigned(out, (HAS_PTS if packet.pts is not None else 0) | (HAS_DTS if packet.dts is not None else 0))
        if packet.pts is not None:
            put_signed(out, packet.pts - last)
            last = packet.pts
        if packet.dts is not None:
            put_signed(out, packet.dts - last)
        put_signed(out, packet.duration)
        put_unsigned(out, packet.flags)
        put_unsigned(out, len(packet.data))
    for packet in chunk.packets:
        out += packet.data
    return bytes(out)


def unpack_audio(payload: bytes | memoryview, streams: int) -> AudioChunk:
    """The packets of an audio chunk's payload; `streams` is how many the header names. Raises `DamagedFileError` on
    anything unfit.
    """
    if len(payload) < AUDIO_HEAD.size:
        raise DamagedFileError(f"{WHAT}: {len(payload)} bytes are too few")
    head = AUDIO_HEAD.unpack(payload)
    if head["stream"] >= streams:
        raise DamagedFileError(f"{WHAT}: stream {head['stream']}, the header names {streams}")
    if head["packets"] > PACKETS_MAX or head["packets"] * NUMBERS_BYTES_MIN > len(payload):
        raise DamagedFileError(f"{WHAT}: {head['packets']} packets in {len(payload)} bytes")
    numbers = VarintReader(payload, WHAT, AUDIO_HEAD.size)
    read: list[tuple[int | None, int | None, int, int, int]] = []
    last = 0
    for _ in range(head["packets"]):
        present = numbers.unsigned()
        if present > (HAS_PTS | HAS_DTS):
            raise DamagedFileError(f"{WHAT}: presence {present}")
        pts = dts = None
        if present & HAS_PTS:
            pts = last = last + numbers.signed()
        if present & HAS_DTS:
            dts = last + numbers.signed()
        duration, flags = numbers.signed(), numbers.unsigned()
        _check_numbers(pts, dts, duration, flags, DamagedFileError)
        read.append((pts, dts, duration, flags, numbers.unsigned()))
    offset = numbers.offset
    if offset + sum(size for *_, size in read) != len(payload):
        raise DamagedFileError(f"{WHAT}: the sizes of its packets do not fill it")
    packets = []
    for pts, dts, duration, flags, size in read:
        packets.append(AudioPacketBytes(pts, dts, duration, flags, bytes(payload[offset : offset + size])))
        offset += size
    return AudioChunk(head["stream"], tuple(packets))
