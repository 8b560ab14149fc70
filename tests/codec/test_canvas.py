"""Protects: on the canvas every frame stands at its offset whole, and what it does not cover there changes as little as
it can.
"""

from __future__ import annotations

import numpy as np
import pytest

from latcomp.codec.canvas import Canvas
from latcomp.latents import Box, FrameView, Offset

HEIGHT, WIDTH, SPATIAL = 20, 28, 8


def frames_of_a_pan(still: np.ndarray, offsets: list[Offset]) -> list[np.ndarray]:
    """What a camera sees of a still picture, whose middle is the world's corner."""
    y, x = still.shape[0] // 2, still.shape[1] // 2
    return [still[y + dy : y + dy + HEIGHT, x + dx : x + dx + WIDTH] for dy, dx in offsets]


def boxed(offsets: list[Offset]) -> Box:
    return FrameView.of(Box.shown(offset, HEIGHT, WIDTH, SPATIAL) for offset in offsets).box


@pytest.fixture
def still() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (240, 240, 3), np.uint8)


@pytest.mark.parametrize(
    "path", [[(0, 0)] * 4, [(0, 0), (1, 5), (2, 11), (3, 17)], [(-9, -3), (-5, -8), (0, 0), (7, 9)]]
)
def test_each_frame_stands_at_its_offset(still: np.ndarray, path: list[Offset]) -> None:
    canvas, box = Canvas(SPATIAL), boxed(path)
    found = canvas.place(frames_of_a_pan(still, path), path, box)
    assert found.shape == (4, box.rows * SPATIAL, box.columns * SPATIAL, 3)
    for here, frame, (dy, dx) in zip(found, frames_of_a_pan(still, path), path, strict=True):
        top, left = dy - box.top * SPATIAL, dx - box.left * SPATIAL
        assert np.array_equal(here[top : top + HEIGHT, left : left + WIDTH], frame)


def test_a_still_world_does_not_change(still: np.ndarray) -> None:
    """What some frame of a latent frame shows is there in all of them: so a background costs its tokens once."""
    path = [(0, 0), (2, 6), (4, 12), (6, 18)]
    canvas, box = Canvas(SPATIAL), boxed(path)
    found = canvas.place(frames_of_a_pan(still, path), path, box)
    assert all(np.array_equal(here, found[0]) for here in found)


def test_what_went_out_of_a_frame_stays_as_it_was_last_seen(still: np.ndarray) -> None:
    canvas = Canvas(SPATIAL)
    first, then = [(0, 0)] * 4, [(0, 4)] * 4
    before = canvas.place(frames_of_a_pan(still, first), first, boxed(first))
    after = canvas.place(frames_of_a_pan(still, then), then, boxed(then))
    # columns 0 to 3 of the world are out of the frame, but in its box
    assert np.array_equal(after[:, :HEIGHT, :4], before[:, :HEIGHT, :4])


def test_what_nobody_saw_is_the_nearest_pixel_and_stays_that(still: np.ndarray) -> None:
    canvas, path = Canvas(SPATIAL), [(0, 0)] * 4
    frame = frames_of_a_pan(still, path)[0]
    found = canvas.place([frame] * 4, path, boxed(path))
    padded = np.pad(frame, ((0, 24 - HEIGHT), (0, 32 - WIDTH), (0, 0)), mode="edge")
    assert all(np.array_equal(here, padded) for here in found)
    other = 255 - frame
    again = canvas.place([other] * 4, path, boxed(path))
    assert np.array_equal(again[0, HEIGHT:], padded[HEIGHT:]) and np.array_equal(again[0, :HEIGHT, :WIDTH], other)


def test_a_new_stream_knows_nothing(still: np.ndarray) -> None:
    path = [(0, 3)] * 4
    frames = frames_of_a_pan(still, path)
    canvas, fresh = Canvas(SPATIAL), Canvas(SPATIAL)
    canvas.place(frames_of_a_pan(still, [(0, 0)] * 4), [(0, 0)] * 4, boxed([(0, 0)]))
    canvas.restart()
    assert np.array_equal(canvas.place(frames, path, boxed(path)), fresh.place(frames, path, boxed(path)))
