"""Protects that latent frames by number are those that a whole reading gives, and what is read for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import latcomp
from latcomp.codec.lat_file import LatFile
from latcomp.codec.timeline import Timeline
from latcomp.container import Reader, scan
from latcomp.errors import DamagedFileError, UsageError

FRAMES = 300  # 75 latent frames: a segment of 64, and one of 11


@pytest.fixture(scope="module")
def lat(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("stretch")
    video = make_video(folder / "clip.mp4", FRAMES, 48, 32)
    latcomp.encode(video, folder / "clip.lat", device="cpu", camera="off", coding="zstd")
    return folder / "clip.lat"


def joined(file: LatFile, first: int, count: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    parts = file.stretch(first, count)
    latents = np.concatenate([part.latents.cpu().numpy() for part in parts], axis=2)
    return latents, np.concatenate([part.mask for part in parts]), sum(len(part.offsets) for part in parts)


@pytest.mark.parametrize(
    ("first", "count", "frames"), [(0, None, 300), (3, 9, 36), (60, 8, 32), (66, 4, 16), (70, 20, 20)]
)
def test_a_stretch_is_a_part_of_the_whole(lat: Path, first: int, count: int | None, frames: int) -> None:
    with latcomp.open(lat, device="cpu") as file:
        whole, mask = file.latents().numpy(), file.mask
        end = None if count is None else first + count
        latents, kept, found = joined(file, first, count)
        np.testing.assert_array_equal(latents, whole[:, :, first:end])
        np.testing.assert_array_equal(kept, mask[first:end])
        assert found == frames


def test_only_the_groups_that_are_needed_are_decoded(lat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    groups = LatFile._groups

    def watched(self: LatFile, reader: Reader):  # type: ignore[no-untyped-def]
        for group, lost in groups(self, reader):
            read.append(group.index)
            yield group, lost

    monkeypatch.setattr(LatFile, "_groups", watched)
    with latcomp.open(lat, device="cpu") as file:
        file.stretch(66, 4)
        assert read == [8]  # the key group of the second segment
        read.clear()
        file.stretch(9, 3)
        assert read == [0, 1]


def test_the_index_and_the_groups_tell_the_same_timeline(lat: Path) -> None:
    with lat.open("rb") as file:
        indexed = Timeline.of(Reader(file))
        file.seek(0)
        assert indexed == Timeline.counted(scan(file))
    assert indexed is not None
    assert [segment.first_latent for segment in indexed.segments] == [0, 64]
    assert (indexed.frames, indexed.latent_frames) == (FRAMES, 75)


def test_a_file_that_is_cut_off_has_no_timeline_unless_damage_is_held(lat: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.lat"
    cut.write_bytes(lat.read_bytes()[:-200])
    with latcomp.open(cut) as file, pytest.raises(DamagedFileError, match="cut off"):
        _ = file.timeline
    with latcomp.open(cut, damaged="hold", device="cpu") as file:
        assert file.timeline.latent_frames == 72  # the last group went
        assert len(file.stretch(70, 5)[0].mask) == 2


def test_what_is_no_latent_frame_is_said(lat: Path) -> None:
    with latcomp.open(lat, device="cpu") as file:
        with pytest.raises(UsageError, match="first -1"):
            file.stretch(-1, 3)
        with pytest.raises(UsageError, match="count 0"):
            file.stretch(0, 0)
        assert file.stretch(200, 3) == []


def test_a_lit_is_loaded_only_for_groups_that_it_fills(lat: Path) -> None:
    with latcomp.open(lat, device="cpu", fill="hold") as file:
        file.stretch(0, 4)
        assert file.models is not None
        assert file.models.lit is None
