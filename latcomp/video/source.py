"""Opens what a video is read from: a path, a seekable file object, or a stream that can be read only once.

An mp4 whose index (`moov`) stands last cannot be read from a stream; it is copied to a temporary file first. For files
with a declared structure this also tells whether the end is missing, which FFmpeg often does not say.
"""

import io
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from latcomp.errors import NotAVideoError
from latcomp.video import ebml, endings

_PEEK_BYTES = 16  # the longest head of an mp4 box
_BEGINNING_BYTES = 512  # holds the EBML header and the head of the segment, and three packets of a transport stream
_MP4_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}


class Source:
    """An opened input: `target` is what PyAV opens, the rest is what can be known of it without decoding."""

    def __init__(self, source: str | Path | BinaryIO) -> None:
        self.label: str
        """What messages call it."""
        self.target: Any
        self.seekable = True
        self._cut_off = False
        self._stream: _Replayed | None = None
        self._owned: list[BinaryIO] = []
        self._random: BinaryIO | None = None  # a file that can be read at any place
        try:
            if isinstance(source, str | Path):
                self._from_path(Path(source))
            else:
                self._from_object(source)
        except BaseException:
            self.close()
            raise

    @property
    def cut_off(self) -> bool:
        """True when the file's own structure says that its end is missing; for a stream known once it has ended."""
        return self._cut_off or (self._stream is not None and self._stream.cut_off)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from a place in the file, nothing for a stream; what reads it meanwhile is not
        disturbed.
        """
        if self._random is None:
            return b""
        before = self._random.tell()
        try:
            self._random.seek(offset)
            return self._random.read(size)
        except (OSError, ValueError):
            return b""
        finally:
            self._random.seek(before)

    def close(self) -> None:
        """Close what this object opened itself; a caller's file object stays open."""
        for file in self._owned:
            file.close()
        self._owned.clear()

    def _from_path(self, path: Path) -> None:
        self.label = str(path)
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise NotAVideoError(f"{self.label}: no such file") from error
        except OSError as error:
            raise NotAVideoError(f"{self.label}: cannot be read: {error.strerror}") from error
        if stat.S_ISDIR(mode):
            raise NotAVideoError(f"{self.label}: is a directory, not a video")
        try:
            file = path.open("rb")
        except OSError as error:
            raise NotAVideoError(f"{self.label}: cannot be read: {error.strerror}") from error
        self._owned.append(file)
        if not stat.S_ISREG(mode):  # a named pipe, /dev/stdin, process substitution
            self._from_stream(file)
            return
        if path.stat().st_size == 0:
            raise NotAVideoError(f"{self.label}: is empty")
        self._cut_off, self._random = _is_cut_off(file), file
        self.target = f"file:{path}"  # the scheme keeps a name with a colon from being taken for a URL

    def _from_object(self, file: BinaryIO) -> None:
        name = getattr(file, "name", None)
        self.label = "standard input" if name in ("<stdin>", 0) else str(name or "the input stream")
        seekable = getattr(file, "seekable", None)
        if seekable is not None and seekable():
            self._cut_off, self._random = _is_cut_off(file), file
            self.target = file
        else:
            self._from_stream(file)

    def _from_stream(self, file: BinaryIO) -> None:
        stream = _Replayed(file)
        if stream.peek(1) == b"":
            raise NotAVideoError(f"{self.label}: is empty")
        if _needs_seeking(stream):
            spool = tempfile.TemporaryFile()
            self._owned.append(spool)
            stream.rewind()
            shutil.copyfileobj(stream, spool, 1 << 20)
            spool.seek(0)
            self._cut_off, self._random = _is_cut_off(spool), spool
            self.target = spool
        else:
            stream.rewind()
            self.target = self._stream = stream
            self.seekable = False


class _Replayed(io.RawIOBase):
    """A read-once stream whose beginning was looked at: `rewind()` puts what was read back in front."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._seen = bytearray()
        self._position = 0
        self._replay = True  # while False, nothing more is kept
        self._structure = _Structure(b"")
        self._ending: endings.Ending | None = None
        self._ended = False

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes from here without moving; fewer only at the end of the stream."""
        while len(self._seen) - self._position < size:
            chunk = self._file.read(size - (len(self._seen) - self._position))
            if not chunk:
                break
            self._seen += chunk
        return bytes(self._seen[self._position : self._position + size])

    def skip(self, size: int) -> bool:
        """Move ahead; False when the stream ends before."""
        moved = len(self.peek(size))
        self._position += moved
        return moved == size

    def rewind(self) -> None:
        """Go back to the start; from here on every byte is handed out once."""
        self._position = 0
        beginning = self.peek(_BEGINNING_BYTES)
        self._structure = _Structure(beginning)
        self._ending = endings.Ending.of(beginning)
        self._replay = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    @property
    def cut_off(self) -> bool:
        """True when the stream has ended before its structure did."""
        return self._ended and (self._structure.unfinished or (self._ending is not None and self._ending.unfinished))

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, fewer only at the end or where the seen part ends."""
        if self._replay:
            raise io.UnsupportedOperation("rewind() comes before read()")
        if self._seen:
            end = len(self._seen) if size < 0 else min(size, len(self._seen))
            chunk = bytes(self._seen[:end])
            del self._seen[:end]
            if size < 0:
                chunk += self._file.read() or b""
        else:
            chunk = self._file.read(size) or b""
        self._structure.feed(chunk)
        if self._ending is not None:
            self._ending.feed(chunk)
        self._ended = self._ended or not chunk
        return chunk


class _Structure:
    """Follows the top-level boxes of an mp4, or the segment of a Matroska file, as its bytes pass by."""

    def __init__(self, beginning: bytes) -> None:
        self._head = bytearray()
        self._left: int | None = None
        """Bytes until the next box begins; None: nothing is known from here on."""
        if beginning.startswith(ebml.MAGIC):
            self._left = _segment_end(lambda offset, size: beginning[offset : offset + size], 0)
        elif beginning[4:8] in _MP4_FIRST_BOXES:
            self._left = 0

    @property
    def unfinished(self) -> bool:
        """True when more bytes were declared than have passed."""
        if self._left is None or self._left > 0:
            return self._left is not None
        head = bytes(self._head)
        return len(head) >= 8 and head[4:8].isalnum() and _box_size(head) > len(head)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        at = 0
        while self._left is not None and at < len(data):
            if self._left > 0:
                step = min(self._left, len(data) - at)
                self._left -= step
            else:
                step = min(_PEEK_BYTES - len(self._head), len(data) - at)
                self._head += data[at : at + step]
                if len(self._head) == _PEEK_BYTES:
                    self._end_of_head()
            at += step

    def _end_of_head(self) -> None:
        size = _box_size(bytes(self._head))
        if size < 8 or not self._head[4:8].isalnum():  # to the end of the file, or no box at all
            self._left = None
        elif size < _PEEK_BYTES:
            del self._head[:size]
        else:
            self._left = size - _PEEK_BYTES
            self._head.clear()


def _needs_seeking(stream: _Replayed) -> bool:
    """Tell whether this is an mp4 or mov whose media data stands before its index."""
    budget = 1 << 20  # boxes before `moov` or `mdat` are tiny
    while budget > 0:
        head = stream.peek(_PEEK_BYTES)
        if len(head) < 8 or head[4:8] not in _MP4_FIRST_BOXES:
            return False
        if head[4:8] in (b"moov", b"moof"):
            return False
        if head[4:8] == b"mdat":
            return True
        size = _box_size(head)
        if size < 8 or size > budget or not stream.skip(size):
            return False
        budget -= size
    return False


def _box_size(head: bytes) -> int:
    """Return the size in bytes of the mp4 box that begins with `head`; 0: it reaches to the end of the file."""
    size = int.from_bytes(head[:4], "big")
    return int.from_bytes(head[8:16], "big") if size == 1 else size


def _is_cut_off(file: BinaryIO) -> bool:
    """Tell whether a seekable mp4, mov or Matroska file is shorter than its structure declares. Leaves it at its
    start.
    """
    start = file.tell()
    length = file.seek(0, io.SEEK_END)

    def read_at(offset: int, size: int) -> bytes:
        file.seek(offset)
        return file.read(size)

    try:
        head = read_at(start, _PEEK_BYTES)
        if head[4:8] in _MP4_FIRST_BOXES:
            return _boxes_pass_the_end(read_at, start, length)
        if head.startswith(ebml.MAGIC):
            end = _segment_end(read_at, start)
            return end is not None and end > length
        return endings.is_cut_off(read_at, start, length)
    finally:
        file.seek(start)


def _boxes_pass_the_end(read_at: Callable[[int, int], bytes], offset: int, length: int) -> bool:
    while offset < length:
        head = read_at(offset, _PEEK_BYTES)
        size = _box_size(head) if len(head) == _PEEK_BYTES else int.from_bytes(head[:4], "big")
        if size < 8:  # 0: to the end of the file; 1 to 7: no box, trailing rubbish
            return False
        offset += size
    return offset > length


def _segment_end(read_at: Callable[[int, int], bytes], offset: int) -> int | None:
    """Return where the segment of a Matroska file ends, None when it does not say (a live stream)."""
    size, used = ebml.read_size(read_at(offset + 4, 8))
    if size is None:
        return None
    offset += 4 + used + size
    if read_at(offset, 4) != ebml.SEGMENT:
        return None
    size, used = ebml.read_size(read_at(offset + 4, 8))
    return None if size is None else offset + 4 + used + size
