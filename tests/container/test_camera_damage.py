"""Files with camera offsets that are damaged or made to do harm: as with other files damage is found and stepped over,
and claims are refused before they cost time or memory."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from latcomp.container import Group, Header, LostGroups, Reader, check, repair, scan
from latcomp.container.format import FLAG_CAMERA, FLAG_KEY, GROUP_HEAD
from latcomp.container.header import pack_header
from latcomp.container.offsets import encode_offsets
from latcomp.container.times import encode_times
from latcomp.errors import LatcompError, LimitError, UnsupportedFileError
from tests.container.make import in_units, prior, same_group, sized, under, written
from tests.container.make_camera import PATHS, camera_groups, joined, moving
from tests.container.test_damage import chunks, every_changed_byte_is_found
from tests.container.test_hostile import cheaply, chunk

OF = moving(2, 3, 2, group_latent_frames=2)
MADE = joined(camera_groups(OF, 2, PATHS["jumps"], 1, 5), camera_groups(OF, 1, PATHS["pan"], 2, 3))
TINY = written(OF, MADE, sound=False)
SEGMENTS = replace(OF, segment_groups=3)
FAR = joined(
    *(
        [
            replace(group, offsets=group.offsets + place)
            for group in camera_groups(SEGMENTS, 3, PATHS["still"], seed)
            if group.offsets is not None
        ]
        for seed, place in enumerate((0, 80_000, -160_000))
    )
)
FAR = [replace(group, view=SEGMENTS.view_of(group.key, len(group.pts), group.offsets)) for group in FAR]
FRONT, CHUNKS = chunks(written(SEGMENTS, FAR, sound=False))


@pytest.mark.parametrize("by", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_found(by: int) -> None:
    """From the first to the last, offsets and all."""
    every_changed_byte_is_found(TINY, by)


def test_every_changed_byte_of_a_group_is_survived() -> None:
    """Also under a right checksum: a named error, damage, or a group whose mask keeps only what it shows."""
    payloads = [struct.unpack_from("<4sI", found) for found in chunks(TINY)[1]]
    front, parts = chunks(TINY)
    for at, (kind, size) in enumerate(payloads):
        if kind != b"GRUP":
            continue
        for place in [*range(min(size, 50)), *range(50, size, 3)]:
            payload = bytearray(parts[at][8:-4])
            payload[place] ^= 1 << place % 8
            data = front + b"".join([*parts[:at], chunk(b"GRUP", bytes(payload)), *parts[at + 1 :]])
            with suppress(LatcompError):
                for item in Reader(io.BytesIO(data)):
                    if isinstance(item, Group):
                        assert int(item.mask.sum()) == len(item.tokens) and not item.mask[~item.view.visible].any()


def test_cut_at_every_byte() -> None:
    """All groups before the cut are given, and that it is cut is said."""
    front, parts = chunks(TINY)
    ends = np.cumsum([len(front), *map(len, parts)])
    starts = [part[:4] == b"GRUP" for part in parts]
    for length in range(len(front), len(TINY)):
        reader = Reader(io.BytesIO(TINY[:length]))
        found = [item for item in reader if isinstance(item, Group)]
        assert len(found) == sum(group for group, end in zip(starts, ends[1:], strict=True) if end <= length)
        assert all(same_group(*pair) for pair in zip(MADE, found, strict=False))
        assert reader.damage and "cut off" in str(reader.damage[-1])


@pytest.mark.parametrize("lost", range(9))
def test_a_lost_group_takes_the_rest_of_its_segment_and_no_other(lost: int) -> None:
    """Also a key group, whose segment lies far from the one before: groups behind it are not taken for its parts."""
    damaged = [*CHUNKS]
    damaged[lost] = damaged[lost][:-1] + bytes([damaged[lost][-1] ^ 1])
    gone = [index for index in range(9) if index // 3 == lost // 3 and index >= lost]
    for parts in (damaged, CHUNKS[:lost] + CHUNKS[lost + 1 :]):
        reader = Reader(io.BytesIO(FRONT + b"".join(parts)))
        items = list(reader)
        found = {item.index: item for item in items if isinstance(item, Group)}
        assert sorted(found) == [index for index in range(9) if index not in gone] and reader.damage
        assert all(same_group(FAR[index], group) for index, group in found.items())
        missing = sum(len(FAR[index].pts) for index in gone)
        assert sum(item.frames for item in items if isinstance(item, LostGroups)) == missing
        out = io.BytesIO()
        repair(io.BytesIO(FRONT + b"".join(parts)), out)
        kept = [item for item in Reader(io.BytesIO(out.getvalue())) if isinstance(item, Group)]
        assert check(io.BytesIO(out.getvalue())) == []
        for index, group in zip(sorted(found), kept, strict=True):
            assert (group.offsets == FAR[index].offsets).all() and (group.tokens == FAR[index].tokens).all()  # type: ignore[union-attr]


def test_the_flag_needs_the_requirement() -> None:
    """A reader of a file that does not require `camera` does not guess what the flag says."""
    plain = sized(2, 3, 2, group_latent_frames=2)
    data = pack_header(plain) + b"".join(chunks(TINY)[1])
    with pytest.raises(UnsupportedFileError, match="flags"):
        list(Reader(io.BytesIO(data)))


def group_of(of: Header, offsets: np.ndarray, index: int = 0, first_frame: int = 0, **changes: int) -> bytes:
    """A group at these offsets that claims to keep all of its first latent frame, in layout 2 of a few bytes."""
    frames = len(offsets)
    front = encode_offsets(offsets) + encode_times(list(range(frames)))
    rule = of.rule_of(index == 0)
    head = {
        "index": index,
        "first_frame": first_frame,
        "first_pts": first_frame,
        "frames": frames,
        "latent_frames": rule.latent_frames(frames),
        "flags": FLAG_CAMERA | FLAG_KEY * (index == 0),
        "mask_coding": 0,
        "token_layout": 2,
        "tokens_kept": of.view_of(index == 0, frames, offsets).count if frames < 50 else 1,
        "times_bytes": len(front),
        "mask_bytes": 0,
        "step_adjust": 0,
    }
    return chunk(b"GRUP", GROUP_HEAD.pack(**{**head, **changes}) + front + bytes(8))


READING: list[Callable[[bytes], object]] = [
    lambda data: list(Reader(io.BytesIO(data))),
    lambda data: scan(io.BytesIO(data)),
]


@pytest.mark.parametrize("reading", READING, ids=["read", "scan"])
@pytest.mark.parametrize("far", [2**31 - 1, 40_000])
def test_a_world_without_end(far: int, reading: Callable[[bytes], object]) -> None:
    """Two frames far from each other in one group, and in two groups of one segment."""
    of = moving(60, 100, 4, group_latent_frames=2)
    here, there = np.zeros((4, 2), np.int64), np.full((4, 2), far)
    one = pack_header(of) + group_of(of, np.concatenate([here, there]), tokens_kept=6000)
    two = pack_header(of) + group_of(of, here) + group_of(of, there, 1, 4)
    for data, word in ((one, r"group 0 shows \d+ positions of the world, 48000"), (two, "group 1: its segment shows")):
        with cheaply(), pytest.raises(LimitError, match=word):
            reading(data)


@pytest.mark.parametrize("reading", READING, ids=["read", "scan"])
def test_a_world_that_grows_group_by_group(reading: Callable[[bytes], object]) -> None:
    """Each group shows little; the segment may not show more than its bound."""
    made = [group_of(OF, np.full((4, 2), 600 * index), index, 4 * index) for index in range(40)]
    with cheaply(), pytest.raises(LimitError, match=r"group \d: its segment shows"):
        reading(pack_header(OF) + b"".join(made))


def test_tens_of_thousands_of_frames() -> None:
    """As many offsets as frames, in a group of as many bytes as it may have; and few bytes of offsets for them all."""
    tokenizer = {"name": "test", "sha256": "ab" * 32, "channels": 1, "spatial": 8, "temporal": 256}
    of = replace(moving(1, 1, 1, group_latent_frames=255), tokenizer=tokenizer)
    many = 32_640
    rng = np.random.default_rng(0)
    ways = np.stack([rng.integers(-9, 9, 20_000), np.zeros(20_000, int)], axis=1)
    back = 8 * np.abs(np.arange(many) % 8000 - 4000)
    for offsets in (ways, np.stack([np.zeros_like(back), back], axis=1), np.full((many, 2), -5)):
        data = pack_header(of) + group_of(of, offsets)
        assert len(data) < 70_000
        with cheaply():
            assert check(io.BytesIO(data))


@pytest.mark.parametrize("under_prior", [False, True])
def test_large_claims_of_few_bytes(under_prior: bool) -> None:
    """Latent frames that show the far ends of the largest world, kept whole, in a hundred bytes: nothing is made for
    them."""
    by = prior(12)
    of = moving(540, 960, 12, group_latent_frames=2)
    of = under(of, by) if under_prior else of
    ends = np.tile([[0, 0], [8 * 980, 8 * 1700]], (4, 1))
    shown = of.view_of(True, 8, ends)
    assert shown.window.area < 8 * 540 * 960 and shown.count > 2 * 1.9 * 540 * 960
    layout = 3 if under_prior else 1
    data = pack_header(of) + group_of(of, ends, tokens_kept=shown.count, token_layout=layout)
    with cheaply():
        assert "cannot hold its" in str(check(io.BytesIO(data), find_prior=lambda name, sha256: by)[0])


def test_claims_that_contradict_what_is_shown() -> None:
    """Fewer tokens than a key group's first latent frame shows, more than all show, offsets of another number of
    frames: damage."""
    offsets = np.array([[0, 0], [0, 4], [0, 8], [0, 12], [3, 4], [3, 4], [6, 4], [6, 4]])
    view = OF.view_of(True, 8, offsets)
    assert [one.count for one in view.frames] == [10, 12]
    for changes in ({"tokens_kept": 9}, {"tokens_kept": 23}, {"frames": 7}, {"times_bytes": 3}, {"times_bytes": 0}):
        assert check(io.BytesIO(pack_header(OF) + group_of(OF, offsets, **changes)))


def test_damage_under_a_prior() -> None:
    """Bits of masks and tokens changed under right checksums, in a segment that shows new positions all the time."""
    by = prior(2)
    of = under(OF, by)
    front, parts = chunks(written(of, in_units(of, MADE), sound=False, prior=by))
    rng = np.random.default_rng(3)
    for _ in range(40):
        at = int(rng.integers(3))
        payload = bytearray(parts[at][8:-4])
        payload[rng.integers(33, len(payload))] ^= 1 << int(rng.integers(8))
        data = front + b"".join([*parts[:at], chunk(b"GRUP", bytes(payload)), *parts[at + 1 :]])
        with suppress(LatcompError):
            for item in Reader(io.BytesIO(data), find_prior=lambda name, sha256: by):
                if isinstance(item, Group):
                    assert int(item.mask.sum()) == len(item.tokens) and not item.mask[~item.view.visible].any()
