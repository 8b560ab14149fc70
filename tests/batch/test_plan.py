"""Protects: what becomes what is decided before any work, whatever links, names and rights a tree has."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from latcomp.batch import make_plan
from latcomp.errors import NotAVideoError, OutputError, UsageError


def tree(root: Path, *names: str) -> Path:
    """A folder with empty files of these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(source: Path, target: Path, **settings: Any) -> list[tuple[str, str]]:
    """(source, target) of a plan, both below their folders."""
    plan = make_plan(source, target, **settings)
    return [(task.name, str(task.target.relative_to(target))) for task in plan.tasks]


def test_the_tree_is_mirrored_in_the_order_of_names(tmp_path: Path) -> None:
    source = tree(tmp_path / "src", "b.MP4", "a/c.mkv", "a/notes.txt", "a/b/d.e.webm", "b/.hidden.mp4", ".git/x.mp4")
    assert names(source, tmp_path / "dst") == [
        ("a/b/d.e.webm", "a/b/d.e.lat"),
        ("a/c.mkv", "a/c.lat"),
        ("b.MP4", "b.lat"),
    ]


@pytest.mark.parametrize("name", ["a.insv", "b.dav", "c.h264", "d.mjpeg", "e.apng", "f.MTS", "g.hevc"])
def test_what_cameras_and_tools_call_their_videos_is_taken(tmp_path: Path, name: str) -> None:
    assert [made for made, _ in names(tree(tmp_path / "src", name), tmp_path / "dst")] == [name]


def test_files_that_are_passed_over_are_counted_in_one_line(tmp_path: Path) -> None:
    """Pictures and cameras' low-resolution copies are not what a folder is encoded for, but nothing is passed over in
    silence.
    """
    source = tree(
        tmp_path / "src", "a.mp4", "a.lrv", "b.PNG", "c/d.webp", "notes.txt", "README", "old.lat", ".hidden.txt"
    )
    plan = make_plan(source, tmp_path / "dst")
    assert [task.name for task in plan.tasks] == ["a.mp4"]
    (note,) = plan.notes
    assert note == (
        "left out, as not named like videos: 2 pictures (.png, .webp), 1 low-resolution preview (.lrv), 2 other files "
        "(.txt)"
    )
    assert make_plan(tree(tmp_path / "other", "a.mp4", "a.lat"), tmp_path / "dst").notes == ()


def test_two_sources_of_one_target_are_refused_and_told_apart_with_keep_suffix(tmp_path: Path) -> None:
    source = tree(tmp_path / "src", "day/a.mp4", "day/a.mkv", "b.mp4")
    with pytest.raises(UsageError, match=r"day/a\.mkv and day/a\.mp4 would both become .*day/a\.lat.*keep_suffix=True"):
        make_plan(source, tmp_path / "dst")
    assert [target for _, target in names(source, tmp_path / "dst", keep_suffix=True)] == [
        "b.mp4.lat",
        "day/a.mkv.lat",
        "day/a.mp4.lat",
    ]


def test_links_in_a_circle_end_and_links_to_other_folders_are_followed(tmp_path: Path) -> None:
    source = tree(tmp_path / "src", "day/a.mp4")
    outside = tree(tmp_path / "outside", "b.mp4")
    (source / "a-loop").symlink_to(source)
    (source / "day" / "up").symlink_to("..")
    (source / "linked").symlink_to(outside)
    (outside / "back").symlink_to(source / "day")
    (source / "self").symlink_to("self")
    plan = make_plan(source, tmp_path / "dst")
    assert [task.name for task in plan.tasks] == ["day/a.mp4", "linked/b.mp4"]
    assert len(plan.notes) == 3 and all("in the tree already" in note for note in plan.notes)


def test_outputs_inside_the_sources_are_not_sources(tmp_path: Path) -> None:
    source = tree(tmp_path / "src", "a.mp4", "out/old.mp4")
    assert names(source, source / "out") == [("a.mp4", "a.lat")]
    assert names(source, source) == [("a.mp4", "a.lat"), ("out/old.mp4", "out/old.lat")]


def test_a_folder_that_cannot_be_listed_is_told_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tree(tmp_path / "src", "a.mp4", "locked/b.mp4")
    listed = os.scandir

    def scandir(folder: Path) -> Any:
        if Path(folder).name == "locked":  # rights do not stop root, which tests may run as
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    plan = make_plan(source, tmp_path / "dst")
    assert [task.name for task in plan.tasks] == ["a.mp4"]
    ((folder, error),) = plan.unreadable
    assert folder == source / "locked" and "permission denied" in str(error)


def test_folders_without_videos_say_what_they_have(tmp_path: Path) -> None:
    target = tmp_path / "dst"
    with pytest.raises(NotAVideoError, match="no such folder"):
        make_plan(tmp_path / "src", target)
    source = tree(tmp_path / "src")
    source.mkdir()
    with pytest.raises(NotAVideoError, match="it has no files"):
        make_plan(source, target)
    with pytest.raises(NotAVideoError, match="none of its 1 file is named like one"):
        make_plan(tree(source, "readme.txt"), target)
    with pytest.raises(NotAVideoError, match=r"1 \.lat file, which latcomp decode"):
        make_plan(tree(source, "a.lat"), target)
    with pytest.raises(UsageError, match="not a folder"):
        make_plan(source / "readme.txt", target)
    with pytest.raises(OutputError, match="not a folder"):
        make_plan(tree(source, "a.mp4"), source / "readme.txt")
