"""What is written comes back exactly, whatever it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import AudioChunk, AudioPacketBytes, Group, Reader, Writer, check
from latcomp.container.times import decode_times, encode_times
from latcomp.errors import LimitError, UsageError
from latcomp.limits import SECONDS_MAX
from tests.container.make import audio, groups, header, same_group, sized, written

QUICK = settings(max_examples=40, deadline=None)
INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def any_groups(draw: st.DrawFn, lossless: bool = False):
    """(header, groups): tiny grids, any masks, any symbols, one to three groups of one to eight latent frames."""
    rows, columns, channels = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 7))
    of = sized(rows, columns, channels, coding="lossless" if lossless else "int")
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    reach = draw(st.sampled_from([0, 1, 3, 9, 70, 300, 2**15 - 1]))
    density = draw(st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0]))
    made, first, time = [], 0, draw(st.integers(-SECONDS_MAX * 12800, SECONDS_MAX * 12800 - 2**47))
    for index in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(1, 8))
        frames = 4 * (steps - 1) + draw(st.integers(1, 4))
        key = index == 0 or draw(st.booleans())
        mask = rng.random((steps, rows, columns)) < density
        mask[0] |= key
        shape = (int(mask.sum()), channels)
        if lossless:
            tokens = rng.integers(0, 2**32, shape, np.uint32).view(np.float32)
        else:
            tokens = np.clip(rng.laplace(size=shape) * reach / 3, -(2**15), 2**15 - 1).astype(np.int32)
            if reach > 300 and tokens.size:
                tokens.flat[0], tokens.flat[-1] = -(2**15), 2**15 - 1
        steps_between = draw(st.lists(st.integers(1, 2**40), min_size=frames, max_size=frames))
        pts = time + np.cumsum(np.array(steps_between, np.int64))
        time = int(pts[-1])
        made.append(Group(index, key, first, pts, mask, tokens, draw(st.sampled_from(["lit", "hold"]))))
        first += frames
    return of, made


def assert_comes_back(of, made) -> None:
    data = written(of, made, sound=False)
    reader = Reader(io.BytesIO(data))
    back = list(reader)
    assert reader.header == of
    assert [type(item) for item in back] == [Group] * len(made)
    assert all(same_group(*pair) for pair in zip(made, back, strict=True))
    assert not reader.damage


@QUICK
@given(any_groups())
def test_any_mask_and_any_symbols(case) -> None:
    """Masks, symbols up to the 16-bit bounds, times of any order and short groups survive."""
    assert_comes_back(*case)


@QUICK
@given(any_groups(lossless=True))
def test_floats_bit_by_bit(case) -> None:
    """Lossless tokens keep every bit, those of NaN payloads and negative zeros too."""
    assert_comes_back(*case)


@pytest.mark.parametrize("coding", ["int", "lossless"])
@pytest.mark.parametrize("last_frames", [32, 31, 5, 1])
def test_lifelike_file(coding: str, last_frames: int) -> None:
    """A file of several segments, whose last group is short, survives with its audio, and is found intact."""
    of = sized(12, 17, 10, coding=coding)
    made = groups(of, 5, last_frames=last_frames)
    data = written(of, made)
    items = list(Reader(io.BytesIO(data)))
    assert items[0::2] == [audio(place) for place in range(1, 6)]
    assert all(same_group(*pair) for pair in zip(made, items[1::2], strict=True))
    assert check(io.BytesIO(data)) == []


def test_same_bytes_again() -> None:
    """Writing the same groups twice gives the same bytes."""
    of = sized(12, 17, 10)
    assert written(of, groups(of, 3)) == written(of, groups(of, 3))


def test_groups_that_keep_nothing() -> None:
    """A still scene: groups without any token after the key group."""
    of = header()
    made = groups(of, 1)
    rows, columns = of.grid
    for index in (1, 2):
        pts = made[-1].pts + 512 * 32
        empty = np.zeros((0, of.channels), np.int32)
        made.append(Group(index, False, 32 * index, pts, np.zeros((8, rows, columns), bool), empty, "hold"))
    assert_comes_back(of, made)


@QUICK
@given(st.lists(INT64, min_size=1, max_size=40))
def test_any_times(times: list[int]) -> None:
    """Frame times of any order and size survive."""
    assert decode_times(encode_times(times), len(times), times[0]).tolist() == times


def test_regular_times_are_small() -> None:
    """A constant rate takes a few bytes per group, one that was rounded to milliseconds not many more."""
    assert len(encode_times([1001 * n for n in range(32)])) <= 3
    assert len(encode_times([round(1000 * n / 29.97) for n in range(32)])) <= 32


@QUICK
@given(
    st.lists(
        st.tuples(st.none() | INT64, st.none() | INT64, INT64, st.integers(0, 2**64 - 1), st.binary(max_size=40)),
        min_size=1,
    )
)
def test_any_audio(packets) -> None:
    """Audio packets survive, with or without times, empty ones too."""
    chunk = AudioChunk(1, tuple(AudioPacketBytes(*packet) for packet in packets))
    out = io.BytesIO()
    with Writer(out, header()) as writer:
        writer.write_audio(chunk)
    assert list(Reader(io.BytesIO(out.getvalue()))) == [chunk]


def test_writer_refuses_what_does_not_fit() -> None:
    """Groups out of order, of the wrong shape or type, key groups with holes and symbols above 16 bits are refused by
    name.
    """
    of = header()
    good = groups(of, 2)
    fields = {name: getattr(good[0], name) for name in ("index", "key", "first_frame", "pts", "mask", "tokens", "fill")}
    holed = fields["mask"].copy()
    holed[0, 0, 0] = False
    wrong = [
        {"index": 1},
        {"first_frame": 4},
        {"key": False},
        {"pts": fields["pts"][:28]},
        {"mask": fields["mask"][:, 1:]},
        {"mask": holed, "tokens": fields["tokens"][1:]},
        {"tokens": fields["tokens"][:-1]},
        {"tokens": fields["tokens"].astype(np.int64)},
        {"fill": "guess"},
    ]
    for change in wrong:
        with pytest.raises(UsageError):
            Writer(io.BytesIO(), of).write_group(Group(**{**fields, **change}))
    with pytest.raises(LimitError, match="16 bits"):
        Writer(io.BytesIO(), of).write_group(Group(**{**fields, "tokens": fields["tokens"] + 2**15}))
    for wrong_packet in (AudioPacketBytes(2**63, 0, 0, 0, b""), AudioPacketBytes(0, 0, 0, -1, b"")):
        with pytest.raises(UsageError, match="64 bits"):
            Writer(io.BytesIO(), of).write_audio(AudioChunk(0, (wrong_packet,)))
    with pytest.raises(UsageError, match="stream"):
        Writer(io.BytesIO(), of).write_audio(AudioChunk(2, ()))


def test_no_end_marker_after_an_error() -> None:
    """A writer that is left by an exception does not mark the file as complete."""
    out, of = io.BytesIO(), header()
    with pytest.raises(RuntimeError), Writer(out, of) as writer:
        writer.write_group(groups(of, 1)[0])
        raise RuntimeError
    reader = Reader(io.BytesIO(out.getvalue()))
    assert len(list(reader)) == 1
    assert "end marker" in str(reader.damage[0])
