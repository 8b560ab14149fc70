"""Attachments: arrays that a file carries along unchanged, such as the text embeddings of a training cache."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from latcomp.container.format import ATTACHMENT_DTYPES, ATTACHMENT_HEAD
from latcomp.container.limits import Limits
from latcomp.container.varint import VarintReader, put_unsigned
from latcomp.container.zstd import compress, decompress, verify
from latcomp.errors import DamagedFileError, LimitError, UsageError

WHAT = "attachment"
LEVEL = 6  # most are floats, whose mantissas are noise: higher levels take minutes and save nothing
NAME_BYTES_MAX = 1000
DIMENSIONS_MAX = 16
COUNT_OF_A_FILE = 4096
COUNT_MAX = 2**40
"""Of the numbers that a shape has room for, sides of zero aside."""
PAYLOAD_BYTES_MAX = 64 << 20
"""Of a chunk: readers of before there were attachments skip chunks up to this length."""
_NUMBER = {name: number for number, (name, _) in ATTACHMENT_DTYPES.items()}
_BYTES = dict(ATTACHMENT_DTYPES.values())
_STANDS_FOR = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
"""What NumPy has in place of a type that it does not have: the same bits as whole numbers."""


@dataclass(frozen=True)
class Attachment:
    """One array by name. Raises `UsageError` for what cannot be written."""

    name: str
    """At most 1000 bytes as UTF-8, at least one; no two of a file have the same."""
    dtype: str
    """One of the names in `ATTACHMENT_DTYPES`."""
    shape: tuple[int, ...]
    """At most 16 numbers; none for a single number."""
    data: bytes
    """The numbers, little-endian, the last dimension running fastest."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not 1 <= len(_encoded(self.name)) <= NAME_BYTES_MAX:
            raise UsageError(f"{WHAT} {self.name!r:.60}: a name of 1 to {NAME_BYTES_MAX} bytes is needed")
        if self.dtype not in _BYTES:
            raise UsageError(f"{WHAT} {self.name!r:.60}: type {self.dtype!r:.40} is none of {', '.join(_BYTES)}")
        if len(self.shape) > DIMENSIONS_MAX or any(side < 0 for side in self.shape) or _room(self.shape) > COUNT_MAX:
            raise UsageError(f"{WHAT} {self.name!r:.60}: a shape of {self.shape} cannot be written")
        wanted = math.prod(self.shape) * _BYTES[self.dtype]
        if len(self.data) != wanted:
            raise UsageError(f"{WHAT} {self.name!r:.60}: {len(self.data)} bytes, its shape and type need {wanted}")

    def __repr__(self) -> str:
        return f"Attachment({self.name!r}, {self.dtype} {self.shape}, {len(self.data)} bytes)"

    @classmethod
    def of(cls, name: str, values: np.ndarray, dtype: str | None = None) -> Attachment:
        """That of an array. dtype: where the array holds the bits of a type that NumPy does not have, such as uint16
        for 'bfloat16'; None: the array's own."""
        array = np.asarray(values)
        said = array.dtype.name if dtype is None else dtype
        if array.dtype.kind not in "?biufcV" or (dtype is not None and array.dtype.itemsize != _BYTES.get(said)):
            raise UsageError(f"{WHAT} {name!r:.60}: an array of {array.dtype} cannot be written as {said}")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return cls(name, said, tuple(array.shape), little.tobytes())

    @cached_property
    def array(self) -> np.ndarray:
        """The array, not to be written to; of 'bfloat16' and the types of eight bits that NumPy does not have, their
        bits as uint16 and uint8."""
        kind = np.dtype(_STANDS_FOR.get(self.dtype, self.dtype)).newbyteorder("<")
        return np.frombuffer(self.data, kind).reshape(self.shape)


@dataclass(frozen=True)
class PackedAttachment:
    """One as it stands in a file: what it is, and its numbers as they were compressed."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    frame: bytes | memoryview

    @property
    def bytes_data(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * _BYTES[self.dtype]

    def unpack(self) -> Attachment:
        """The attachment. Raises `DamagedFileError` when its bytes are not what it says that they are."""
        size = self.bytes_data
        if not size:
            self.verify()
            return Attachment(self.name, self.dtype, self.shape, b"")
        planes = np.frombuffer(decompress(self.frame, size, self._what, exactly=size), np.uint8)
        data = planes.reshape(_BYTES[self.dtype], -1).T.tobytes()
        return Attachment(self.name, self.dtype, self.shape, data)

    def verify(self) -> None:
        """Raise what `unpack` raises, without the memory that its numbers take."""
        if self.bytes_data:
            verify(self.frame, self.bytes_data, self._what)
        elif len(self.frame):
            raise DamagedFileError(f"{self._what}: bytes where none belong")

    @property
    def _what(self) -> str:
        return f"{WHAT} {self.name!r:.60}"


def pack_attachment(attachment: Attachment) -> bytes:
    """Payload of a chunk. Raises `LimitError` for one that no reader would accept."""
    name = _encoded(attachment.name)
    most = Limits().max_attachment_bytes
    if len(attachment.data) > most:
        raise LimitError(f"{WHAT} {attachment.name!r:.60}: {len(attachment.data)} bytes, a .lat file holds {most}")
    out = bytearray(
        ATTACHMENT_HEAD.pack(name_bytes=len(name), dtype=_NUMBER[attachment.dtype], dimensions=len(attachment.shape))
    )
    out += name
    for side in attachment.shape:
        put_unsigned(out, side)
    if attachment.data:
        numbers = np.frombuffer(attachment.data, np.uint8).reshape(-1, _BYTES[attachment.dtype])
        out += compress(numbers.T.tobytes(), LEVEL)
    if len(out) > PAYLOAD_BYTES_MAX:
        raise LimitError(
            f"{WHAT} {attachment.name!r:.60} takes {len(out)} bytes compressed, {PAYLOAD_BYTES_MAX} are allowed"
        )
    return bytes(out)


def unpack_attachment(payload: bytes) -> PackedAttachment:
    """What a chunk's payload holds, its numbers still compressed. Raises `DamagedFileError` on anything unfit."""
    if len(payload) < ATTACHMENT_HEAD.size:
        raise DamagedFileError(f"{WHAT}: {len(payload)} bytes are too few")
    head = ATTACHMENT_HEAD.unpack(payload)
    behind = ATTACHMENT_HEAD.size + head["name_bytes"]
    if not 1 <= head["name_bytes"] <= NAME_BYTES_MAX or behind > len(payload):
        raise DamagedFileError(f"{WHAT}: a name of {head['name_bytes']} bytes in {len(payload)}")
    try:
        name = payload[ATTACHMENT_HEAD.size : behind].decode("utf-8")
    except UnicodeDecodeError:
        raise DamagedFileError(f"{WHAT}: its name is not UTF-8") from None
    if head["dtype"] not in ATTACHMENT_DTYPES:
        raise DamagedFileError(f"{WHAT} {name!r:.60}: type {head['dtype']} is not known")
    if head["dimensions"] > DIMENSIONS_MAX:
        raise DamagedFileError(f"{WHAT} {name!r:.60}: {head['dimensions']} dimensions, {DIMENSIONS_MAX} are allowed")
    numbers = VarintReader(payload, WHAT, behind)
    shape = tuple(numbers.unsigned() for _ in range(head["dimensions"]))
    if _room(shape) > COUNT_MAX:
        raise DamagedFileError(f"{WHAT} {name!r:.60}: a shape of {shape!s:.60}")
    return PackedAttachment(name, ATTACHMENT_DTYPES[head["dtype"]][0], shape, payload[numbers.offset :])


class AttachmentCount:
    """What the attachments of a file add up to."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._bytes = limits, 0
        self._names: set[str] = set()

    def add(self, one: PackedAttachment | Attachment) -> None:
        """Count one. Raises `LimitError` when there are too many or too much, `DamagedFileError` for a name that
        another one has."""
        if one.name in self._names:
            raise DamagedFileError(f"{WHAT} {one.name!r:.60} comes twice")
        if len(self._names) == COUNT_OF_A_FILE:
            raise DamagedFileError(f"{WHAT} {one.name!r:.60} is one more than the {COUNT_OF_A_FILE} of a file")
        self._names.add(one.name)
        self._bytes += one.bytes_data if isinstance(one, PackedAttachment) else len(one.data)
        if self._bytes > self._limits.max_attachment_bytes:
            raise LimitError(
                f"{self._bytes} bytes of attachments, {self._limits.max_attachment_bytes} are allowed (raise with "
                "max_attachment_bytes)",
                settings=("max_attachment_bytes",),
            )


def _room(shape: tuple[int, ...]) -> int:
    """How many numbers a shape has room for, sides of zero aside."""
    return math.prod(side for side in shape if side)


def _encoded(name: str) -> bytes:
    """A name as UTF-8; of one that cannot be, nothing."""
    try:
        return name.encode("utf-8")
    except UnicodeEncodeError:
        return b""
