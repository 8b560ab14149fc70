"""Protects: a folder as the output of `encode` and `decode` takes a file named after the input; one made in vain is
gone.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused


@pytest.mark.parametrize("made", [True, False])
def test_there_and_back_through_folders(made: bool, clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    if made:
        folder.mkdir()
    assert latcomp("encode", clip, f"{folder}/", "-q").code == 0
    assert latcomp("decode", folder / "clip.lat", str(folder), "-q").code == 0
    assert latcomp("decode", folder / "clip.lat", f"{folder}/", "-q", "--codec", "ffv1").code == 0
    assert latcomp("decode", folder / "clip.lat", f"{folder}/", "-q", "--format", "matroska", "-f").code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["clip.lat", "clip.mkv", "clip.mp4"]
    assert_refused(latcomp("encode", clip, folder), 6)  # it is there now


def test_what_cannot_be_leaves_nothing(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_refused(latcomp("encode", tmp_path / "missing.mp4", f"{tmp_path}/new/"), 3)
    assert_refused(latcomp("decode", tmp_path / "missing.lat", f"{tmp_path}/new/"), 4)
    assert_refused(latcomp("encode", clip, f"{tmp_path}/no/such/"), 6)
    assert_refused(latcomp("encode", clip, f"{tmp_path}/file/"), 6)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_standard_input_has_no_name_to_take(clip: Path, shell: Latcomp, tmp_path: Path) -> None:
    assert_refused(shell("encode", "-", tmp_path, stdin=clip.read_bytes()), 2)
    assert list(tmp_path.iterdir()) == []
