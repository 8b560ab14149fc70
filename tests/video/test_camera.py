"""Protects camera offsets: they follow the background, do not drift, leave a still camera alone, and find cuts."""

import math

import numpy as np
import pytest

from latcomp.errors import UsageError
from latcomp.video.camera import CameraMotion, CameraTracker
from latcomp.video.planes import ONE, luma, pooled

HEIGHT, WIDTH = 144, 192
SIDE = 768


def texture(seed: int, smooth: int = 2) -> np.ndarray:
    """Smooth random shades (SIDE, SIDE) float that go on at the other side where they end."""
    total = np.zeros((SIDE, SIDE))
    for scale in (1, 2, 4, 8):
        size = SIDE // (4 * scale)
        coarse = np.random.default_rng((seed, scale)).normal(size=(size, size))
        shades = np.kron(coarse, np.ones((4 * scale, 4 * scale)))
        for _ in range(smooth):
            for axis in (0, 1):
                shades = sum(np.roll(shades, by, axis) for by in range(-2 * scale, 2 * scale + 1)) / (4 * scale + 1)
        total += shades / shades.std()
    return np.clip(128 + 40 * total / total.std(), 0, 255)


WORLD, OTHER = texture(1), 60 + texture(2) / 2  # of other tones, as other scenes are


def shot(world: np.ndarray, y: float, x: float, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """What a camera at (y, x) sees, uint8, interpolated between pixels."""
    rows, columns = (
        np.arange(math.floor(y), math.floor(y) + height + 1),
        np.arange(math.floor(x), math.floor(x) + width + 1),
    )
    part = world.take(rows, 0, mode="wrap").take(columns, 1, mode="wrap")
    down, across = y - math.floor(y), x - math.floor(x)
    part = part[:-1] * (1 - down) + part[1:] * down
    return np.rint(part[:, :-1] * (1 - across) + part[:, 1:] * across).astype(np.uint8)


def follow(frames: list[np.ndarray], **settings: bool) -> list[CameraMotion]:
    tracker = CameraTracker(**settings)
    return [tracker.follow(frame) for frame in frames]


def errors(path: list[tuple[float, float]], noise: float = 0.0) -> np.ndarray:
    """How many pixels the offsets of shots along a path of (y, x) are away from it, the larger of both axes."""
    random = np.random.default_rng(0)
    frames = [shot(WORLD, y, x) for y, x in path]
    if noise:
        frames = [np.clip(f + np.rint(random.normal(0, noise, f.shape)), 0, 255).astype(np.uint8) for f in frames]
    motions = follow(frames)
    assert not any(motion.cut for motion in motions)
    away = np.array([motion.offset for motion in motions]) - (np.array(path) - np.array(path[0]))
    return np.abs(away).max(1)


def offsets(motions: list[CameraMotion]) -> list[tuple[int, int]]:
    return [motion.offset for motion in motions]


@pytest.mark.parametrize("speed", [0.37, 1.5, 7.3, 33.7])
@pytest.mark.parametrize(("direction", "noise"), [((0, 1), 0), ((-1, 0), 3)])
def test_a_pan_at_any_speed_is_followed_without_drift(speed: float, direction: tuple[int, int], noise: float) -> None:
    away = errors([(direction[0] * speed * i, direction[1] * speed * i) for i in range(200)], noise)
    assert away.max() <= 1
    assert (away <= 0.75).mean() >= 0.9


def test_a_shaking_camera_is_followed_and_found_back() -> None:
    away = errors([(20 * math.sin(0.3 * i), 33 * math.sin(0.21 * i)) for i in range(80)])
    assert away.max() <= 1
    there = [(0.0, 5.3 * i) for i in range(50)]
    assert errors(there + there[::-1])[-1] <= 1


def test_the_fastest_pan_is_followed() -> None:
    assert errors([(0.0, 64.0 * i) for i in range(6)]).max() == 0
    assert errors([(40.0 * i, -50.0 * i) for i in range(6)]).max() == 0


def with_foreground(i: int, background: np.ndarray) -> np.ndarray:
    frame = background.copy()
    frame[30:120, 20 + 2 * i : 110 + 2 * i] = shot(OTHER, 0, 0, 90, 90)
    return frame


@pytest.mark.parametrize("noise", [0, 4])
def test_a_still_camera_stays_where_it_is_whatever_moves_before_it(noise: int) -> None:
    random = np.random.default_rng(3)
    frames = [with_foreground(i, shot(WORLD, 0, 0)) for i in range(40)]
    frames = [np.clip(f + random.normal(0, noise, f.shape), 0, 255).astype(np.uint8) for f in frames]
    assert set(offsets(follow(frames))) == {(0, 0)}


def test_the_background_is_followed_and_not_what_moves_with_the_camera() -> None:
    frames = []
    for i in range(30):
        frame = shot(WORLD, 0, 3 * i)
        frame[40:120, 60:130] = shot(OTHER, i % 3, 0, 80, 70)
        frames.append(frame)
    assert offsets(follow(frames)) == [(0, 3 * i) for i in range(30)]


def stripes(shift: int) -> np.ndarray:
    return np.broadcast_to(np.where((np.arange(WIDTH) + shift) // 11 % 2, 200, 50).astype(np.uint8), (HEIGHT, WIDTH))


def checkerboard(shift: int) -> np.ndarray:
    return stripes(shift) ^ stripes(0)[0, :HEIGHT, None]


@pytest.mark.parametrize("pattern", [stripes, checkerboard])
def test_of_repeating_patterns_the_smallest_motion_is_taken(pattern) -> None:
    assert set(offsets(follow([np.ascontiguousarray(pattern(0))] * 6))) == {(0, 0)}
    moving = follow([np.ascontiguousarray(pattern(2 * i)) for i in range(12)])
    assert offsets(moving) == [(0, 2 * i) for i in range(12)]


@pytest.mark.parametrize("value", [0, 20, 255])
def test_flat_noisy_and_dark_frames_have_no_motion(value: int) -> None:
    random = np.random.default_rng(5)
    frames = [np.clip(random.normal(value, 3, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8) for _ in range(20)]
    motions = follow(frames)
    assert set(offsets(motions)) == {(0, 0)} and not any(motion.cut for motion in motions)


def test_fades_and_flashes_are_neither_motion_nor_cuts() -> None:
    still = shot(WORLD, 0, 0).astype(int)
    fade = [(still * light // 30).astype(np.uint8) for light in [*range(30, -1, -1), *range(31)]]
    flash = [np.full_like(fade[0], 255), fade[0], np.clip(still + 90, 0, 255).astype(np.uint8), fade[0]]
    motions = follow([*fade, *flash])
    assert set(offsets(motions)) == {(0, 0)} and not any(motion.cut for motion in motions)


def test_a_pan_goes_on_behind_a_flash() -> None:
    frames = [shot(WORLD, 0, 4 * i) for i in range(12)]
    frames[6] = np.full_like(frames[6], 255)
    motions = follow(frames)
    assert not any(motion.cut for motion in motions) and motions[-1].offset == (0, 44)


def test_a_zoom_does_not_run_away() -> None:
    frames = []
    for i in range(40):
        scale = 1 + 0.01 * i
        rows = np.rint((np.arange(HEIGHT) - HEIGHT / 2) / scale + 300).astype(int)
        columns = np.rint((np.arange(WIDTH) - WIDTH / 2) / scale + 300).astype(int)
        frames.append(WORLD[np.ix_(rows, columns)].astype(np.uint8))
    assert np.abs(offsets(follow(frames))).max() <= 1


def test_text_that_scrolls_in_a_window_does_not_move_the_screen() -> None:
    text = np.where(np.random.default_rng(7).random((60, 30)) < 0.3, 20, 240).astype(np.uint8).repeat(8, 0).repeat(4, 1)
    screen = (shot(OTHER, 0, 0) // 2 + 100).astype(np.uint8)
    frames = []
    for i in range(20):
        frame = screen.copy()
        frame[40:120, 40:140] = text[5 * i : 5 * i + 80, :100]
        frames.append(frame)
    assert set(offsets(follow(frames))) == {(0, 0)}


def test_woven_fields_move_by_even_lines() -> None:
    frames = [shot(WORLD, 1.5 * i, 2 * i) for i in range(40)]
    motions = follow(frames, woven=True)
    assert all(motion.offset[0] % 2 == 0 for motion in motions)
    assert all(abs(motion.offset[0] - 1.5 * i) <= 2 for i, motion in enumerate(motions))
    assert motions[-1].offset[1] == 78


def test_a_cut_begins_a_new_world() -> None:
    frames = [shot(WORLD, 0, 3 * i) for i in range(8)] + [shot(OTHER, 2 * i, 0) for i in range(8)]
    motions = follow(frames)
    assert [motion.cut for motion in motions] == [i == 8 for i in range(16)]
    assert motions[7].offset == (0, 21) and motions[8].offset == (0, 0) and motions[15].offset == (14, 0)
    assert motions[8].shared == 0


def test_offsets_depend_only_on_the_frames_since_a_beginning() -> None:
    frames = [shot(WORLD, 1.3 * i, 2.7 * i) for i in range(20)]
    tracker = CameraTracker()
    first = [tracker.follow(frame) for frame in frames]
    tracker.restart()
    assert [tracker.follow(frame) for frame in frames] == first == follow(frames)


def test_measures_tell_what_following_gains() -> None:
    motion = follow([shot(WORLD, 0, 0), shot(WORLD, 5, 20)])[1]
    assert motion.offset == (5, 20) and motion.moved == 0 and motion.still > 5 * ONE
    assert motion.shared == (HEIGHT - 5) * (WIDTH - 20)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (31, 31), (40, 33), (16, 200), (65, 70)])
def test_pictures_of_any_size_are_taken(shape: tuple[int, int]) -> None:
    frames = [shot(WORLD, 0, i, *shape) for i in range(4)]
    assert offsets(follow([frames[0]] * 4)) == [(0, 0)] * 4
    follow(frames)


def test_another_size_begins_a_new_world() -> None:
    motions = follow([shot(WORLD, 0, 0), shot(WORLD, 0, 9), shot(WORLD, 0, 18, 100, 100)])
    assert motions[1].offset == (0, 9) and motions[2] == CameraMotion((0, 0), True, 0, 0, 0)


def test_luma_is_whole_number_arithmetic() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (131, 17, 3), dtype=np.uint8)
    red, green, blue = (pixels[..., i].astype(int) for i in range(3))
    assert (luma(pixels) == (77 * red + 150 * green + 29 * blue + 128) >> 8).all()
    plane = luma(pixels)
    assert (pooled(plane, 4) == (plane[:128, :16].reshape(32, 4, 4, 4).sum((1, 3), dtype=int) + 8) // 16).all()


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32), np.zeros((0, 8), np.uint8)]
)
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError):
        CameraTracker().follow(wrong)
    with pytest.raises(UsageError):
        luma(wrong.astype(np.float64))
