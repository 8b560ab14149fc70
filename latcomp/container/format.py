"""The constants and fixed structs of the .lat format, as data: writer, reader, FORMAT.md's test and `stats` all follow
from these lists.

All integers are little-endian. FORMAT.md beside this file explains each of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from latcomp.errors import UsageError

MAGIC = b"\x89LAT\r\n\x1a\n"  # a byte above 127 and both line ends: a transfer in text mode damages it visibly
VERSION = 1
VERSION_REQUIRING = 2
"""Of files whose header requires something of their readers: those of before there was `requires` would ignore it."""
REQUIREMENTS = {
    "first_frames": "a segment's first latent frame stands for the tokenizer's `first_frames` frames: section 4.1",
    "camera": "groups may have camera offsets: section 4.2",
    "steps": "the steps of the channels are those of `steps`, not the tokenizer's own: section 3.3",
    "latents": "the file was made of latents, and only names their tokenizer: section 3.4",
    "adaptive": "tokens are in layout 6, which learns as it goes: section 8.1",
}
"""What a header's `requires` may name: what must be understood to read the file."""


@dataclass(frozen=True)
class Field:
    """One member of a fixed struct."""

    name: str
    code: str
    """Letter of Python's `struct` module: B, H, I, Q unsigned of 1, 2, 4, 8 bytes; q signed of 8; Ns bytes."""
    meaning: str


class Layout:
    """A fixed little-endian struct made of named fields; packs from and unpacks to a dict by name."""

    def __init__(self, *fields: Field) -> None:
        self.fields = fields
        self._struct = struct.Struct("<" + "".join(field.code for field in fields))
        self.size: int = self._struct.size

    def pack(self, **values: int | bytes) -> bytes:
        """The struct's bytes. Raises `UsageError` naming the struct's values when one does not fit its field."""
        try:
            return self._struct.pack(*(values[field.name] for field in self.fields))
        except struct.error as error:
            raise UsageError(f"a number does not fit the .lat format: {error} in {values}") from None

    def unpack(self, data: bytes | bytearray | memoryview, offset: int = 0) -> dict[str, int]:
        """Values by name of the struct at `offset`; the caller has made sure that enough bytes are there."""
        return dict(zip((f.name for f in self.fields), self._struct.unpack_from(data, offset), strict=True))


PRELUDE = Layout(
    Field("magic", "8s", "the magic bytes"),
    Field("version", "H", "format version: 2 where the header's `requires` names something, else 1"),
    Field("header_bytes", "I", "length of the zstd frame that holds the JSON header"),
)
CRC = Layout(Field("crc", "I", "CRC-32 (as in zlib, gzip and PNG)"))

CHUNK_HEAD = Layout(
    Field("type", "4s", "four ASCII letters; a lower-case first letter marks a chunk that may be skipped when unknown"),
    Field("payload_bytes", "I", "length of the payload"),
)

GROUP_CHUNK = b"GRUP"
AUDIO_CHUNK = b"AUDI"
ATTACHMENT_CHUNK = b"atch"
INDEX_CHUNK = b"INDX"
END_CHUNK = b"ENDF"

CHUNK_TYPES = {
    GROUP_CHUNK: "a group: times, keep mask and tokens of up to `group_latent_frames` latent frames",
    AUDIO_CHUNK: "audio packets of one stream, copied",
    ATTACHMENT_CHUNK: "an attachment: an array by name, carried along unchanged",
    INDEX_CHUNK: "where each segment starts",
    END_CHUNK: "the end marker: counts of what was written and the place of the index",
}

GROUP_HEAD = Layout(
    Field("index", "I", "number of the group in the file, from 0"),
    Field("first_frame", "I", "number of the group's first frame in the file, from 0"),
    Field("first_pts", "q", "presentation time of that frame, in `time_base` units"),
    Field("frames", "H", "frames of the group; its last latent frame may stand for fewer than others"),
    Field("latent_frames", "B", "latent frames T of the group, 1 to `group_latent_frames`"),
    Field("flags", "B", "group flags"),
    Field("mask_coding", "B", "mask coding id"),
    Field("token_layout", "B", "token layout id"),
    Field("tokens_kept", "I", "number N of kept tokens: the ones in the keep mask"),
    Field("times_bytes", "H", "length of what follows this struct: camera offsets where the flag says so, then times"),
    Field("mask_bytes", "I", "length of the mask that follows these; the tokens take the rest of the payload"),
    Field(
        "step_adjust",
        "b",
        "steps of the group's tokens in 32nds of an octave over `step_scale`: step_scale x 2^(step_adjust / 32)",
    ),
)

FLAG_KEY = 1
FLAG_LIT = 2
FLAG_CAMERA = 4
GROUP_FLAGS = {
    FLAG_KEY: "key group: starts a segment; every position of its first latent frame is kept",
    FLAG_LIT: "fill by the LIT; otherwise by hold",
    FLAG_CAMERA: "camera offsets stand before the times; otherwise every frame is at the world's corner",
}

INDEX_HEAD = Layout(Field("segments", "I", "number of entries"))
INDEX_ENTRY = Layout(
    Field("group", "I", "number of the key group"),
    Field("first_frame", "I", "number of its first frame"),
    Field("first_pts", "q", "presentation time of that frame"),
    Field(
        "offset", "Q", "where reading starts: the first byte after the group before, so audio in between is included"
    ),
)

END = Layout(
    Field("groups", "I", "number of groups in the file"),
    Field("frames", "I", "number of frames in the file"),
    Field("audio_packets", "I", "number of audio packets in the file"),
    Field("index_offset", "Q", "offset of the index chunk"),
)

AUDIO_HEAD = Layout(
    Field("stream", "B", "number of the audio stream: its place in the header's `audio`"),
    Field("packets", "I", "number of packets, at most 65536"),
)

ATTACHMENT_HEAD = Layout(
    Field("name_bytes", "H", "length of its name, 1 to 1000"),
    Field("dtype", "B", "type id of its numbers"),
    Field("dimensions", "B", "how many numbers its shape has, at most 16"),
)

ATTACHMENT_DTYPES = dict(
    enumerate(
        (
            ("uint8", 1),
            ("int8", 1),
            ("bool", 1),
            ("uint16", 2),
            ("int16", 2),
            ("uint32", 4),
            ("int32", 4),
            ("uint64", 8),
            ("int64", 8),
            ("float16", 2),
            ("bfloat16", 2),
            ("float32", 4),
            ("float64", 8),
            ("float8_e4m3fn", 1),
            ("float8_e5m2", 1),
            ("complex64", 8),
        )
    )
)
"""Of the numbers of an attachment: (name, bytes) by id."""

MASK_ALL, MASK_BITS, MASK_CHANGES, MASK_CONTEXT, MASK_PRIOR = range(5)
MASK_CODINGS = {
    MASK_ALL: "every position is kept; no bytes",
    MASK_BITS: "the bits themselves",
    MASK_CHANGES: "each latent frame's bits XOR those of the latent frame before",
    MASK_CONTEXT: "bits sorted by what their neighbours make likely",
    MASK_PRIOR: "bits under the prior, in step with the tokens",
}

LAYOUT_PLANES, LAYOUT_CONTEXT, LAYOUT_REPEATS, LAYOUT_PRIOR, LAYOUT_MODES, LAYOUT_MODE_CHANGES = range(6)
LAYOUT_ADAPTIVE = 6
LAYOUT_FLOATS, LAYOUT_FLOAT_CHANGES = 16, 17
TOKEN_LAYOUTS = {
    LAYOUT_PLANES: "`int`: symbols by channel",
    LAYOUT_CONTEXT: "`int`: errors of a prediction, sorted by expected size",
    LAYOUT_REPEATS: "`int`: which tokens changed, and these in layout 1",
    LAYOUT_PRIOR: "`int` with a prior: values under the prior",
    LAYOUT_MODES: "`int` with a prior: modes, and whole steps by channel",
    LAYOUT_MODE_CHANGES: "`int` with a prior: modes, and whole steps or their change by channel",
    LAYOUT_ADAPTIVE: "`int`: errors of a prediction that learns as it goes, under a range coder",
    LAYOUT_FLOATS: "`lossless`: bits of the latents by channel and byte",
    LAYOUT_FLOAT_CHANGES: "`lossless`: bits XOR those of the last kept value, by channel and byte",
}

SYMBOL_MIN, SYMBOL_MAX = -(2**15), 2**15 - 1
WINDOW_BYTES_MAX = 8 << 20
