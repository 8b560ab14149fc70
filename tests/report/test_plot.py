"""Plots are written as PNG and SVG, the same file giving the same picture, and what stands in the way is said."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest

from latcomp.container import Writer, scan
from latcomp.errors import OutputError, UsageError
from latcomp.report.plot import save_plot
from latcomp.report.series import group_rows
from latcomp.report.stats import stats_dict
from tests.container.make import groups, header, written

pytest.importorskip("matplotlib")


def draw(data: bytes, path: Path, force: bool = False, lost: tuple[int, ...] = ()) -> None:
    summary = scan(io.BytesIO(data))
    summary.groups = [group for group in summary.groups if group.index not in lost]
    save_plot(stats_dict(summary), group_rows(summary), "a$_clip$.lat", path, force)


def lat(count: int = 5) -> bytes:
    of = header()
    return written(of, groups(of, count))


def test_png_and_svg(tmp_path: Path) -> None:
    draw(lat(), tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    for name in ("one.svg", "two.SVG"):
        draw(lat(), tmp_path / name)
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "two.SVG").read_text(encoding="utf-8")
    words = "".join(ElementTree.fromstring(text).itertext())
    for word in ("a$_clip$.lat", "tokens kept, %", "keep masks", "kbit/s", "seconds", "mean"):
        assert word in words


@pytest.mark.parametrize("lost", [(), (1, 2), (0, 1, 2, 3, 4)], ids=str)
def test_gaps_and_files_without_groups_can_be_drawn(lost: tuple[int, ...], tmp_path: Path) -> None:
    draw(lat(), tmp_path / "out.png", lost=lost)
    out = io.BytesIO()
    Writer(out, header(average_rate=None)).close()
    draw(out.getvalue(), tmp_path / "empty.svg")
    assert (tmp_path / "out.png").stat().st_size > 1000 < (tmp_path / "empty.svg").stat().st_size


def test_an_existing_plot_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="force=True"):
        draw(lat(), path)
    assert path.read_bytes() == b"mine"
    draw(lat(), path, force=True)
    assert path.read_bytes() != b"mine"
    assert [one.name for one in tmp_path.iterdir()] == ["out.png"]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.png or \.svg"):
        draw(lat(), tmp_path / "out.pdf")


def test_without_matplotlib_the_way_to_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
    )
    with pytest.raises(UsageError, match=r"pip install 'latcomp\[report\]'"):
        draw(lat(), tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []
