"""The corpus: small inputs for every target to start from. `python -m tests.fuzz.seeds` writes those that are not there
yet.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from latcomp.container import Attachment
from latcomp.container.attachments import pack_attachment
from latcomp.container.audio import pack_audio
from latcomp.container.coding import GroupContent, coder_for
from latcomp.container.coding.context.repeats import changed_tokens, encode_repeats
from latcomp.container.coding.context.tokens import encode_context
from latcomp.container.coding.masks import MaskState, encode_mask
from latcomp.container.coding.planes import planes_of_symbols, split_bytes
from latcomp.container.coding.prior.tables import TableEncoder
from latcomp.container.format import ATTACHMENT_HEAD, LAYOUT_PRIOR, LAYOUT_REPEATS, MASK_PRIOR
from latcomp.container.header import pack_header
from latcomp.container.index import IndexEntry, pack_index
from latcomp.container.offsets import OFFSET_MOST, encode_offsets
from latcomp.container.times import encode_times
from latcomp.container.zstd import compress, decompress
from latcomp.latents import GroupView, StepScale, TokenMemory
from tests.container.make import audio, content, groups, in_units, of_latents, sized, under, written
from tests.container.make_camera import PATHS, camera_groups, moving
from tests.fuzz.seal import split_front
from tests.fuzz.targets import (
    PLAIN,
    SHAPES,
    adaptive_header,
    camera_header,
    moved_groups,
    prior_header,
    segment,
    small_header,
    tiny_prior,
)

CORPUS = Path(__file__).parent / "corpus"


def times() -> Iterator[bytes]:
    """Even, uneven and single times."""
    for found in ([7], [0, 40, 80, 120], [0, 41, 80, 125, 125, 130], [-(2**63), 2**63 - 1], list(range(0, 640, 10))):
        yield bytes([len(found) - 1]) + struct.pack("<q", found[0]) + encode_times(found)


def index() -> Iterator[bytes]:
    """Indexes of none to three segments, as head and content."""
    for count in range(4):
        entries = [IndexEntry(2 * place, 64 * place, 640 * place, 100 + 50 * place) for place in range(count)]
        packed = pack_index(entries)
        yield packed[:4] + decompress(packed[4:], 1000, "index")


def masks() -> Iterator[bytes]:
    """A mask for each shape and coding."""
    rng = np.random.default_rng(1)
    for number, shape in enumerate(SHAPES[:3]):
        for coding in (1, 2, 3):
            keep = rng.random(shape) < 0.4
            state = MaskState(shape[1:])
            state.advance(np.ones(state.view.count, bool))
            found, packed = encode_mask(keep, GroupView.whole(shape[0], shape[1:]), state)
            bits = np.packbits(keep).tobytes()
            if coding == 3:  # one stream of all classes, eight bits a byte
                bits = b"\x01\x15\x00" + bytes([keep.size]) + np.packbits(keep.reshape(-1), bitorder="little").tobytes()
            yield bytes([number | (coding - 1) << 3]) + bits
            if found == coding:
                yield bytes([number | (coding - 1) << 3]) + decompress(packed, 1000, "mask")


def tokens() -> Iterator[bytes]:
    """A group for each layout, as the writer makes it where it would choose the layout, and made by hand where not."""
    rng = np.random.default_rng(2)
    bits = bytes([0b01010101, 0b00110010])
    keep = np.stack(
        [np.ones((3, 5), bool), np.unpackbits(np.frombuffer(bits, np.uint8))[:15].astype(bool).reshape(3, 5)]
    )
    kept = int(keep.sum())
    for large in (3, 3000):
        symbols = rng.integers(-large, large, (kept, 2)).astype(np.int32)
        memory, view = TokenMemory.start((3, 5), 2), GroupView.whole(2, (3, 5))
        context = encode_context(symbols, keep, view, memory, None)[0]
        changed = changed_tokens(symbols, np.zeros_like(symbols))
        repeats = encode_repeats(symbols, changed, keep, view, memory, None)[0]
        coding, size = struct.unpack_from("<BI", repeats)
        inner = decompress(repeats[5 : 5 + size], 1000, "mask") if size else b""
        yield bytes([0]) + bits + bytes(1) + planes_of_symbols(symbols)
        yield bytes([1]) + bits + bytes(1) + decompress(context, 10_000, "tokens")
        if coding:
            yield (
                bytes([2 + 5 * (coding - 1)])
                + bits
                + bytes([len(inner)])
                + inner
                + decompress(repeats[5 + size :], 10_000, "tokens")
            )
        for layout in (3, 4):
            yield bytes([layout]) + bits + bytes(1) + split_bytes(symbols.astype("<f4").view("<u4"))
    assert len(PLAIN) == 5


def adaptive() -> Iterator[bytes]:
    """Two groups under what came before: small values, large ones, and as large as can be."""
    of, rng, view = adaptive_header(), np.random.default_rng(6), GroupView.whole(2, (3, 2))
    for whole, size in enumerate((2, 40, 20_000)):
        bits = rng.random((2, 3, 2)) < 0.6
        front = np.packbits(bits).tobytes() + bytes([min(whole, 1)])
        bits[0] |= whole > 0
        writing, words = coder_for(of), []
        for key, keep in ((True, np.stack([np.ones((3, 2), bool), bits[0]])), (False, bits)):
            tokens = rng.integers(-size, size, (int(keep.sum()), 2)).astype(np.int32)
            words.append(writing.encode(GroupContent(keep, tokens, None, key, StepScale(1.0), view)).tokens)
        yield bytes([len(words[0]) // 4]) + front + b"".join(words)


def coder() -> Iterator[bytes]:
    """Words of a few symbols of each kind of table."""
    for number, tables in enumerate((tiny_prior().value_tables, tiny_prior().mode_tables, tiny_prior().mask_tables)):
        encoder = TableEncoder()
        contexts = np.arange(6, dtype=np.uint8)
        encoder.put(np.array([0, 1, 0, 1, 1, 0], np.int32), contexts, tables)
        encoder.put_wide(np.array([5], np.int32), 1 << 18)
        yield bytes([number | 1 << 6, 6]) + contexts.tobytes() + encoder.finish()


def under_prior() -> Iterator[tuple[str, bytes]]:
    """(target, input) for groups of one and two latent frames in every layout under a prior."""
    of = prior_header()
    for steps in (1, 2):
        for group in in_units(of, groups(of, 2, seed=steps, last_frames=4 * steps), seed=steps):
            if not group.key or len(group.mask) < steps:
                continue
            keep = group.mask[:steps].copy()
            if steps > 1:
                keep[1, 0, 0], keep[1, 1] = False, True
            kept = int(keep.sum())
            values = np.resize(group.tokens - group.tokens % of.units, (kept, 2)).astype(np.int32)
            group_of = GroupContent(
                keep,
                values,
                np.zeros(kept, np.uint8),
                True,
                StepScale(of.step_scale, 3),
                GroupView.whole(steps, of.grid),
            )
            for coding in ("context", "zstd"):
                found = coder_for(of, tiny_prior(), coding).encode(group_of)
                front = (steps - 1) << 2
                if coding == "zstd":
                    inner = decompress(found.mask, 1000, "mask") if found.mask_coding else b""
                    number = (found.token_layout - 4) | (steps - 1) << 1 | min(found.mask_coding, 3) << 6
                    tokens = decompress(found.tokens, 1000, "tokens")
                    yield "modes", bytes([number, len(inner), kept, 0]) + inner + tokens
                elif found.mask_coding == MASK_PRIOR:
                    yield "prior", bytes([len(found.mask) // 4 | front, kept - 6]) + found.mask + found.tokens
                else:
                    yield "prior", bytes([0xC0 | front, 0]) + found.tokens


def offsets() -> Iterator[bytes]:
    """A still camera, a pan, a jump as far as can be, and any way."""
    rng = np.random.default_rng(4)
    ends = np.array([[-OFFSET_MOST, OFFSET_MOST], [OFFSET_MOST, -OFFSET_MOST]])
    ways = [np.full((3, 2), -5), np.arange(8)[:, None] * [2, -3], ends, rng.integers(-20, 20, (6, 2))]
    for found in ways:
        yield bytes([len(found) - 1]) + encode_offsets(found)


def moved() -> Iterator[bytes]:
    """The second group of each kind, as its writers write it."""
    for number in range(6):
        of, before, group = moved_groups(number)
        for coding in ("context", "zstd"):
            coder = coder_for(of, tiny_prior() if of.prior else None, coding)
            coder.encode(content(of, before))
            found = coder.encode(content(of, group))
            mask, tokens = found.mask, found.tokens
            if found.mask_coding not in (0, MASK_PRIOR):
                mask = decompress(mask, 10_000, "mask")
            if found.token_layout not in (LAYOUT_PRIOR, LAYOUT_REPEATS):
                tokens = decompress(tokens, 10_000, "tokens")
            layout = (*range(6), 16, 17).index(found.token_layout)
            yield bytes([number, found.mask_coding + 5 * layout, len(mask), 128]) + mask + tokens


def camera_files() -> Iterator[bytes]:
    """Whole files with camera motion of two segments, on every path and in every coding."""
    for number, path in enumerate(PATHS.values()):
        of = moving(2, 3, 2, first_frames=1 if number == 3 else None, group_latent_frames=2)
        of = replace(of, coding="lossless" if number == 1 else "int")
        made = camera_groups(of, 4, path, number, 3, without=(1,) if number == 4 else (), origin=(-300, 70_000))
        if number == 2:
            of = under(of, tiny_prior())
            made = in_units(of, made)
        yield written(of, made, sound=number == 0, prior=tiny_prior() if of.prior else None)


def files() -> Iterator[bytes]:
    """Whole files of two segments: plain, lossless, of a tokenizer whose first latent frame is short, under the prior
    in both codings."""
    for coding in ("int", "lossless"):
        of = sized(2, 3, 2, group_latent_frames=2, coding=coding)
        yield written(of, groups(of, 4, last_frames=3))
    of = sized(2, 3, 2, first_frames=1, group_latent_frames=2)
    yield written(of, groups(of, 4, last_frames=3))
    of = prior_header()
    made = in_units(of, groups(of, 3, last_frames=3))
    for coding in ("context", "zstd"):
        yield written(of, made, sound=False, prior=tiny_prior(), coding=coding)


def attachments() -> Iterator[bytes]:
    """Of some types and shapes, as the place of their numbers, what stands before these, and the numbers."""
    for values in (np.arange(6, dtype=np.int16).reshape(2, 3), np.array(1.5), np.zeros((0, 2), np.uint8)):
        packed = pack_attachment(Attachment.of("name", values))
        at = ATTACHMENT_HEAD.size + 4 + values.ndim
        numbers = decompress(packed[at:], 1000, "numbers") if values.size else b""
        yield bytes([at]) + packed[:at] + numbers


def more_files() -> Iterator[bytes]:
    """Whole files that say their steps, that were made of latents, and with attachments."""
    carried = [Attachment.of("a", np.arange(6, dtype=np.float32)), Attachment.of("b", np.zeros((2, 0)))]
    of = sized(2, 3, 2, group_latent_frames=2, requires=("steps",), steps=of_latents(1, 1, 2).steps)
    yield written(of, groups(of, 3, last_frames=3), attachments=carried)
    for lossless in (False, True):
        of = of_latents(2, 3, 2, lossless, group_latent_frames=2, audio=[])
        yield written(of, groups(of, 3, last_frames=3), sound=False, attachments=carried[: 1 + lossless])


def seeds() -> Iterator[tuple[str, bytes]]:
    """(target, input) of the whole corpus."""
    yield from (("times", found) for found in times())
    yield from (("audio", pack_audio(audio(place))) for place in (0, 1, 4))
    yield from (("attachment", found) for found in attachments())
    first = sized(1, 1, 1, first_frames=1)
    later = (of_latents(1, 1, 2), of_latents(1, 1, 2, lossless=True))
    for of in (
        small_header(),
        segment(3, 5, True),
        under(small_header(), tiny_prior()),
        first,
        camera_header(),
        *later,
    ):
        yield "header", json.dumps(of.to_dict(), separators=(",", ":")).encode()
        yield "prelude", pack_header(of)
    yield from (("index", found) for found in index())
    yield from (("zstd", compress(content)) for content in (b"", b"a" * 300, bytes(range(256)) * 4))
    small = small_header()
    for count in (1, 4):
        yield "chunks", split_front(written(small, groups(small, count, last_frames=3)))[1]
    yield from (("mask", found) for found in masks())
    yield from (("tokens", found) for found in tokens())
    yield from (("adaptive", found) for found in adaptive())
    yield from (("coder", found) for found in coder())
    yield from under_prior()
    yield from (("offsets", found) for found in offsets())
    yield from (("moved", found) for found in moved())
    of = camera_header()
    for path in PATHS.values():
        yield "camera", split_front(written(of, camera_groups(of, 3, path, 5, 3), sound=False))[1]
    for found in (*files(), *camera_files(), *more_files()):
        yield "file", found
        yield "repaired", found


def main() -> None:
    """Write what is missing."""
    for target, data in seeds():
        path = CORPUS / target / hashlib.sha256(data).hexdigest()[:12]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(data)


if __name__ == "__main__":
    main()
