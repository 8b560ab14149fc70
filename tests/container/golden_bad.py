"""Small damaged and hostile files with the exit code of `latcomp check` for each, made by `python -m
tests.container.golden_bad`.

Files that are there are never replaced: a reader of today must refuse what an earlier one refused, with the same code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import zstandard

from latcomp.cli import exit_codes as codes
from latcomp.container import Attachment, Header
from latcomp.container.attachments import pack_attachment
from latcomp.container.format import END, GROUP_HEAD, INDEX_HEAD, MAGIC, PRELUDE
from latcomp.container.header import pack_header
from latcomp.container.index import pack_index, unpack_index
from latcomp.container.times import encode_times
from latcomp.container.varint import pack_signed
from tests.container.make import groups, of_latents, prior, sized, under, written
from tests.container.make_camera import camera_groups, moving, there_and_back
from tests.fuzz.mutate import placed
from tests.fuzz.seal import front_of, sealed, split_chunks, split_front

FOLDER = Path(__file__).parent / "golden" / "bad"
MANIFEST = FOLDER / "manifest.json"

OF = sized(2, 3, 2, group_latent_frames=2)
GOOD = written(OF, groups(OF, 4, last_frames=3))
FRONT, REST = split_front(GOOD)
CHUNKS = split_chunks(REST)
FIRST = {"requires": ["first_frames"]}
GROUPS_AT = [place for place, (kind, _) in enumerate(CHUNKS) if kind == b"GRUP"]


def joined(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A file of these chunks, each with a right CRC-32."""
    return FRONT + b"".join(sealed(*chunk) for chunk in chunks)


def with_chunk(place: int, payload: bytes, kind: bytes | None = None) -> bytes:
    """The file with another payload of one chunk."""
    return joined([*CHUNKS[:place], (kind or CHUNKS[place][0], payload), *CHUNKS[place + 1 :]])


def with_head(which: int, **changes: int) -> bytes:
    """The file with other numbers in a group's head."""
    payload = CHUNKS[GROUPS_AT[which]][1]
    head = {**GROUP_HEAD.unpack(payload), **changes}
    return with_chunk(GROUPS_AT[which], GROUP_HEAD.pack(**head) + payload[GROUP_HEAD.size :])


def with_header(version: int = 1, **changes: object) -> bytes:
    """A file of a version whose header has other members."""
    return front_of(json.dumps({**OF.to_dict(), **changes}).encode(), version) + REST


def with_tokens(frame: bytes) -> bytes:
    """The file whose first group has these bytes as its tokens, in layout 0, with every position kept."""
    payload = CHUNKS[GROUPS_AT[0]][1]
    head = GROUP_HEAD.unpack(payload)
    times = payload[GROUP_HEAD.size : GROUP_HEAD.size + head["times_bytes"]]
    changes = {"mask_coding": 0, "mask_bytes": 0, "token_layout": 0, "tokens_kept": 12}
    return with_chunk(GROUPS_AT[0], GROUP_HEAD.pack(**{**head, **changes}) + times + frame)


def bad() -> Iterator[tuple[str, int, bytes]]:
    """(name, exit code, bytes) of every file."""
    first = len(FRONT) + sum(len(payload) + 12 for _, payload in CHUNKS[: GROUPS_AT[0]])
    end = dict(END.unpack(CHUNKS[-1][1]))
    tokenizer = dict(OF.tokenizer)
    yield "empty", codes.DAMAGED, b""
    yield "text", codes.DAMAGED, b"not a .lat file\n"
    yield "only-magic", codes.DAMAGED, MAGIC
    yield "line-ends-changed", codes.DAMAGED, GOOD.replace(b"\r\n", b"\n", 1)
    # refused with code 5 until there was a version 2: its checksum is that of version 1
    yield "version-2", codes.DAMAGED, MAGIC + struct.pack("<H", 2) + GOOD[10:]
    yield "version-3", codes.UNSUPPORTED, MAGIC + struct.pack("<H", 3) + GOOD[10:]
    yield "version-2-requires-nothing", codes.DAMAGED, with_header(2)
    yield (
        "version-1-requires-something",
        codes.DAMAGED,
        with_header(tokenizer={**tokenizer, "first_frames": 1}, **FIRST),
    )
    yield "requires-the-unknown", codes.UNSUPPORTED, with_header(2, requires=["first_frames", "telepathy"])
    yield "first-frames-not-required", codes.DAMAGED, with_header(tokenizer={**tokenizer, "first_frames": 1})
    yield "first-frames-required-and-missing", codes.DAMAGED, with_header(2, **FIRST)
    yield "first-frames-5-of-4", codes.DAMAGED, with_header(2, tokenizer={**tokenizer, "first_frames": 5}, **FIRST)
    yield (
        "first-frames-of-other-groups",
        codes.DAMAGED,
        with_header(2, tokenizer={**tokenizer, "first_frames": 1}, **FIRST),
    )
    yield from camera()
    yield from steps_and_latents()
    yield from attachments()
    yield from adaptive()
    yield "header-cut", codes.DAMAGED, GOOD[: len(FRONT) // 2]
    yield "header-bit", codes.DAMAGED, GOOD[:40] + bytes([GOOD[40] ^ 4]) + GOOD[41:]
    yield "header-4-gigabytes", codes.LIMIT, PRELUDE.pack(magic=MAGIC, version=1, header_bytes=2**32 - 1) + bytes(20)
    yield "header-no-json", codes.DAMAGED, front_of(b"{width: 8") + REST
    yield "header-no-object", codes.DAMAGED, front_of(b"[1, 2]") + REST
    yield "header-deep", codes.DAMAGED, front_of(b"[" * 5000) + REST
    yield "header-nan", codes.DAMAGED, front_of(b'{"width": NaN}') + REST
    yield "header-negative-width", codes.DAMAGED, with_header(width=-8)
    yield "header-unknown-coding", codes.UNSUPPORTED, with_header(coding="wavelets")
    yield "header-300-streams", codes.DAMAGED, with_header(audio=[{}] * 300)
    yield "huge-frame", codes.LIMIT, with_header(width=1 << 20, height=1 << 20)
    yield "huge-grid", codes.LIMIT, with_header(width=8000, height=4000, tokenizer={**tokenizer, "spatial": 1})
    yield "huge-tokens", codes.LIMIT, with_header(width=8000, height=2000, tokenizer={**tokenizer, "channels": 65536})
    yield "unknown-prior", codes.UNSUPPORTED, pack_header(under(OF, prior(2))) + REST
    yield "cut-in-a-group", codes.DAMAGED, GOOD[: first + 50]
    yield "no-end", codes.DAMAGED, joined(CHUNKS[:-1])
    yield "bytes-behind", codes.DAMAGED, GOOD + b"more"
    yield "group-bit", codes.DAMAGED, GOOD[: first + 60] + bytes([GOOD[first + 60] ^ 1]) + GOOD[first + 61 :]
    yield "chunk-type-lost", codes.DAMAGED, GOOD[:first] + b"\0\0\0\0" + GOOD[first + 4 :]
    yield "chunk-length-4-gigabytes", codes.DAMAGED, GOOD[: first + 4] + b"\xff" * 4 + GOOD[first + 8 :]
    yield "group-missing", codes.DAMAGED, joined(CHUNKS[: GROUPS_AT[1]] + CHUNKS[GROUPS_AT[1] + 1 :])
    yield "group-twice", codes.DAMAGED, joined([*CHUNKS[: GROUPS_AT[1]], CHUNKS[GROUPS_AT[0]], *CHUNKS[GROUPS_AT[1] :]])
    yield "groups-swapped", codes.DAMAGED, joined([CHUNKS[place] for place in (2, 3, 0, 1, *range(4, len(CHUNKS)))])
    yield "unknown-critical-chunk", codes.UNSUPPORTED, joined([(b"NEWS", b"x"), *CHUNKS])
    yield "unknown-mask-coding", codes.UNSUPPORTED, with_head(0, mask_coding=9)
    yield "unknown-layout", codes.UNSUPPORTED, with_head(0, token_layout=9)
    yield "unknown-flag", codes.UNSUPPORTED, with_head(0, flags=128)
    yield "no-key-group-first", codes.DAMAGED, with_head(0, flags=0)
    yield "too-many-tokens", codes.DAMAGED, with_head(0, tokens_kept=2**32 - 1)
    yield (
        "one-token-less",
        codes.DAMAGED,
        with_head(1, tokens_kept=GROUP_HEAD.unpack(CHUNKS[GROUPS_AT[1]][1])["tokens_kept"] - 1),
    )
    yield "mask-longer-than-payload", codes.DAMAGED, with_head(0, mask_bytes=2**32 - 1)
    yield "frames-65535", codes.DAMAGED, with_head(0, frames=65535)
    yield "frame-number-4-billion", codes.LIMIT, with_head(3, first_frame=2**32 - 9)
    yield "many-frames-lost", codes.LIMIT, with_head(3, index=2**24, first_frame=2**26)
    yield "token-bomb", codes.DAMAGED, with_tokens(zstandard.ZstdCompressor(level=19).compress(bytes(64 << 20)))
    yield "token-frame-cut", codes.DAMAGED, with_tokens(zstandard.compress(bytes(24))[:-2])
    yield "token-bytes-behind", codes.DAMAGED, with_tokens(zstandard.compress(bytes(24)) + b"x")
    yield (
        "index-billion",
        codes.DAMAGED,
        with_chunk(len(CHUNKS) - 2, INDEX_HEAD.pack(segments=10**9) + CHUNKS[-2][1][4:]),
    )
    yield (
        "index-of-another-file",
        codes.DAMAGED,
        with_chunk(len(CHUNKS) - 2, CHUNKS[-2][1][:4] + zstandard.compress(bytes(48))),
    )
    yield (
        "end-of-more-groups",
        codes.DAMAGED,
        with_chunk(len(CHUNKS) - 1, END.pack(**{**end, "groups": 5, "frames": end["frames"] + 4})),
    )
    yield "end-of-4-billion-frames", codes.LIMIT, with_chunk(len(CHUNKS) - 1, END.pack(**{**end, "frames": 2**32 - 1}))
    yield "audio-billion-packets", codes.DAMAGED, with_chunk(0, struct.pack("<BI", 0, 10**9) + bytes(20), b"AUDI")
    yield "audio-stream-9", codes.DAMAGED, with_chunk(0, struct.pack("<BI", 9, 0), b"AUDI")
    # refused since files without frames are
    yield "unknown-optional-chunk", codes.DAMAGED, GOOD[: len(FRONT)] + sealed(b"note", b"hello") + audio_only()
    yield "optional-chunk-beside-groups", codes.DONE, with_note()
    yield "no-frames", codes.DAMAGED, written(OF, [], sound=False)
    yield (
        "index-elsewhere",
        codes.DAMAGED,
        with_chunk(len(CHUNKS) - 1, END.pack(**{**end, "index_offset": end["index_offset"] - 5})),
    )


def camera() -> Iterator[tuple[str, int, bytes]]:
    """(name, exit code, bytes) of files with camera offsets."""
    of = moving(2, 3, 2, group_latent_frames=2, audio=[])
    good = written(of, camera_groups(of, 4, there_and_back, 1, 3), sound=False)
    front, rest = split_front(good)
    chunks = split_chunks(rest)
    payload = chunks[1][1]
    head = GROUP_HEAD.unpack(payload)
    size = GROUP_HEAD.size
    behind = payload[size + head["times_bytes"] :]
    line = encode_times(list(range(head["frames"])))

    def with_front(offsets: bytes, **changes: int) -> bytes:
        """The file whose second group has these bytes as its offsets."""
        numbers = {**head, "times_bytes": len(offsets + line), **changes}
        made = GROUP_HEAD.pack(**numbers) + offsets + line + behind
        return front + b"".join(sealed(*one) for one in [chunks[0], (b"GRUP", made), *chunks[2:]])

    yield "camera", codes.DONE, good
    yield "camera-not-required", codes.UNSUPPORTED, pack_header(replace(of, requires=())) + rest
    yield "camera-flag-lost", codes.DAMAGED, with_front(b"", flags=0)
    yield "camera-offsets-missing", codes.DAMAGED, with_front(b"", times_bytes=0)
    yield "camera-run-of-none", codes.DAMAGED, with_front(b"\0\0\0\0\0")
    yield "camera-run-too-long", codes.DAMAGED, with_front(b"\0\0\x09\0\0")
    yield "camera-offset-of-40-bits", codes.DAMAGED, with_front(pack_signed([1 << 40, 0]) + b"\x07\0\0")
    yield "camera-group-too-wide", codes.LIMIT, with_front(b"\0\0\x07" + pack_signed([8_000, 8_000]))
    yield "camera-segment-too-wide", codes.LIMIT, with_front(pack_signed([80_000, 80_000]) + b"\x07\0\0")
    yield "camera-elsewhere", codes.DAMAGED, with_front(pack_signed([24, 32]) + b"\x07\0\0")


def steps_and_latents() -> Iterator[tuple[str, int, bytes]]:
    """(name, exit code, bytes) of files that say their steps, or what latents they were made of."""

    def changed(of: Header, version: int = 2, **changes: object) -> bytes:
        """A good file whose header has other members."""
        rest = split_front(written(of, groups(of, 2, last_frames=3), sound=False))[1]
        front = front_of(json.dumps({**of.to_dict(), **changes}).encode(), version)
        return front + b"".join(sealed(*chunk) for chunk in placed(split_chunks(rest), len(front)))

    of, plain = of_latents(2, 3, 2, group_latent_frames=2, audio=[]), replace(OF, audio=[])
    steps, latents = dict(of.steps or {}), dict(of.latents or {})
    yield "latents", codes.DONE, changed(of)
    yield "latents-lossless", codes.DONE, changed(of_latents(2, 3, 2, lossless=True, group_latent_frames=2, audio=[]))
    yield "latents-of-version-1", codes.DAMAGED, changed(of, 1)
    yield "latents-not-required", codes.DAMAGED, changed(of, requires=["first_frames", "steps"])
    yield "latents-unsaid", codes.DAMAGED, changed(of, latents=None)
    yield "latents-without-steps", codes.DAMAGED, changed(of, requires=["first_frames", "latents"], steps=None)
    yield "latents-of-an-unknown-type", codes.UNSUPPORTED, changed(of, latents={**latents, "dtype": "float4"})
    yield "latents-without-a-space", codes.DAMAGED, changed(of, latents={**latents, "space": None})
    for name, number in (("zero", 0), ("negative", -0.5), ("huge", 1e300), ("text", "1"), ("null", None)):
        yield f"steps-{name}", codes.DAMAGED, changed(of, steps={**steps, "channel_step": [0.5, number]})
    yield "steps-one-less", codes.DAMAGED, changed(of, steps={"channel_step": [0.5], "channel_scale": [0.5]})
    yield "steps-one-scale-less", codes.DAMAGED, changed(of, steps={**steps, "channel_scale": [0.5]})
    yield "steps-required-and-missing", codes.DAMAGED, changed(plain, requires=["steps"])
    yield "steps-not-required", codes.DAMAGED, changed(plain, 1, steps=steps)
    yield "steps", codes.DONE, changed(plain, requires=["steps"], steps=steps)
    yield "steps-nan", codes.DAMAGED, changed(of, steps={**steps, "channel_step": [0.5, float("nan")]})


def adaptive() -> Iterator[tuple[str, int, bytes]]:
    """(name, exit code, bytes) of files whose tokens are coded by what came before."""
    of = sized(2, 3, 2, group_latent_frames=2, audio=[], requires=("adaptive",))
    front, rest = split_front(written(of, groups(of, 2, last_frames=3), sound=False))
    chunks = split_chunks(rest)

    def changed(payload: bytes) -> bytes:
        """The file with another payload of its first group."""
        parts = placed([(b"GRUP", payload), *chunks[1:]], len(front))
        return front + b"".join(sealed(*chunk) for chunk in parts)

    payload = chunks[0][1]
    yield "adaptive", codes.DONE, changed(payload)
    yield "adaptive-word-missing", codes.DAMAGED, changed(payload[:-4])
    yield "adaptive-words-left", codes.DAMAGED, changed(payload + bytes(8))
    yield "adaptive-half-a-word", codes.DAMAGED, changed(payload + bytes(2))
    yield (
        "adaptive-layout-1",
        codes.UNSUPPORTED,
        changed(GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(payload), "token_layout": 1}) + payload[GROUP_HEAD.size :]),
    )
    yield "adaptive-lossless", codes.DAMAGED, with_header(2, requires=["adaptive"], coding="lossless")
    yield "adaptive-not-required", codes.UNSUPPORTED, with_head(0, token_layout=6)


def attachments() -> Iterator[tuple[str, int, bytes]]:
    """(name, exit code, bytes) of files with attachments."""
    one = Attachment.of("a", np.arange(6, dtype=np.float32).reshape(2, 3))
    of = replace(OF, audio=[])
    good = written(of, groups(of, 4, last_frames=3), sound=False, attachments=[one])
    front, rest = split_front(good)
    chunks = split_chunks(rest)
    payload = pack_attachment(one)

    def behind(*payloads: bytes) -> bytes:
        """The file with other attachments."""
        found = [chunk for chunk in chunks if chunk[0] != b"atch"]
        found[-2:-2] = [(b"atch", made) for made in payloads]
        return front + b"".join(sealed(*chunk) for chunk in placed(found, len(front)))

    yield "attachment", codes.DONE, good
    yield "attachment-bit", codes.DAMAGED, good.replace(payload, payload[:-1] + bytes([payload[-1] ^ 1]))
    yield "attachment-twice", codes.DAMAGED, behind(payload, payload)
    yield "attachment-empty", codes.DAMAGED, behind(b"")
    yield "attachment-of-an-unknown-type", codes.DAMAGED, behind(payload[:2] + b"\xff" + payload[3:])
    yield "attachment-without-its-numbers", codes.DAMAGED, behind(payload[:7])
    yield "attachment-of-other-numbers", codes.DAMAGED, behind(payload[:5] + b"\x03" + payload[6:])
    yield "attachment-name-beyond", codes.DAMAGED, behind(b"\xe7\x03" + payload[2:])
    yield "attachment-4-gigabytes", codes.LIMIT, behind(b"\x01\x00\x00\x01a\x80\x80\x80\x80\x10")


def with_note() -> bytes:
    """The whole file with a chunk of a type that may be skipped in front of its groups, which index and end marker
    allow for.
    """
    of, note = replace(OF, audio=[]), sealed(b"note", b"hello")
    front, rest = split_front(written(of, groups(of, 4, last_frames=3), sound=False))
    *body, (_, index), (_, last) = split_chunks(rest)
    entries = [
        replace(entry, offset=entry.offset + len(note) * (entry.group > 0)) for entry in unpack_index(index, 1 << 20)
    ]
    end = END.unpack(last)
    ends = [
        (b"INDX", pack_index(entries)),
        (b"ENDF", END.pack(**{**end, "index_offset": end["index_offset"] + len(note)})),
    ]
    return front + note + b"".join(sealed(*chunk) for chunk in [*body, *ends])


def audio_only() -> bytes:
    """What may follow a header when there are no groups: an empty index and the end marker that fits it."""
    of = written(OF, [], sound=False)[len(FRONT) :]
    end = END.unpack(split_chunks(of)[-1][1])
    size = len(sealed(b"note", b"hello"))
    return sealed(*split_chunks(of)[0]) + sealed(
        b"ENDF", END.pack(**{**end, "index_offset": end["index_offset"] + size})
    )


def main() -> None:
    """Write what is missing, and the manifest of all."""
    FOLDER.mkdir(exist_ok=True)
    expected = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else {}
    for name, code, data in bad():
        if name not in expected:
            expected[name] = code
            (FOLDER / f"{name}.lat").write_bytes(data)
    MANIFEST.write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
