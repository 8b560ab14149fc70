"""Protects: a part deep inside a segment is what the whole has there, though what lies before it is hardly decoded."""

from __future__ import annotations

import io

import numpy as np
import pytest

from latcomp.codec.decode import decode_frames
from latcomp.codec.decode_stream import DecodeStream
from latcomp.codec.decoder import Decoder
from latcomp.codec.encode import encode
from latcomp.container import Group, Reader
from latcomp.latents.time_window import TimeWindow
from latcomp.models import prior_finder
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.video import Frame
from tests.conftest import moving_square
from tests.container.reference_file import pieces
from tests.video import make

FRAMES, GROUP = 200, 32


@pytest.fixture(scope="module")
def lat() -> bytes:
    """One segment of seven groups in which something moves all the time."""
    video, file = io.BytesIO(), io.BytesIO()
    make.write(video, list(moving_square(FRAMES, 40, 24)), format="matroska")
    video.seek(0)
    encode(video, file, quality=4, device="cpu")
    groups = [
        item for item in Reader(io.BytesIO(file.getvalue()), find_prior=prior_finder()) if isinstance(item, Group)
    ]
    assert [group.key for group in groups] == [True, *[False] * 6]
    return file.getvalue()


@pytest.fixture(scope="module")
def whole(lat: bytes) -> np.ndarray:
    return np.stack([frame.pixels for frame in decode_frames(io.BytesIO(lat), device="cpu")]).astype(int)


@pytest.mark.parametrize("first", [GROUP - 1, GROUP, GROUP + 1, 3 * GROUP, 195])
def test_frames_and_work(lat: bytes, whole: np.ndarray, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokenizer's decoder runs for the groups of the part, and as far back as its blocks see."""
    steps: list[int] = []
    decode = Tokenizer.decode

    def counted(self: Tokenizer, latents: object, *more: object) -> object:
        steps.append(latents.shape[2])  # type: ignore[attr-defined]
        return decode(self, latents, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Tokenizer, "decode", counted)
    part = list(decode_frames(io.BytesIO(lat), device="cpu", start_seconds=first / 25))
    assert len(part) == FRAMES - first
    assert np.abs(np.stack([frame.pixels for frame in part]) - whole[first:]).max() <= 1
    group = first // GROUP
    before = min(group * GROUP // 4, 8)
    assert sum(steps) <= before + -(-(FRAMES - group * GROUP) // 4)


def test_a_lost_frame_is_the_last_one_before_it_that_was_skipped(lat: bytes, whole: np.ndarray) -> None:
    """Groups 0 to 4 are skipped, group 5 is damaged: its frames are the last frame of group 4, as when everything is
    decoded.
    """
    damaged = bytearray(lat)
    offsets = [offset for offset, kind, _ in pieces(lat).chunks if kind == "GRUP"]
    damaged[offsets[5] + 60] ^= 1
    reader = Reader(io.BytesIO(bytes(damaged)), find_prior=prior_finder())
    stream = DecodeStream(reader, Decoder(reader.header, "cpu"), TimeWindow.of(5.5 * GROUP / 25, None))
    frames = [item.pixels for item in stream if isinstance(item, Frame)]
    assert reader.damage
    assert len(frames) == FRAMES - 5.5 * GROUP
    for pixels in frames:
        assert np.abs(pixels - whole[5 * GROUP - 1]).max() <= 1
