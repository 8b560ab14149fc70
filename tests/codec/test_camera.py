"""Protects: a moving camera is followed through every way of encoding and decoding, its background is kept once, and a
camera that stands still costs nothing but a word in the header.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.codec import pieces as pieces_module
from latcomp.codec.camera import follow_camera, jumps
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.codec.world import Placed
from latcomp.container import Group, Reader
from latcomp.metrics.luma import luma, psnr
from latcomp.models import find_tokenizer, prior_finder, spec_of
from latcomp.video import Frame, open_video
from latcomp.video.camera import CameraMotion
from tests.video.make import write

FRAMES, HEIGHT, WIDTH = 44, 96, 136
FLICKER = 16  # levels
SPEC = spec_of(find_tokenizer(None))


def texture(seed: int, height: int = 260, width: int = 560) -> np.ndarray:
    """(height, width, 3) uint8: coarse and fine detail, as of a scene with leaves."""
    rng = np.random.default_rng(seed)
    found = np.zeros((height, width, 3))
    for size, strength in ((32, 45), (8, 25), (2, 10)):
        coarse = rng.normal(0, strength, (height // size + 2, width // size + 2, 3))
        found += np.kron(coarse, np.ones((size, size, 1)))[:height, :width]
    return np.clip(found + 128, 0, 255).astype(np.uint8)


def pan(still: np.ndarray, path: list[tuple[int, int]]) -> list[np.ndarray]:
    """What a camera sees of a still scene, with a small thing that moves across the picture."""
    frames = []
    for number, (top, left) in enumerate(path):
        frame = still[top : top + HEIGHT, left : left + WIDTH].copy()
        frame[30:46, 3 * number % WIDTH : 3 * number % WIDTH + 12] = (220, 40, 40)
        frames.append(frame)
    return frames


PATH = [(20 + number // 2, 10 + 3 * number) for number in range(FRAMES)]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera that pans by three pixels a frame and sinks a little."""
    path = tmp_path_factory.mktemp("video") / "pan.mkv"
    write(path, pan(texture(1), PATH))
    return path


@pytest.fixture(scope="module")
def frames(video: Path) -> list[np.ndarray]:
    with open_video(video) as reader:
        return [item.pixels for item in reader if isinstance(item, Frame)]


def encoded(video: Path, **settings: Any) -> tuple[bytes, dict[str, Any]]:
    out = io.BytesIO()
    stats = encode(video, out, audio=False, device="cpu", **settings).stats
    return out.getvalue(), stats


def decoded(data: bytes, **settings: Any) -> list[np.ndarray]:
    return [frame.pixels for frame in decode_frames(io.BytesIO(data), device="cpu", **settings)]


def groups_of(data: bytes) -> list[Group]:
    reader = Reader(io.BytesIO(data), find_prior=prior_finder(None))
    found = [item for item in reader if isinstance(item, Group)]
    assert not reader.damage
    return found


def payloads(data: bytes) -> list[bytes]:
    """Of each group's chunk."""
    reader = Reader(io.BytesIO(data), find_prior=prior_finder(None))
    return [bytes(chunk.payload) for item, chunk in reader.with_chunks() if isinstance(item, Group) and chunk]


def quality(wanted: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Mean PSNR-Y in dB."""
    return float(np.mean([psnr(luma(a, None), luma(b, None)) for a, b in zip(wanted, found, strict=True)]))


@pytest.fixture(scope="module")
def followed(video: Path) -> bytes:
    return encoded(video, quality=5)[0]


def test_the_camera_is_found_where_it_was(followed: bytes) -> None:
    offsets = np.concatenate([group.offsets for group in groups_of(followed) if group.offsets is not None])
    assert len(offsets) == FRAMES
    assert np.abs(offsets - (np.array(PATH) - PATH[0])).max() <= 1


def test_following_saves_bits_and_tokens_at_the_same_quality(video: Path) -> None:
    moving, fewer = encoded(video, min_psnr=30)
    still, more = encoded(video, min_psnr=30, camera="off")
    assert len(moving) < 0.6 * len(still)
    assert fewer["tokens_kept"] < 0.8 * more["tokens_kept"]


def test_frames_come_back_in_size_and_number(followed: bytes) -> None:
    found = decoded(followed)
    assert [frame.shape for frame in found] == [(HEIGHT, WIDTH, 3)] * FRAMES


@pytest.mark.parametrize("fill", ["lit", "hold"])
def test_every_fill_decodes(followed: bytes, frames: list[np.ndarray], fill: str) -> None:
    assert quality(frames, decoded(followed, fill=fill)) > 25


@pytest.mark.parametrize("start", [0.3, 0.9, 1.5])
def test_a_part_is_the_part_of_the_whole(followed: bytes, start: float) -> None:
    whole, part = decoded(followed), decoded(followed, start_seconds=start)
    assert 0 < len(part) < FRAMES
    for a, b in zip(whole[-len(part) :], part, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1


def test_pieces_of_any_size_make_the_same_file(video: Path, followed: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for pixels in (1, 3 * 4 * HEIGHT * WIDTH):
        monkeypatch.setattr(pieces_module, "PIECE_PIXELS", pixels)
        assert encoded(video, quality=5)[0] == followed


def test_a_still_camera_gives_the_file_there_was_before(tmp_path: Path) -> None:
    """Chunk by chunk; only the header says that a camera might have been followed."""
    path = tmp_path / "still.mkv"
    write(path, pan(texture(2), [(0, 0)] * FRAMES))
    auto, off = encoded(path, quality=5)[0], encoded(path, quality=5, camera="off")[0]
    assert payloads(auto) == payloads(off) and auto != off


@pytest.mark.parametrize("keep", [0.2, 0.45])
def test_a_token_budget_is_met_exactly_over_what_is_visible(video: Path, keep: float) -> None:
    _, stats = encoded(video, keep=keep)
    assert stats["camera"]["pixels_per_frame"] > 2
    first = positions_shown(groups_of(encoded(video, keep=keep)[0]))
    assert stats["tokens_kept"] == max(first, round(keep * stats["tokens_total"]))


def positions_shown(groups: list[Group]) -> int:
    """Positions that a segment shows, counted one by one."""
    seen = set()
    for group in groups:
        for view in group.view.frames:
            seen |= set(zip(*(axis.tolist() for axis in view.world), strict=True))
    return len(seen)


def test_targets_are_met(video: Path, frames: list[np.ndarray]) -> None:
    data, stats = encoded(video, target_bpp=0.3)
    assert stats["bpp"] == pytest.approx(0.3, rel=0.03)
    data, _ = encoded(video, min_psnr=33)
    assert quality(frames, decoded(data)) >= 33


@pytest.mark.parametrize("settings", [{"coding": "zstd"}, {"reference": "previous"}, {"threshold": 0.02}])
def test_every_way_of_coding_gives_the_same_pictures_back(
    video: Path, frames: list[np.ndarray], settings: dict[str, Any]
) -> None:
    data, _ = encoded(video, quality=5, **settings)
    assert any(group.offsets is not None for group in groups_of(data))
    assert quality(frames, decoded(data)) > 27


def test_lossless_files_stay_where_they_are(video: Path) -> None:
    data, stats = encoded(video, lossless=True)
    assert stats["camera"] is None and all(group.offsets is None for group in groups_of(data))


def test_a_cut_begins_a_world(tmp_path: Path) -> None:
    """Also one between the frames of a latent frame: the world then begins with the next."""
    path = tmp_path / "cut.mkv"
    two = pan(texture(3), PATH[:21]) + pan(texture(53), PATH[:23])
    write(path, two)
    groups = groups_of(encoded(path, quality=5)[0])
    starts = [group.first_frame for group in groups if group.key]
    assert starts == [0, 24]
    second = next(group for group in groups if group.first_frame == 24)
    assert second.offsets is not None and second.offsets[0].tolist() == [0, 0]


def test_a_long_way_becomes_several_segments(tmp_path: Path) -> None:
    """What a segment remembers is bounded, however far the camera goes."""
    path = tmp_path / "far.mkv"
    still = texture(5, 96, 6400)
    write(path, pan(still, [(0, 48 * number) for number in range(130)]))
    groups = groups_of(encoded(path, quality=3)[0])
    starts = [group.first_frame for group in groups if group.key]
    assert len(starts) >= 2 and starts[0] == 0


def test_a_damaged_group_leaves_what_comes_after_its_segment(video: Path, followed: bytes) -> None:
    whole = decoded(followed)
    groups = groups_of(followed)
    assert sum(group.key for group in groups) == 1
    broken = bytearray(followed)
    broken[-500] ^= 255  # in the last group
    with open_lat(io.BytesIO(bytes(broken)), damaged="hold") as file:
        found = list(file)
    assert sum(len(group.pts) for group in found) == FRAMES
    assert found[0].tokens.tobytes() == groups[0].tokens.tobytes()
    assert len(whole) == FRAMES


@pytest.mark.parametrize(("speed", "followed"), [(2, True), (13, False)], ids=["slow", "fast"])
def test_a_camera_is_not_followed_where_little_stays_in_sight_for_what_it_gains(speed: int, followed: bool) -> None:
    """Under the same flicker following takes away three tenths of the change that is seen twice; but of what a fast
    camera shows, two fifths are new in each latent frame, of which nothing is known."""
    rng = np.random.default_rng(5)
    still = texture(3)
    items = []
    for number in range(32):
        picture = still[40 : 40 + HEIGHT, 10 + speed * number : 10 + speed * number + WIDTH]
        flicker = rng.normal(0, FLICKER, picture.shape[:2])[..., None]
        items.append(Frame(np.clip(picture + flicker, 0, 255).astype(np.uint8), number))
    given = [item.offset for item in follow_camera(items, SPEC) if isinstance(item, Placed)]
    assert len(given) == 32
    assert (given[-1] == (0, speed * 31)) == followed
    assert any(offset != (0, 0) for offset in given) == followed


def motions_of(path: list[tuple[int, int]]) -> list[CameraMotion]:
    return [CameraMotion(offset, cut=False, still=1, moved=1, shared=1) for offset in path]


def test_a_page_that_is_scrolled_at_once_is_no_turn_of_a_camera() -> None:
    """Lines of text that come to lie on lines of text halve the difference, and every token changes all the same."""
    rng = np.random.default_rng(2)
    hand = np.cumsum(rng.integers(-4, 5, (32, 2)), axis=0)
    assert not jumps(motions_of([(0, 13 * number) for number in range(32)]))
    assert not jumps(motions_of([(down, right) for down, right in hand.tolist()]))
    assert not jumps(motions_of([(0, 0)] * 32)) and not jumps([])
    assert jumps(motions_of([(-59 if 8 <= number < 20 else -4 * (number >= 20), 0) for number in range(32)]))
