"""Protects the header fields: what is written into a .lat describes the video again, and rubbish in them is refused."""

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latcomp.container.header_fields import VIDEO_FIELDS
from latcomp.errors import DamagedFileError
from latcomp.video import AudioInfo, ColorTags, VideoInfo

positive = st.fractions(min_value=Fraction(1, 10**6), max_value=10**6, max_denominator=10**6).filter(lambda f: f > 0)
audio = st.builds(
    AudioInfo,
    st.text(max_size=8),
    st.integers(1, 10**6),
    st.integers(1, 64),
    st.text(max_size=8),
    positive,
    st.none() | st.text(max_size=3),
    st.binary(max_size=50),
)
infos = st.builds(
    VideoInfo,
    st.integers(1, 10**5),
    st.integers(1, 10**5),
    positive,
    st.none() | positive,
    positive,
    st.integers(-180, 180),
    st.builds(ColorTags, *[st.integers(0, 255)] * 4),
    st.lists(audio, max_size=3).map(tuple),
)


@given(infos)
def test_header_fields_describe_the_video_again(info: VideoInfo) -> None:
    assert VideoInfo.from_header_fields(json.loads(json.dumps(info.to_header_fields()))) == info


def fields(**changes: Any) -> dict[str, Any]:
    info = VideoInfo(64, 48, Fraction(1, 25), Fraction(25), Fraction(1), 0, ColorTags())
    return info.to_header_fields() | changes


def test_the_keys_are_those_of_the_header() -> None:
    assert set(fields()) == set(VIDEO_FIELDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": "tall"},
        {"time_base": [1, 0]},
        {"time_base": [-1, 25]},
        {"time_base": None},
        {"average_rate": [-1, 1]},
        {"sample_aspect_ratio": [-1, 1]},
        {"sample_aspect_ratio": 0},
        {"color": {"matrix": 1}},
        {"audio": [{"codec": "aac"}]},
        {"audio": 7},
    ],
)
def test_fields_that_make_no_sense_are_a_damaged_file(changes: dict[str, Any]) -> None:
    with pytest.raises(DamagedFileError):
        VideoInfo.from_header_fields(fields(**changes))


def test_what_the_header_may_leave_unsaid() -> None:
    """FFmpeg's zeros: pixels are square then, and the rate is not known. The container allows both."""
    info = VideoInfo.from_header_fields(fields(sample_aspect_ratio=[0, 7], average_rate=[0, 1]))
    assert info.sample_aspect_ratio == 1 and info.average_rate is None
