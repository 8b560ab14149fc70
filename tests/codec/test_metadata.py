"""Protects that title and chapters go through a .lat file, for parts on both sides, and that they are no setting of a
batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

import latcomp
from latcomp.batch.output_state import differences
from latcomp.container import Reader


@pytest.fixture(scope="module")
def chaptered(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 frames with a title and two chapters of a second."""
    folder = tmp_path_factory.mktemp("chaptered")
    plain = make_video(folder / "plain.mp4", 50, 32, 32)
    with av.open(str(plain)) as source, av.open(str(folder / "a.mkv"), "w") as container:
        container.metadata["title"] = "Two seconds"
        container.set_chapters(
            [
                {"id": n + 1, "start": n, "end": n + 1, "time_base": Fraction(1), "metadata": {"title": f"chapter {n}"}}
                for n in range(2)
            ]
        )
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    return folder / "a.mkv"


def said(path: Path) -> tuple[str | None, list[tuple[float, float, str]]]:
    """(title, chapters as start and end in seconds and title)."""
    with av.open(str(path)) as container:
        chapters = [
            (float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"]), c["metadata"]["title"])
            for c in container.chapters()
        ]
        near = [(pytest.approx(start, abs=0.05), pytest.approx(end, abs=0.05), title) for start, end, title in chapters]
        return container.metadata.get("title"), near


def test_through_a_file_and_its_parts(chaptered: Path, tmp_path: Path) -> None:
    settings = {"device": "cpu", "force": True}
    latcomp.encode(chaptered, tmp_path / "a.lat", **settings)
    latcomp.decode(tmp_path / "a.lat", tmp_path / "a.mp4", **settings)
    assert said(tmp_path / "a.mp4") == ("Two seconds", [(0.0, 1.0, "chapter 0"), (1.0, 2.0, "chapter 1")])
    latcomp.decode(tmp_path / "a.lat", tmp_path / "b.mkv", start_seconds=0.6, duration_seconds=0.8, **settings)
    assert said(tmp_path / "b.mkv") == ("Two seconds", [(0.0, 0.4, "chapter 0"), (0.4, 0.8, "chapter 1")])
    latcomp.encode(chaptered, tmp_path / "c.lat", start_seconds=1.2, **settings)
    latcomp.decode(tmp_path / "c.lat", tmp_path / "c.mkv", **settings)
    assert said(tmp_path / "c.mkv") == ("Two seconds", [(0.0, 0.8, "chapter 1")])


def test_it_is_no_setting(chaptered: Path, tmp_path: Path) -> None:
    """A batch keeps the files that it finished before headers had it."""
    latcomp.encode(chaptered, tmp_path / "a.lat", device="cpu")
    with (tmp_path / "a.lat").open("rb") as file:
        header = Reader(file).header
    assert header.metadata is not None
    assert (
        differences(replace(header, metadata=None), header) == [] == differences(header, replace(header, metadata=None))
    )
