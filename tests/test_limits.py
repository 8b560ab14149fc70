"""The bound on pixels that is taken unless one is given is the same wherever a video or a .lat file is read."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import pytest

from latcomp.codec.decode import decode, decode_frames
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import LatFile
from latcomp.container import Limits
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.video import VideoReader, open_video


@pytest.mark.parametrize("reads", [encode, decode, decode_frames, LatFile, open_video, VideoReader, Limits])
def test_one_bound_on_pixels(reads: Callable) -> None:
    assert signature(reads).parameters["max_pixels"].default == DEFAULT_MAX_PIXELS == 8192 * 4320
