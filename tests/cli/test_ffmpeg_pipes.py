"""Protects: latcomp stands in a shell's pipeline beside ffmpeg, with inputs that cannot seek and nothing but data
between the commands.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "ffmpeg", "ffprobe"))), reason="needs bash, ffmpeg and ffprobe"
)
COUNT = "ffprobe -v error -count_frames -select_streams v -show_entries stream=codec_name,width,height,nb_read_frames"
COUNT += ":format=format_name -of default=noprint_wrappers=1:nokey=0"


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `latcomp` that runs this interpreter."""
    folder = tmp_path_factory.mktemp("tools")
    command = folder / "latcomp"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m latcomp "$@"\n')
    command.chmod(0o755)
    return folder


def pipeline(line: str, tools: Path, **files: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of bash that fails when any of its commands does; `files` are its variables."""
    variables = {name.upper(): str(path) for name, path in files.items()}
    environment = {**os.environ, **variables, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "-o", "pipefail", "-c", line]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def facts(text: str) -> dict[str, str]:
    """What ffprobe says."""
    return dict(line.split("=", 1) for line in text.splitlines())


def test_raw_frames_through_a_codec_and_back_into_ffmpeg(clip: Path, tools: Path, tmp_path: Path) -> None:
    """ffmpeg makes y4m, latcomp encodes and decodes it, ffmpeg encodes the raw video: as many frames of the same
    size.
    """
    line = (
        'ffmpeg -v error -i "$CLIP" -f yuv4mpegpipe - | latcomp encode - - -q | latcomp decode - - -q --codec rawvideo'
        ' | ffmpeg -v error -i - -c:v ffv1 "$OUT"'
    )
    done = pipeline(line, tools, clip=clip, out=tmp_path / "out.mkv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = facts(pipeline(f'{COUNT} "$OUT"', tools, out=tmp_path / "out.mkv").stdout)
    assert (found["codec_name"], found["width"], found["height"], found["nb_read_frames"]) == ("ffv1", "64", "48", "20")


@pytest.mark.parametrize(("format", "names", "codec"), [("mp4", "mp4", "h264"), ("y4m", "yuv4mpegpipe", "rawvideo")])
def test_an_mp4_with_its_index_last_goes_through_pipes(
    format: str, names: str, codec: str, clip: Path, tools: Path, tmp_path: Path
) -> None:
    """It has to be spooled on the way in; on the way out an mp4 is written in fragments, which ffprobe reads from the
    pipe.
    """
    data = clip.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov"), "the clip must have its index last"
    line = f'cat "$CLIP" | latcomp encode - - | latcomp decode - - --format {format} | {COUNT} -'
    done = pipeline(line, tools, clip=clip)
    assert done.returncode == 0, done.stderr
    found = facts(done.stdout)
    assert names in found["format_name"]
    assert (found["codec_name"], found["nb_read_frames"]) == (codec, "20")
    assert [line.split(":")[0] for line in done.stderr.splitlines() if "note" not in line] == ["latcomp", "latcomp"]


def test_a_reader_that_leaves_early_ends_the_command_quietly(long_lat: Path, tools: Path) -> None:
    """More is decoded than a pipe holds, so the closed end is met: no word on standard error."""
    line = 'latcomp decode "$LAT" - --codec rawvideo | head -c 100 | wc -c; exit ${PIPESTATUS[0]}'
    done = pipeline(line, tools, lat=long_lat)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (6, "100", "")
