"""Training data: crops are what the clip shows, drawn the same for the same seed, validation clips stay apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp.errors import UsageError
from latcomp.training.clips import Clip, load_clips, split_clips
from latcomp.training.crops import Crop, Footage, cut, draw_crop, follow, pan, random_crop, taken, to_rgb, toned


def test_clips_are_decoded_once_and_crops_repeat_for_a_seed(clips: Path) -> None:
    first = load_clips(clips, 8, 64)
    stamps = [Path(str(clip.planes.filename)).stat().st_mtime_ns for clip in first]  # type: ignore[attr-defined]
    again = load_clips(clips, 8, 64)
    assert [Path(str(clip.planes.filename)).stat().st_mtime_ns for clip in again] == stamps  # type: ignore[attr-defined]
    assert [(c.frames, c.height, c.width) for c in first] == [(40, 96, 128)] * 3
    one, two, other = (random_crop(first, 0, step, 1, 8, 64) for step in (5, 5, 6))
    assert one.shape == (8, 3, 64, 64)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_folder_without_usable_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_clips(tmp_path, 8, 64)
    with pytest.raises(UsageError):
        load_clips(tmp_path / "missing", 8, 64)


def test_validation_clips_are_never_trained_on() -> None:
    clips = [Clip(f"{i:03}", np.zeros((9, 6), np.uint8), 2, 2) for i in range(64)]
    training, validation = split_clips(clips)
    assert len(validation) == 4
    assert not {c.name for c in training} & {c.name for c in validation}


def test_chroma_of_a_crop_belongs_to_its_luma() -> None:
    luma = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16)
    chroma = np.stack([np.arange(64, dtype=np.uint8).reshape(8, 8)] * 2)
    planes = np.concatenate([luma.ravel(), chroma.ravel()])[None].repeat(4, 0)
    crop = cut(Clip("x", planes, 16, 16), 1, 2, 4, 6, 8)
    assert np.array_equal(crop[0, 0], luma[4:12, 6:14])
    assert np.array_equal(crop[0, 1, ::2, ::2], chroma[0, 2:6, 3:7])


def test_grey_levels_map_to_the_ends_of_the_range() -> None:
    planes = np.array([[16, 128, 128], [235, 128, 128]], np.uint8).reshape(1, 2, 3, 1, 1)
    rgb = to_rgb(planes)
    assert torch.allclose(rgb[0, :, 0], torch.tensor(-1.0), atol=1e-3)
    assert torch.allclose(rgb[0, :, 1], torch.tensor(1.0), atol=1e-3)


def moving(frames: int = 12) -> tuple[Clip, np.ndarray, np.ndarray]:
    """A clip of 48x64 pixels over a picture that stands still, (dy, dx, cut) of its frames, and that picture's planes
    (3, H, W), chroma at full size."""
    rng = np.random.default_rng(1)
    luma, chroma = rng.integers(0, 256, (96, 128), np.uint8), rng.integers(0, 256, (2, 48, 64), np.uint8)
    offsets = np.array([(2 * t, 4 * t, t == 0) for t in range(frames)], np.int32)
    rows = []
    for dy, dx, _ in offsets.tolist():
        near = chroma[:, dy // 2 : dy // 2 + 24, dx // 2 : dx // 2 + 32]
        rows.append(np.concatenate([luma[dy : dy + 48, dx : dx + 64].ravel(), near.ravel()]))
    full = chroma.repeat(2, 1).repeat(2, 2)
    return Clip("moving", np.stack(rows), 48, 64), offsets, np.concatenate([luma[None], full])


def test_crops_that_follow_the_camera_stay_in_their_place_in_the_world() -> None:
    clip, offsets, picture = moving()
    chances = np.ones(1)
    crops = [draw_crop([clip], chances, 0, step, 0, 6, 16, [offsets]) for step in range(60)]
    followed = [crop for crop in crops if crop.path and crop.shrink == 1 and not crop.still]
    assert 30 < len(followed) < 60
    for crop in followed:
        top, left = crop.path[0]
        dy, dx = offsets[crop.first, :2]
        wanted = picture[:, dy + top : dy + top + 16, dx + left : dx + left + 16]
        found = taken([clip], crop, 6, 16)
        still = np.flip(found, -1) if crop.mirrored else found
        assert np.array_equal(still, np.broadcast_to(wanted, still.shape))
    assert any(crop.path[0][0] % 2 for crop in followed), "odd places are drawn too"


def test_a_device_cuts_the_same_crops_as_the_host() -> None:
    clip, offsets, _ = moving()
    cpu = torch.device("cpu")
    host, device = (Footage([clip], cpu, most, [offsets]) for most in (0, 1 << 30))
    assert device.resident and not host.resident
    crops = host.draw(3, 5, 80, 6, 16)
    kinds = {(bool(crop.path), crop.still, crop.shrink) for crop in crops}
    assert {(True, False, 1), (False, False, 1), (True, False, 2), (False, False, 2)} <= kinds
    assert any(still for _, still, _ in kinds)
    assert torch.equal(host.take(crops, 6, 16), device.take(crops, 6, 16))


def test_crops_stay_where_they_are_when_the_camera_is_unknown_or_a_world_begins() -> None:
    clip, offsets, _ = moving()
    rng = np.random.default_rng(0)
    assert follow(np.zeros((6, 3), np.int32), clip, 16, rng) == ()
    cut_inside = offsets[:6].copy()
    cut_inside[3, 2] = 1
    assert follow(cut_inside, clip, 16, rng) == ()
    assert follow(offsets, clip, 48, rng) == (), "no place that all frames show"
    plain, none = (draw_crop([clip], np.ones(1), 0, 1, 0, 6, 16, known) for known in (None, [np.zeros((12, 3), int)]))
    assert plain == none


def test_a_shrunk_crop_shows_four_times_the_picture() -> None:
    clip, _, picture = moving(1)
    crop = Crop(0, 0, 1, 4, 8, shrink=2)
    wide = picture[:, 4:36, 8:40].reshape(3, 16, 2, 16, 2).astype(float).mean((2, 4))
    assert np.abs(taken([clip], crop, 1, 16)[0] - wide).max() <= 0.5


def test_a_still_is_panned_over_steadily_and_never_left() -> None:
    clip, _, picture = moving(1)
    for seed in range(40):
        path = pan(clip, 20, 16, np.random.default_rng(seed))
        places = np.array(path)
        assert places.min() >= 0 and (places <= (48 - 16, 64 - 16)).all()
        steps = np.diff(places, axis=0)
        assert (np.sign(steps).max(0) - np.sign(steps).min(0) <= 1).all(), "no turning back"
        found = taken([clip], Crop(0, 0, 1, *path[0], path=path, still=True), 20, 16)
        for frame, (top, left) in zip(found, path, strict=True):
            assert np.array_equal(frame, picture[:, top : top + 16, left : left + 16])
    assert any(np.ptp(np.array(pan(clip, 6, 16, np.random.default_rng(seed))), axis=0).all() for seed in range(8))


def test_contrast_and_noise_are_drawn_by_their_generator_and_stay_in_range() -> None:
    pixels = torch.linspace(-1, 1, 64).view(1, 1, 1, 8, 8).expand(64, 3, 2, 8, 8)
    one, same, other = (toned(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.min() >= -1 and one.max() <= 1
    untouched = (one == pixels).flatten(1).all(1)
    assert 16 <= untouched.sum() <= 48
    changed = one[~untouched]
    assert ((changed[..., 1:] - changed[..., :-1]) < -0.01).any(), "some have noise"
    assert (changed.diff(dim=-1).clamp_min(-1e-6) >= 0).flatten(1).all(1).any(), "most keep the order of their levels"
