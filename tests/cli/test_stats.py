"""`latcomp stats`: CSV, JSON, plot and page say the same, are written whole or not at all, and need no torch unless
frames are decoded.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from latcomp.container.format import GROUP_CHUNK
from latcomp.report.series import COLUMNS
from tests.container.make import groups, header, written

from .conftest import Latcomp, assert_refused


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .lat file of 94 frames of 50x40 in three groups, written without a tokenizer: it has no decoder, but figures
    and masks.
    """
    path = tmp_path_factory.mktemp("made") / "made.lat"
    of = header()
    path.write_bytes(written(of, groups(of, 3, last_frames=30)))
    return path


@pytest.fixture(scope="module")
def film(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of that size and length."""
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", frames=94, width=50, height=40)


def page_data(page: Path | bytes) -> dict:
    text = page if isinstance(page, bytes) else page.read_bytes()
    return json.loads(text.split(b'<script id="data" type="application/json">')[1].split(b"</script>")[0])


def test_csv_has_a_row_a_group_and_the_sums_of_the_json(made: Path, latcomp: Latcomp) -> None:
    ran = latcomp("stats", made, "--csv")
    assert (ran.code, ran.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(ran.out.decode())))
    figures = json.loads(latcomp("stats", made, "--json").out)
    assert tuple(rows[0]) == COLUMNS
    assert ran.out.startswith(b"start_seconds,tokens_total,tokens_kept,bytes,fill,group,key,")
    assert [
        {name: json.loads(value) if name != "fill" else value for name, value in row.items()} for row in rows
    ] == figures["groups"]
    for column, name in (
        ("tokens_total",) * 2,
        ("tokens_kept",) * 2,
        ("bytes_tokens",) * 2,
        ("bytes_mask",) * 2,
        ("frames",) * 2,
    ):
        assert sum(int(row[column]) for row in rows) == figures[name]
    assert sum(int(row["latent_frames"]) for row in rows) == figures["latent_frames"]
    assert sum(row["key"] == "true" for row in rows) == figures["segments"] == 2
    spent = sum(int(row["bytes"]) for row in rows) + figures["bytes_header"] + figures["bytes_audio"]
    assert 0 < figures["bytes_total"] - spent < 200  # index and end marker


def test_groups_has_a_line_a_group(made: Path, latcomp: Latcomp) -> None:
    ran = latcomp("stats", made, "--groups")
    assert (ran.code, ran.out) == (0, b"")
    assert sum(line.rstrip().endswith((" hold", " lit")) for line in ran.lines) == 3


def test_quiet_is_quiet(made: Path, latcomp: Latcomp) -> None:
    ran = latcomp("stats", made, "-q")
    assert (ran.code, ran.out, ran.err) == (0, b"", "")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot(suffix: str, made: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / f"out.{suffix}"
    ran = latcomp("stats", made, "--plot", target, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["frames"] == 94
    assert target.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml"}[suffix])
    assert len(ran.lines) == 1 and str(target) in ran.err


def test_page_with_a_video(made: Path, film: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    ran = latcomp("stats", made, "--html", target, "--video", film)
    assert ran.code == 0, ran.err
    assert f"{target}: 94 of 94 frames" in ran.err and "tokens kept" in ran.err
    assert b"Frames of film.mp4: all frames" in target.read_bytes()
    frames = page_data(target)["frames"]
    assert len(frames) == 94 and len({frame["picture"] for frame in frames}) > 20
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_page_with_decoded_frames(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    ran = latcomp("stats", lat, "--html", target, "--device", "cpu", "-q")
    assert (ran.code, ran.out, ran.err) == (0, b"", "")
    assert len(page_data(target)["frames"]) == 20


def test_page_on_standard_output_from_standard_input(made: Path, film: Path, shell: Latcomp) -> None:
    ran = shell("stats", "-", "--html", "-", "--video", film, "-q", stdin=made.read_bytes())
    assert (ran.code, ran.err) == (0, "")
    assert len(page_data(ran.out)["frames"]) == 94 and b"standard input" in ran.out


def test_a_shorter_video_leaves_frames_out(
    made: Path, make_video: Callable[..., Path], latcomp: Latcomp, tmp_path: Path
) -> None:
    film = make_video(tmp_path / "short.mp4", frames=40, width=50, height=40)
    ran = latcomp("stats", made, "--html", tmp_path / "report.html", "--video", film)
    assert ran.code == 0 and "40 of 94 frames" in ran.err


def test_a_damaged_file_has_a_page_and_exit_code_4(made: Path, film: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    data = bytearray(made.read_bytes())
    data[data.index(GROUP_CHUNK, data.index(GROUP_CHUNK) + 4) + 60] ^= 255  # in the second group
    source = tmp_path / "in.lat"
    source.write_bytes(data)
    ran = latcomp("stats", source, "--html", tmp_path / "out.html", "--video", film, "-q")
    assert ran.code == 4 and "damaged" in ran.err and len(ran.lines) == 1
    shown = [frame["frame"] for frame in page_data(tmp_path / "out.html")["frames"]]
    assert shown == [*range(32), *range(64, 94)]
    assert b"Damaged: " in (tmp_path / "out.html").read_bytes()


WRONG = [
    ["stats", "LAT", "--json", "--csv"],
    ["stats", "LAT", "--video", "FILM"],
    ["stats", "LAT", "--plot", "OUT.pdf"],
    ["stats", "LAT", "--plot", "-"],
    ["stats", "LAT", "--html", "LAT"],
    ["stats", "LAT", "--html", "FILM", "--video", "FILM", "-f"],
    ["stats", "LAT", "--html", "-", "--json"],
    ["stats", "LAT", "--html", "-", "--csv"],
    ["stats", "LAT", "--html", "OUT.png", "--plot", "OUT.png"],
    ["stats", "LAT", "--html", "OUT.html", "--video", "OTHER"],
    ["stats", "-", "--html", "OUT.html", "--video", "-"],
    ["stats", "LAT", "--html", "OUT.html", "--device", "tpu"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_options_exit_2(
    arguments: list[str], made: Path, film: Path, clip: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """OTHER is a video of another size. Nothing is written, nothing is changed."""
    if "png" in " ".join(arguments) or "--plot" in arguments:
        pytest.importorskip("matplotlib")
    places = {"LAT": made, "FILM": film, "OTHER": clip}
    before = film.read_bytes(), made.read_bytes()
    ran = latcomp(*[places.get(one, tmp_path / one if one.startswith("OUT") else one) for one in arguments])
    assert_refused(ran, 2)
    assert list(tmp_path.iterdir()) == [] and (film.read_bytes(), made.read_bytes()) == before


@pytest.mark.parametrize("option", ["--html", "--plot"])
def test_an_existing_output_is_refused_unless_forced(
    option: str, made: Path, film: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    if option == "--plot":
        pytest.importorskip("matplotlib")
    target = tmp_path / "out.png"
    target.write_bytes(b"mine")
    more = ["--video", film] if option == "--html" else []
    assert_refused(latcomp("stats", made, option, target, *more), 6)
    assert target.read_bytes() == b"mine"
    assert latcomp("stats", made, option, target, *more, "-f", "-q").code == 0
    assert len(target.read_bytes()) > 1000 and [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_a_missing_video_leaves_nothing(made: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    assert_refused(latcomp("stats", made, "--html", tmp_path / "out.html", "--video", tmp_path / "no.mp4"), 3)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_not_at_hand_is_named_and_nothing_is_left(made: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Without a video, frames would have to be decoded."""
    ran = latcomp("stats", made, "--html", tmp_path / "out.html")
    assert_refused(ran, 5)
    assert "'test'" in ran.err and list(tmp_path.iterdir()) == []


WITHOUT_TORCH = """
import sys
from latcomp.cli.main import run
try:
    run(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
sys.exit("imported torch" if "torch" in sys.modules else 0)
"""


@pytest.mark.parametrize("what", ["--csv", "--plot", "--html"])
def test_no_torch_is_imported(what: str, made: Path, film: Path, tmp_path: Path) -> None:
    more: dict[str, list[object]] = {
        "--csv": [],
        "--plot": [tmp_path / "out.svg"],
        "--html": [tmp_path / "out.html", "--video", film],
    }
    if what == "--plot":
        pytest.importorskip("matplotlib")
    command = [sys.executable, "-c", WITHOUT_TORCH, "stats", made, what, *more[what]]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
