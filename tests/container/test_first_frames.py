"""Protects files of tokenizers whose first latent frame stands for fewer frames than the others: each segment begins
with one, and what counts frames counts so.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest

from latcomp.codec.lat_file import LatFile
from latcomp.container import Group, Header, LostGroups, Reader, Writer, check, repair, scan
from latcomp.container.format import PRELUDE
from latcomp.container.header import pack_header
from latcomp.errors import DamagedFileError, UnsupportedFileError, UsageError
from latcomp.report.collect import collect
from latcomp.report.series import group_rows
from tests.container.golden_bad import with_header
from tests.container.make import groups, header, same_group, sized, written
from tests.fuzz.seal import front_of, split_front

OF = sized(3, 4, 2, first_frames=1, group_latent_frames=3)  # segments of two groups: 9 and 12 frames
MADE = groups(OF, 5, last_frames=6)
DATA = written(OF, MADE)


def read(data: bytes) -> tuple[Reader, list[Group | LostGroups]]:
    reader = Reader(io.BytesIO(data))
    return reader, [item for item in reader if isinstance(item, Group | LostGroups)]


def flipped(data: bytes, group: int) -> bytes:
    """The file with a bit of a group's payload changed."""
    at = [place for place in range(len(data)) if data[place : place + 4] == b"GRUP"][group] + 60
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_every_segment_begins_with_a_short_latent_frame() -> None:
    assert [(group.key, len(group.mask), len(group.pts)) for group in MADE] == [
        (True, 3, 9),
        (False, 3, 12),
        (True, 3, 9),
        (False, 3, 12),
        (True, 3, 6),
    ]
    reader, found = read(DATA)
    assert not reader.damage and check(io.BytesIO(DATA)) == []
    assert all(isinstance(b, Group) and same_group(a, b) for a, b in zip(MADE, found, strict=True))
    assert reader.frames_total == scan(io.BytesIO(DATA)).frames == 48
    assert [(entry.group, entry.first_frame) for entry in reader.index or ()] == [(0, 0), (2, 21), (4, 42)]
    assert reader.header == OF and reader.header.requires == ("first_frames",)


@pytest.mark.parametrize(("key", "frames"), [(True, 5), (True, 10), (False, 8), (False, 13)])
def test_frames_that_do_not_make_the_latent_frames_are_refused(key: bool, frames: int) -> None:
    """By the writer, and by the reader of what another writer wrote: here the same groups under a header of version 1,
    whose latent frames are all alike."""
    first, second = MADE[:2]
    wrong = first if key else second
    wrong = replace(wrong, pts=np.arange(frames) * 512 + wrong.pts[0])
    writer = Writer(io.BytesIO(), OF)
    if not key:
        writer.write_group(first)
    with pytest.raises(UsageError, match=f"{frames} frames do not make 3 latent frames"):
        writer.write_group(wrong)


def test_groups_of_one_rule_are_damage_under_the_other() -> None:
    plain = sized(3, 4, 2, group_latent_frames=3)
    front, rest = split_front(written(plain, groups(plain, 4)))
    assert "3 latent frames and 12 frames" in str(check(io.BytesIO(pack_header(OF) + rest))[0])
    assert check(io.BytesIO(front + rest)) == []


def test_readers_of_before_refuse_such_a_file_by_its_version() -> None:
    """And files that require nothing are what they were."""
    assert PRELUDE.unpack(DATA)["version"] == 2
    assert PRELUDE.unpack(pack_header(header()))["version"] == 1
    assert "requires" not in header().to_dict()
    assert scan(io.BytesIO(DATA)).format_version == 2


def test_what_is_not_known_is_refused_by_name_and_with_advice() -> None:
    """Whatever else the header says: it may be new too."""
    text = json.dumps({"requires": ["telepathy"]}).encode()
    with pytest.raises(UnsupportedFileError, match=r"requires 'telepathy'.*newer"):
        Reader(io.BytesIO(front_of(text, 2)))


@pytest.mark.parametrize(
    ("version", "changes", "word"),
    [
        (2, {}, "format version 1, not 2"),
        (1, {"requires": ["first_frames"], "tokenizer": OF.tokenizer}, "format version 2, not 1"),
        (1, {"tokenizer": OF.tokenizer}, "need each other"),
        (2, {"requires": ["first_frames"]}, "need each other"),
        (2, {"requires": ["first_frames"], "tokenizer": {**OF.tokenizer, "first_frames": 5}}, "more than its temporal"),
        (2, {"requires": ["first_frames"] * 2, "tokenizer": OF.tokenizer}, "twice"),
        (2, {"requires": "first_frames", "tokenizer": OF.tokenizer}, "not a list"),
    ],
)
def test_a_header_that_contradicts_itself_is_damaged(version: int, changes: dict[str, object], word: str) -> None:
    with pytest.raises(DamagedFileError, match=word):
        Reader(io.BytesIO(with_header(version, **changes)))


def test_a_first_frames_that_is_temporal_needs_nothing() -> None:
    of = sized(3, 4, 2)
    same = replace(of, tokenizer={**of.tokenizer, "first_frames": 4})
    assert same.version == 1
    with pytest.raises(UsageError, match="need each other"):
        replace(of, requires=("first_frames",))


def test_lost_latent_frames_follow_the_rule() -> None:
    """The head of group 1 is damaged with it; that of group 3 can be read, but not what stands before it."""
    reader, found = read(flipped(DATA, 0))
    lost = found[0]
    assert isinstance(lost, LostGroups)
    # group 0 is unreadable: whole latent frames, the last short; group 1 follows it in its segment and has its head
    assert (lost.frames, lost.latent_frames) == (21, (4, 4, 1, 4, 4, 4))
    assert [item.index for item in found[1:] if isinstance(item, Group)] == [2, 3, 4]


@pytest.mark.parametrize("group", range(5))
def test_what_is_damaged_never_makes_a_file_shorter(group: int) -> None:
    data = flipped(DATA, group)
    with LatFile(io.BytesIO(data), damaged="hold") as file:
        # six frames of a group that cannot be read: two whole latent frames' worth, though they were 1 + 4 + 1
        assert file.mask.shape == (15 - (group == 4), 3, 4)
        assert sum(len(item.pts) for item in file) == 48
    out = io.BytesIO()
    repair(io.BytesIO(data), out)
    assert check(io.BytesIO(out.getvalue())) == []
    with LatFile(io.BytesIO(out.getvalue())) as file:
        assert file.header == OF


def test_a_page_shows_each_frame_with_its_latent_frame() -> None:
    """Latent frames begin where the rule says; their pictures name the one they belong to."""
    unit = OF.time_base[0] / OF.time_base[1]
    reader = Reader(io.BytesIO(DATA))
    picture = np.zeros((OF.height, OF.width, 3), np.uint8)
    made = collect(reader, group_rows(scan(io.BytesIO(DATA))), lambda group: iter([picture] * len(group.pts)))
    counts = [count for group in MADE for count in OF.rule_of(group.key).counts(len(group.pts))]
    assert counts == [1, 4, 4, 4, 4, 4, 1, 4, 4, 4, 4, 4, 1, 4, 1]
    starts = np.cumsum([0, *counts[:-1]])
    assert [start for start, _ in made.history.times] == pytest.approx((starts * 512 * unit).tolist())
    assert made.history.kept == [int(mask.sum()) for group in MADE for mask in group.mask]
    for shown in made.shelf.frames:
        assert starts[shown.latent_frame] <= shown.frame < starts[shown.latent_frame] + counts[shown.latent_frame]


def test_the_rule_of_a_header() -> None:
    plain: Header = header()
    assert (plain.rule_of(key=True), plain.rule_of(key=False)) == (OF.rule_of(key=False),) * 2
    assert OF.rule_of(key=True).counts(9) == [1, 4, 4]
