"""Protects which files a data set consists of, and by which keys they are known."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from latcomp.datasets.paths import Texts, find_files
from latcomp.errors import UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.lat", "b/c.lat", "b/c.d.lat", "b/.c.lat.part.lat", ".hidden/e.lat", "b/notes.txt", "f.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def keys(paths: object) -> list[str]:
    return [key for _, key in find_files(paths)]  # type: ignore[arg-type]


def test_a_folder_gives_what_is_below_it(tree: Path) -> None:
    assert keys(tree) == ["a", "b/c.d", "b/c"]
    assert keys(tree / "b") == ["c.d", "c"]


def test_links_to_folders_are_followed_once(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "z.LAT").write_text("")
    (elsewhere / "round").symlink_to(elsewhere)
    (tree / "linked").symlink_to(elsewhere)
    (tree / "b/broken.lat").symlink_to(tree / "gone.lat")
    assert keys(tree) == ["a", "b/c.d", "b/c", "linked/z"]


def test_a_glob_is_keyed_from_its_first_wildcard_on(tree: Path) -> None:
    assert keys(f"{tree}/b/*.lat") == ["c.d", "c"]
    assert keys(f"{tree}/**/*.lat") == ["a", "b/c.d", "b/c"]
    assert keys(str(tree / "*")) == ["a"]


def test_a_list_names_files_relative_to_itself(tree: Path) -> None:
    (tree / "set.txt").write_text("# chosen\nb/c.lat\n\na.lat\n")
    assert keys(tree / "set.txt") == ["b/c", "a"]
    assert [path for path, _ in find_files(tree / "set.txt")] == [tree / "b/c.lat", tree / "a.lat"]


def test_a_named_file_has_the_key_it_was_named_by(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert keys("a.lat") == ["a"]
    assert keys([Path("b/c.lat"), "a.lat", "a.lat"]) == ["b/c", "a"]


def test_what_stands_for_nothing_is_said(tree: Path) -> None:
    (tree / "list.txt").write_text("gone.lat\n")
    (tree / "empty").mkdir()
    for path, words in (
        ("gone.lat", "no such file"),
        (tree / "empty", "holds no .lat files"),
        (f"{tree}/*.nothing", "matches no .lat files"),
        (tree / "list.txt", r"names gone\.lat"),
        ([], "none was given"),
        ([3], "not a path"),
    ):
        with pytest.raises(UsageError, match=words):
            find_files(path)  # type: ignore[arg-type]


def test_two_files_of_one_key_are_refused(tree: Path) -> None:
    (tree / "other").mkdir()
    (tree / "other/c.lat").write_text("")
    with pytest.raises(UsageError, match="both have the key 'c'"):
        find_files([tree / "b", tree / "other"])


def test_texts_are_a_list_that_pickles_small() -> None:
    names = [f"clips/{number:05}" for number in range(2000)] + ["", "ünï"]
    texts = Texts(names)
    assert list(texts) == names and texts[-1] == "ünï" and texts[1:3] == names[1:3] and texts[0] == names[0]
    assert len(pickle.dumps(texts)) < 20 * len(names)
    assert list(pickle.loads(pickle.dumps(texts))) == names
    with pytest.raises(IndexError):
        texts[len(names)]
