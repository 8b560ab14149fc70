"""Protects: a file whose camera was followed is read, checked, compared and opened as any other, hands its latents out
in world places alone, and says so.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import latcomp
from latcomp.codec.decode import decode_frames
from latcomp.codec.page import write_page
from latcomp.errors import UsageError
from tests.panning import panning_video
from tests.stats_keys import STATS_KEYS

FRAMES = 40


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return panning_video(tmp_path_factory.mktemp("clip") / "clip.mp4", FRAMES)


@pytest.fixture(scope="module")
def lat(clip: Path) -> Path:
    latcomp.encode(clip, clip.with_suffix(".lat"), device="cpu")
    return clip.with_suffix(".lat")


@pytest.fixture(scope="module")
def whole(lat: Path) -> np.ndarray:
    """(frames, H, W, 3): all of it, decoded."""
    return np.stack([frame.pixels for frame in decode_frames(lat, device="cpu")])


def test_stats_say_how_the_camera_went(lat: Path) -> None:
    with latcomp.open(lat) as file:
        figures, groups = file.stats(), list(file)
    assert set(figures) >= STATS_KEYS and figures["format_version"] == 2
    camera = figures["camera"]
    assert camera["mode"] == "auto" and camera["pixels_per_frame"] == pytest.approx(3.7, abs=0.15)
    assert {segment["mode"] for segment in camera["segments"]} == {"follow"}
    assert figures["tokens_total"] == sum(int(group.view.visible.sum()) for group in groups)
    assert figures["groups"][1]["offset_x"] == pytest.approx(3.7 * 32, abs=4)


def test_following_pays(clip: Path, lat: Path) -> None:
    """What the default is for; without it the file has no word of a camera."""
    still = io.BytesIO()
    stats = latcomp.encode(clip, still, device="cpu", camera="off").stats
    assert stats["camera"] is None and stats["format_version"] == 1
    assert lat.stat().st_size < 0.9 * len(still.getvalue())
    still.seek(0)
    dull, sharp = (latcomp.compare(clip, source, device="cpu").psnr_y for source in (still, lat))
    assert sharp > dull + 1
    exact = latcomp.encode(clip, io.BytesIO(), device="cpu", lossless=True, duration_seconds=0.2).stats
    assert exact["camera"] is None


def test_it_is_intact_and_close_to_its_original(clip: Path, lat: Path) -> None:
    assert latcomp.check(lat).ok
    found = latcomp.compare(clip, lat, device="cpu")
    assert found.frames == FRAMES and found.psnr_y > 30


@pytest.mark.parametrize("start", [0.5, 1.36])
def test_a_part_has_the_frames_of_the_whole(lat: Path, whole: np.ndarray, start: float) -> None:
    """In the middle of the first group, and in the second."""
    part = np.stack([frame.pixels for frame in decode_frames(lat, device="cpu", start_seconds=start)])
    assert np.array_equal(part, whole[-len(part) :]) and len(part) == FRAMES - np.ceil(25 * start)


def test_latents_and_mask_have_no_frame_places(lat: Path, tmp_path: Path) -> None:
    with latcomp.open(lat, device="cpu") as file:
        with pytest.raises(UsageError, match="give places='world', or encode with camera='off'"):
            file.latents()
        with pytest.raises(UsageError, match="read world_masks, or encode with camera='off'"):
            _ = file.mask
        with pytest.raises(UsageError, match="choose frame or world"):
            file.latents(places="window")
    with pytest.raises(UsageError, match="camera='off'"):
        latcomp.export(lat, tmp_path / "out.npz", device="cpu")
    assert not (tmp_path / "out.npz").exists()


def test_latents_in_world_places(lat: Path) -> None:
    """A part for each group, with what is needed to find a frame in it."""
    with latcomp.open(lat, device="cpu") as file:
        groups, parts, masks = list(file), file.latents(places="world"), file.world_masks
        spatial = int(file.header.tokenizer["spatial"])
        short = file.latents(0.48, 0.03, places="world")
    assert len(parts) == len(masks) == len(groups) == 2
    for group, part, mask in zip(groups, parts, masks, strict=True):
        assert part.window == mask.window and part.window[2:] == part.mask.shape[1:]
        assert part.latents.shape == (1, file.header.channels, *part.mask.shape)
        for name in ("mask", "visible", "offsets"):
            assert np.array_equal(getattr(part, name), getattr(mask, name))
        assert np.array_equal(part.mask, group.mask) and not (part.mask & ~part.visible).any()
        assert part.offsets.shape == (len(group.pts), 2)
        for place, (dy, dx) in enumerate(part.offsets.tolist()):
            top, left = dy // spatial - part.window[0], dx // spatial - part.window[1]
            assert part.visible[place // 4, top : top + 12, left : left + 20].all()
    (one,) = short
    assert one.mask.shape[0] == 1 and np.array_equal(one.offsets, parts[0].offsets[12:16])
    assert np.array_equal(one.latents[:, :, 0], parts[0].latents[:, :, 3])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_arrays_in_world_places(lat: Path, tmp_path: Path, suffix: str) -> None:
    done = latcomp.export(lat, tmp_path / f"out{suffix}", device="cpu", places="world")
    found = dict(np.load(tmp_path / "out.npz")) if suffix == ".npz" else load_file(tmp_path / "out.safetensors")
    names = ("tokens", "mask", "latents", "window", "offsets", "visible")
    assert set(found) == {f"{name}_{number}" for name in names for number in (0, 1)}
    assert done.tokens == sum(len(found[f"tokens_{number}"]) for number in (0, 1))
    assert done.positions == sum(int(found[f"visible_{number}"].sum()) for number in (0, 1))
    for number in (0, 1):
        dense, mask = found[f"latents_{number}"][0], found[f"mask_{number}"]
        assert np.array_equal(dense.transpose(1, 2, 3, 0)[mask], found[f"tokens_{number}"])


def test_a_still_file_has_both_places(clip: Path, tmp_path: Path) -> None:
    """The frame's own grid is then the window."""
    latcomp.encode(clip, tmp_path / "still.lat", device="cpu", camera="off", duration_seconds=0.3)
    with latcomp.open(tmp_path / "still.lat", device="cpu") as file:
        (part,) = file.latents(places="world")
        assert np.array_equal(part.latents, file.latents()) and np.array_equal(part.mask, file.mask)
    assert part.window == (0, 0, 12, 20) and part.visible.all() and not part.offsets.any()


def test_what_is_lost_is_held_where_the_camera_was(lat: Path, whole: np.ndarray) -> None:
    """Placeholders show what the last frame before them did, in its world places."""
    with latcomp.open(lat, device="cpu") as file:
        figures = file.stats()
        last = file.latents(places="world")[0]
    data = bytearray(lat.read_bytes())
    sizes = [group["bytes"] for group in figures["groups"]]
    data[figures["bytes_header"] + sizes[0] + sizes[1] // 2] ^= 255
    with latcomp.open(io.BytesIO(data), device="cpu", damaged="hold") as file:
        groups, parts = list(file), file.latents(places="world")
        assert file.damage
        with pytest.raises(UsageError, match="no frame places"):
            file.latents(1.4)
    assert sum(len(group.pts) for group in groups) == len(whole)
    placeholder, part = groups[-1], parts[-1]
    assert not placeholder.mask.any() and (placeholder.offsets == last.offsets[-1]).all()
    top, left = part.window[0] - last.window[0], part.window[1] - last.window[1]
    rows, columns = part.window[2:]
    held = last.latents[:, :, -1, top : top + rows, left : left + columns]
    assert all(np.array_equal(part.latents[:, :, t], held) for t in range(part.latents.shape[2]))


def test_the_page_shows_its_world(lat: Path, clip: Path) -> None:
    out = io.BytesIO()
    shown = write_page(lat, out, video=clip)
    assert shown.frames_shown == FRAMES
    assert b'"camera":true' in out.getvalue()
