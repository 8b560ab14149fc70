"""Audio that Matroska has no name for but WAV has a number for: G.711, ADPCM, WMA. Matroska holds it as `A_MS/ACM`,
with WAV's head.

FFmpeg writes such tracks, but PyAV refuses to add them. So the track is added as another codec that may bring any
parameters of its own, and its name is put right in the bytes on their way to the file."""

import io
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

from latcomp.errors import DamagedFileError

_WAV_MAGIC = b"RIFF"
_STAND_IN_TAG, STAND_IN_CODEC = 0x50, "mp2"
# A CodecID element, its text as long as the other's (texts may end in zeros).
_STAND_IN = b"\x86\x89A_MPEG/L2"
_ACM = b"\x86\x89A_MS/ACM\0"
_HEAD_BYTES = 16  # of WAV's description of the audio, without its two last parts


def is_wave(setup: bytes) -> bool:
    """Tell whether an audio stream's parameters are the head of a WAV, so that Matroska needs the stand-in."""
    return setup.startswith(_WAV_MAGIC)


def stand_in(setup: bytes) -> bytes:
    """Return the head of a WAV of the stand-in codec, whose parameters are the description of the audio in `setup`.

    DamagedFileError when there is none.
    """
    wave = _description(setup)
    head = struct.pack("<H", _STAND_IN_TAG) + wave[2:_HEAD_BYTES] + struct.pack("<H", len(wave)) + wave
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", len(head)) + head + (b"\0" if len(head) % 2 else b"")
    chunks += b"data" + struct.pack("<I", 0)
    return _WAV_MAGIC + struct.pack("<I", len(chunks)) + chunks


def _description(setup: bytes) -> bytes:
    """Return the WAVEFORMATEX of a WAV's head, with the parameters that it brings."""
    at = 12
    while at + 8 <= len(setup):
        name, size = struct.unpack_from("<4sI", setup, at)
        if name == b"fmt ":
            wave = setup[at + 8 : at + 8 + size]
            if len(wave) < _HEAD_BYTES:
                break
            return wave if len(wave) > _HEAD_BYTES else wave + b"\0\0"
        at += 8 + size + size % 2
    raise DamagedFileError("the parameters of an audio stream cannot be read: a WAV without a description of its audio")


class NamedTarget(io.RawIOBase):
    """What a Matroska file is written through so that its tracks get their right names."""

    def __init__(self, file: BinaryIO, stand_ins: Sequence[bool]) -> None:
        """stand_ins: for each track that is named as the stand-in codec, in order, whether it is one."""
        self._file = file
        self._stand_ins = list(stand_ins)
        self.named = False
        """Whether all names have passed at least once."""
        seekable = getattr(file, "seekable", None)
        self._seekable = bool(seekable is not None and seekable())

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Tell whether the file that is behind this can be moved in."""
        return self._seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move in the file that is behind this."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file that is behind this."""
        return self._file.tell()

    def write(self, data: Any) -> int:
        """Write `data`, its names put right: tracks are written whole, once at the beginning and once more at the
        end.
        """
        given = bytes(data)
        parts = given.split(_STAND_IN)
        if len(parts) == len(self._stand_ins) + 1:
            names = [_ACM if stands_in else _STAND_IN for stands_in in self._stand_ins]
            given = parts[0] + b"".join(name + part for name, part in zip(names, parts[1:], strict=True))
            self.named = True
        self._file.write(given)
        return len(given)

    def flush(self) -> None:
        """Nothing is held back here."""
