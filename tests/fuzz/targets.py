"""What is fuzzed: each target takes any bytes, and raises only when the reader does something it must not.

`LatcompError` is an answer; any other exception is a finding, and so is a result that contradicts itself (`Finding`).
Sizes are tiny, so that most calls take well under a millisecond."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache

import numpy as np

from latcomp.container import (
    AudioChunk,
    Group,
    Header,
    Limits,
    LostGroups,
    PackedAttachment,
    Prior,
    Reader,
    check,
    repair,
    scan,
)
from latcomp.container.attachments import AttachmentCount, pack_attachment, unpack_attachment
from latcomp.container.audio import pack_audio, unpack_audio
from latcomp.container.coding import GroupBytes, GroupCoder, GroupShape, coder_for
from latcomp.container.coding.masks import MaskState, decode_mask, encode_mask
from latcomp.container.coding.prior.tables import TableDecoder
from latcomp.container.format import (
    LAYOUT_ADAPTIVE,
    LAYOUT_CONTEXT,
    LAYOUT_FLOAT_CHANGES,
    LAYOUT_FLOATS,
    LAYOUT_MODE_CHANGES,
    LAYOUT_MODES,
    LAYOUT_PLANES,
    LAYOUT_PRIOR,
    LAYOUT_REPEATS,
    MASK_ALL,
    MASK_BITS,
    MASK_CHANGES,
    MASK_CONTEXT,
    MASK_PRIOR,
    PRELUDE,
    SYMBOL_MAX,
    SYMBOL_MIN,
)
from latcomp.container.header import header_length, pack_header, unpack_header
from latcomp.container.index import pack_index, unpack_index
from latcomp.container.offsets import OFFSET_MOST, decode_offsets, encode_offsets, world_most
from latcomp.container.times import decode_times, encode_times
from latcomp.container.varint import VarintReader
from latcomp.container.zstd import decompress
from latcomp.errors import DamagedFileError, LatcompError
from latcomp.latents import GroupView, StepScale
from tests.container.make import content, in_units, prior_arrays, sized, under
from tests.container.make_camera import camera_groups, jumps, moving, there_and_back
from tests.fuzz.seal import front_of, raw_frame

LIMITS = Limits(
    max_pixels=1 << 16,
    max_frames=1 << 20,
    max_lost_frames=1 << 12,
    max_group_tokens=1 << 13,
    max_group_bytes=1 << 18,
    max_chunk_bytes=1 << 20,
    max_attachment_bytes=1 << 16,
    max_search_bytes=1 << 16,
)


class Finding(Exception):
    """A result that contradicts itself or the promise of the format."""


def demand(right: bool, message: str) -> None:
    """Raise `Finding` unless `right`."""
    if not right:
        raise Finding(message)


def times(data: bytes) -> None:
    """Frame times: as many as there are frames, in 64 bits, and written again they read the same."""
    if len(data) < 9:
        return
    frames, first = 1 + data[0], struct.unpack_from("<q", data, 1)[0]
    with suppress(LatcompError):
        found = decode_times(data[9:], frames, first)
        demand(len(found) == frames and (frames > 1 or int(found[0]) == first), "times: wrong number")
        again = decode_times(encode_times(found.tolist()), frames, int(found[0]))
        demand(again.tolist() == found.tolist(), "times: written again they differ")


def audio(data: bytes) -> None:
    """Audio chunks: what is read is written to something that reads the same."""
    with suppress(LatcompError):
        found = unpack_audio(data, 3)
        demand(unpack_audio(pack_audio(found), 3) == found, "audio: written again it differs")


def attachment(data: bytes) -> None:
    """Attachments: what is read is written to something that reads the same, and is counted as it is unpacked. The
    first byte says where the numbers of a stored zstd frame begin."""
    if not data:
        return
    front = 1 + data[0]
    numbers = raw_frame(data[front:]) if len(data) > front else b""
    with suppress(LatcompError):
        packed = unpack_attachment(data[1:front] + numbers)
        AttachmentCount(LIMITS).add(packed)
        try:
            packed.verify()
        except LatcompError:
            with suppress(LatcompError):
                packed.unpack()
                demand(False, "attachment: unpacked, though not as it says")
            return
        found = packed.unpack()
        demand(len(found.data) == packed.bytes_data, "attachment: other bytes than counted")
        again = unpack_attachment(pack_attachment(found)).unpack()
        demand(again == found and again.array.shape == found.shape, "attachment: written again it differs")


def header(data: bytes) -> None:
    """The header's JSON text: any header that is accepted can be written, and reads the same."""
    front = front_of(data)
    with suppress(LatcompError):
        found = unpack_header(front[: PRELUDE.size], front[PRELUDE.size :], LIMITS)
        again = pack_header(found)
        demand(
            unpack_header(again[: PRELUDE.size], again[PRELUDE.size :], LIMITS) == found,
            "header: written again it differs",
        )


def prelude(data: bytes) -> None:
    """The first bytes of a file as they are."""
    front, rest = data[: PRELUDE.size], data[PRELUDE.size :]
    with suppress(LatcompError):
        demand(header_length(front, LIMITS) <= LIMITS.max_header_bytes + 4, "prelude: an absurd length")
        unpack_header(front, rest, LIMITS)


def index(data: bytes) -> None:
    """Index payloads: entries rise, and written again they read the same."""
    with suppress(LatcompError):
        found = unpack_index(data[:4] + raw_frame(data[4:]), 1 << 20)
        demand(unpack_index(pack_index(list(found)), 1 << 20) == found, "index: written again it differs")


def zstd(data: bytes) -> None:
    """zstd frames as they are: never more bytes than allowed."""
    with suppress(LatcompError):
        demand(len(decompress(data, 4096, "fuzz")) <= 4096, "zstd: more than allowed")


@lru_cache
def small_header() -> Header:
    """The header that `chunks` stand behind: one position of one channel."""
    return sized(1, 1, 1, group_latent_frames=2)


@lru_cache
def small_front() -> bytes:
    """Its bytes."""
    return pack_header(small_header())


def chunks(data: bytes) -> None:
    """What follows a header, read without decoding groups: groups come in order and do not overlap, bytes are counted
    once.
    """
    whole = small_front() + data
    with suppress(LatcompError):
        summary = scan(io.BytesIO(whole), LIMITS)
        place = before = -1
        for group in summary.groups:
            demand(group.index > before and group.first_frame >= place, "chunks: groups out of order")
            before, place = group.index, group.first_frame + group.frames
        demand(
            summary.bytes_total == len(whole) and summary.bytes_other >= 0, "chunks: bytes counted twice or not at all"
        )


SHAPES = ((1, 3, 5), (2, 3, 5), (3, 3, 5), (1, 1, 1))


@lru_cache
def segment(rows: int, columns: int, lossless: bool) -> Header:
    """A header without a prior, of two channels."""
    return sized(rows, columns, 2, group_latent_frames=4, coding="lossless" if lossless else "int")


def mask(data: bytes) -> None:
    """Keep masks of codings 1 to 3: the right shape, and written again they read the same."""
    if not data:
        return
    shape = SHAPES[data[0] & 3]
    key, coding = bool(data[0] & 4), 1 + (data[0] >> 3) % 3
    view, state = GroupView.whole(shape[0], shape[1:]), MaskState(shape[1:])
    if not key:
        state.advance(np.ones(view.frames[0].count, bool))
    if data[0] >> 7:
        state.last[::2], state.earlier[1::2] = True, True
    with suppress(LatcompError):
        found = decode_mask(coding, raw_frame(data[1:]), view, state)
        demand(
            found.shape == shape and found.dtype == np.bool_ and (not key or bool(found[0].all())), "mask: wrong shape"
        )
        if not data[-1] & 7:  # writing tries every coding: too slow for every call
            again = decode_mask(*encode_mask(found, view, state), view, state)
            demand(bool((again == found).all()), "mask: written again it differs")


PLAIN = (LAYOUT_PLANES, LAYOUT_CONTEXT, LAYOUT_REPEATS, LAYOUT_FLOATS, LAYOUT_FLOAT_CHANGES)


def tokens(data: bytes) -> None:
    """Token layouts without a prior, of a key group and the group behind it: the right count, symbols of 16 bits, the
    same twice.
    """
    if len(data) < 4:
        return
    layout = PLAIN[data[0] % len(PLAIN)]
    lossless = layout in (LAYOUT_FLOATS, LAYOUT_FLOAT_CHANGES)
    bits = np.unpackbits(np.frombuffer(data[1:3], np.uint8))[:15].astype(bool).reshape(3, 5)
    keep = np.stack([np.ones((3, 5), bool), bits])
    cut = 4 + data[3] if layout == LAYOUT_REPEATS else 4
    content = raw_frame(data[cut:])
    if layout == LAYOUT_REPEATS:
        changed = raw_frame(data[4:cut])
        content = struct.pack("<BI", 1 + data[0] // 5 % 3, len(changed)) + changed + content
    results = []
    for _ in range(2):
        coder = coder_for(segment(3, 5, lossless))
        packed = raw_frame(np.packbits(keep[1:]).tobytes())
        with suppress(LatcompError):
            kept = int(keep.sum())
            given = GroupBytes(MASK_BITS, packed, layout, content)
            found = coder.decode(given, GroupShape(GroupView.whole(2, (3, 5)), kept, True, StepScale(1.0))).tokens
            demand(found.shape == (kept, 2), "tokens: wrong count")
            demand(
                lossless or not found.size or (found.min() >= SYMBOL_MIN and found.max() <= SYMBOL_MAX),
                "tokens: beyond 16 bits",
            )
            results.append((found.tobytes(), coder.memory.kept.tobytes()))
        if not data[-1] & 7:
            continue
        return
    demand(len(results) != 1 and (not results or results[0] == results[1]), "tokens: twice is not the same")


@lru_cache
def tiny_prior() -> Prior:
    """A prior of two channels that is as small as can be."""
    return Prior(prior_arrays(2, embed=2, width=3, known=2, mask_width=2, mask_hidden=2, seed=5), "5" * 64, "tiny")


@lru_cache
def prior_header() -> Header:
    """A header of three by two positions under that prior."""
    return under(sized(3, 2, 2, group_latent_frames=3, step_scale=0.7), tiny_prior())


@lru_cache
def adaptive_header() -> Header:
    """A header of three by two positions of two channels whose tokens are coded by what came before."""
    return sized(3, 2, 2, group_latent_frames=2, requires=("adaptive",))


def adaptive(data: bytes) -> None:
    """Layout 6, of a key group and the group behind it: exactly the tokens that are claimed, and written again they
    read the same.
    """
    if len(data) < 4:
        return
    of, cut = adaptive_header(), 4 + 4 * (data[0] & 15)
    bits = np.unpackbits(np.frombuffer(data[1:3], np.uint8))[:12].astype(bool).reshape(2, 3, 2)
    bits[0] |= bool(data[3] & 1)
    reading, writing, again = (coder_for(of) for _ in range(3))
    keeps = [np.stack([np.ones((3, 2), bool), bits[0]]), bits]
    packed = [raw_frame(np.packbits(keep[key:]).tobytes()) for key, keep in ((1, keeps[0]), (0, keeps[1]))]
    with suppress(LatcompError):
        for key, keep, mask, words in zip((True, False), keeps, packed, (data[4:cut], data[cut:]), strict=True):
            shape = GroupShape(GroupView.whole(2, (3, 2)), int(keep.sum()), key, StepScale(1.0))
            found = reading.decode(GroupBytes(MASK_BITS, mask, LAYOUT_ADAPTIVE, words), shape)
            demand(found.tokens.shape == (shape.kept, 2), "adaptive: wrong count")
            low, high = (int(end) for end in (found.tokens.min(initial=0), found.tokens.max(initial=0)))
            demand(low >= SYMBOL_MIN and high <= SYMBOL_MAX, "adaptive: beyond 16 bits")
            read = again.decode(writing.encode(found), shape)
            demand(read.tokens.tobytes() == found.tokens.tobytes(), "adaptive: written again it differs")


def coder(data: bytes) -> None:
    """The range coder alone: symbols are among those of their table, or the data are refused."""
    if len(data) < 2:
        return
    tables = (tiny_prior().value_tables, tiny_prior().mode_tables, tiny_prior().mask_tables)[(data[0] & 3) % 3]
    count = data[1] % 16
    contexts = (np.frombuffer(data[2 : 2 + count], np.uint8) % min(len(tables), 256)).astype(np.uint8)
    with suppress(LatcompError):
        decoder = TableDecoder(data[2 + count :])
        symbols = decoder.take(contexts, tables)
        wide = decoder.take_wide(data[0] >> 6, 1 << 18)
        decoder.check_end()
        sizes = np.array([len(tables.frequencies[context]) for context in contexts], np.int64)
        demand(bool(((symbols >= 0) & (symbols < sizes)).all()), "coder: a symbol that the table does not have")
        demand(bool(((wide >= 0) & (wide < 1 << 18)).all()), "coder: an escape out of range")


def _under_prior(given: GroupBytes, steps: int, kept: int) -> None:
    of, by = prior_header(), tiny_prior()
    shape = GroupShape(GroupView.whole(steps, (3, 2)), kept, True, StepScale(of.step_scale, 3))
    with suppress(LatcompError):
        found = coder_for(of, by).decode(given, shape)
        mask, tokens, halvings = found.mask, found.tokens, found.halvings
        demand(
            mask.shape == shape.view.shape and int(mask.sum()) == kept and bool(mask[0].all()),
            "prior: not the mask that was claimed",
        )
        demand(halvings is not None and tokens.shape == (kept, 2) and halvings.shape == (kept,), "prior: wrong count")
        demand(not tokens.size or (tokens.min() >= SYMBOL_MIN and tokens.max() <= SYMBOL_MAX), "prior: beyond 16 bits")
        read = coder_for(of, by).decode(coder_for(of, by).encode(found), shape)
        demand(
            bool((read.mask == mask).all()) and read.tokens.tobytes() == tokens.tobytes(),
            "prior: written again it differs",
        )


def prior(data: bytes) -> None:
    """Masks and tokens under a prior: exactly the tokens that are claimed, and written again they read the same."""
    if len(data) < 2:
        return
    cut = 2 + 4 * (data[0] & 3)
    steps = 1 + (data[0] >> 2) % 2
    if data[0] >> 6 == 3:  # an own mask coding beside the tokens' words
        _under_prior(GroupBytes(MASK_ALL, b"", LAYOUT_PRIOR, data[2:]), steps, 6 * steps)
    else:
        _under_prior(GroupBytes(MASK_PRIOR, data[2:cut], LAYOUT_PRIOR, data[cut:]), steps, 6 + data[1] % 7)


def modes(data: bytes) -> None:
    """Layouts of planes under a prior, beside any mask."""
    if len(data) < 4:
        return
    layout = (LAYOUT_MODES, LAYOUT_MODE_CHANGES)[data[0] & 1]
    steps = 1 + (data[0] >> 1 & 3) % 3
    coding = (MASK_ALL, MASK_BITS, MASK_CHANGES, MASK_CONTEXT)[data[0] >> 6]
    cut = 4 + (data[1] if coding else 0)
    mask = raw_frame(data[4:cut]) if coding else b""
    _under_prior(GroupBytes(coding, mask, layout, raw_frame(data[cut:])), steps, data[2])


@lru_cache
def camera_header() -> Header:
    """A header of two by three positions of two channels whose groups may have camera offsets."""
    return moving(2, 3, 2, group_latent_frames=2)


def offsets(data: bytes) -> None:
    """Camera offsets: as many as there are frames, written again they read the same, and what they show is what their
    window bounds."""
    if not data:
        return
    of, frames = camera_header(), 1 + data[0] % 8
    with suppress(LatcompError):
        found = decode_offsets(VarintReader(data, "offsets", 1), frames)
        demand(found.shape == (frames, 2) and int(np.abs(found).max()) <= OFFSET_MOST, "offsets: wrong")
        again = decode_offsets(VarintReader(encode_offsets(found), "offsets"), frames)
        demand(again.tolist() == found.tolist(), "offsets: written again they differ")
        window = of.window_of(found)
        if window.area <= world_most(of.grid):
            view = of.view_of(True, frames, found)
            shown = [one.count for one in view.frames]
            demand(view.window == window and view.count == int(view.visible.sum()), "offsets: another window")
            demand(min(shown) >= 6 and max(shown) <= 4 * 12, "offsets: too little or too much is shown")


@lru_cache
def moved_groups(number: int) -> tuple[Header, Group, Group]:
    """A key group and the next, as they are honestly, of one kind of file: plain, lossless, under the prior."""
    of = camera_header()
    if number % 3 == 1:
        of = replace(of, coding="lossless")
    made = camera_groups(of, 2, (there_and_back, jumps)[number // 3 % 2], number)
    if number % 3 == 2:
        of = under(of, tiny_prior())
        made = in_units(of, made)
    return of, made[0], made[1]


@lru_cache
def coder_behind(number: int) -> GroupCoder:
    """A coder behind the key group of a kind."""
    of, before, _ = moved_groups(number)
    found = coder_for(of, tiny_prior() if of.prior else None)
    found.encode(content(of, before))
    return found


def behind_the_first(number: int) -> GroupCoder:
    """The same, to be used once."""
    known = {id(tiny_prior()): tiny_prior()}  # the weights are not copied
    return deepcopy(coder_behind(number), known)


def moved(data: bytes) -> None:
    """Masks and tokens of any bytes, of a group that shows what was seen before and what was not: exactly the tokens
    that are claimed, and written again they read the same."""
    if len(data) < 4:
        return
    of, _, group = moved_groups(data[0] % 6)
    coding, layout = data[1] % 5, (*range(6), 16, 17)[data[1] // 5 % 8]
    cut = 4 + data[2]
    pieces = [data[4:cut], data[cut:]]
    if coding not in (MASK_ALL, MASK_PRIOR):
        pieces[0] = raw_frame(pieces[0])
    if layout not in (LAYOUT_PRIOR, LAYOUT_REPEATS) and pieces[1]:
        pieces[1] = raw_frame(pieces[1])
    kept = group.view.count if coding == MASK_ALL else min(len(group.tokens) + data[3] - 128, group.view.count)
    shape = GroupShape(group.view, kept, False, StepScale(of.step_scale))

    with suppress(LatcompError):
        found = behind_the_first(data[0] % 6).decode(GroupBytes(coding, pieces[0], layout, pieces[1]), shape)
        demand(not found.mask[~group.view.visible].any(), "moved: what is not shown is kept")
        demand(int(found.mask.sum()) == kept == len(found.tokens), "moved: not what was claimed")
        demand(
            found.tokens.dtype == np.float32
            or not found.tokens.size
            or (found.tokens.min() >= SYMBOL_MIN and found.tokens.max() <= SYMBOL_MAX),
            "moved: beyond 16 bits",
        )
        read = behind_the_first(data[0] % 6).decode(behind_the_first(data[0] % 6).encode(found), shape)
        same = bool((read.mask == found.mask).all()) and read.tokens.tobytes() == found.tokens.tobytes()
        demand(same, "moved: written again it differs")


@lru_cache
def camera_front() -> bytes:
    """The front of a file with camera motion."""
    return pack_header(camera_header())


def camera(data: bytes) -> None:
    """Chunks behind a header that requires `camera`, groups decoded: what `file` demands."""
    file(camera_front() + data)


def file(data: bytes) -> None:
    """Whole files: groups, lost frames and audio in order without holes; `check` agrees with the reader; a pipe with a
    file.
    """
    try:
        reader = Reader(io.BytesIO(data), LIMITS, lambda name, sha256: tiny_prior())
        place = 0
        for item, chunk in reader.with_chunks():
            if isinstance(item, AudioChunk):
                continue
            if isinstance(item, PackedAttachment):
                try:
                    item.unpack()
                except DamagedFileError as error:
                    reader.note(chunk, str(error))
                continue
            demand(item.first_frame == place, "file: frames overlap, or some are neither given nor lost")
            place += len(item.pts)
            if isinstance(item, Group):
                demand(int(item.mask.sum()) == len(item.tokens), "file: mask and tokens disagree")
            else:
                demand(isinstance(item, LostGroups) and item.frames == len(item.pts), "file: lost frames miscounted")
    except LatcompError:
        return
    problems = check(io.BytesIO(data), LIMITS, lambda name, sha256: tiny_prior())
    demand(problems == reader.damage, "file: check and reader disagree")


def _is_good(attachment: PackedAttachment) -> bool:
    try:
        attachment.verify()
    except DamagedFileError:
        return False
    return True


def repaired(data: bytes) -> None:
    """Repair: the new file is intact, and holds the very groups and audio that the reader gets from the damaged one."""

    def content(of: bytes) -> list[object]:
        items = [
            item
            for item in Reader(io.BytesIO(of), LIMITS, lambda name, sha256: tiny_prior())
            if not isinstance(item, LostGroups) and not (isinstance(item, PackedAttachment) and not _is_good(item))
        ]
        return [
            (item.key, item.pts.tolist(), item.mask.tobytes(), item.tokens.tobytes())
            if isinstance(item, Group)
            else item
            for item in items
        ]

    out = io.BytesIO()
    with suppress(LatcompError):
        done = repair(io.BytesIO(data), out, LIMITS, lambda name, sha256: tiny_prior())
        found = check(io.BytesIO(out.getvalue()), LIMITS, lambda name, sha256: tiny_prior())
        demand(not found, f"repair: {found}")
        demand(content(out.getvalue()) == content(data), "repair: not what the damaged file holds")
        demand(done.bytes_total == len(out.getvalue()) and bool(done.problems) >= bool(done.lost), "repair: miscounted")


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        times,
        audio,
        attachment,
        header,
        prelude,
        index,
        zstd,
        chunks,
        mask,
        tokens,
        adaptive,
        coder,
        modes,
        prior,
        offsets,
        moved,
        camera,
        file,
        repaired,
    )
}
