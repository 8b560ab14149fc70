"""Training data: crops are what the clip shows, drawn the same for the same seed, validation clips stay apart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp.errors import UsageError
from latcomp.training.clips import Clip, load_clips, split_clips
from latcomp.training.crops import cut, random_crop, to_rgb


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
