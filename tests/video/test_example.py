"""Protects the example clips: they are what their scripts render and read without a note; the pan is followed."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import latcomp

from . import make

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_clip_is_what_the_script_renders() -> None:
    spec = importlib.util.spec_from_file_location("render_example", EXAMPLES / "render_example.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (EXAMPLES / "example.mp4").stat().st_size < 1_500_000
    reader, frames, packets = make.read(EXAMPLES / "example.mp4", duration_seconds=1)
    assert reader.notes == []
    assert (reader.info.width, reader.info.height, reader.info.average_rate) == (854, 480, 24)
    assert [a.codec for a in reader.info.audio] == ["aac"]
    assert len(packets) > 40
    still = script.background()
    for index in (0, 23):
        assert make.psnr(frames[index].pixels, script.render(still, index)) > 36


def test_the_pan_is_followed_and_the_script_says_what_that_saves(tmp_path: Path) -> None:
    """What `make demo` shows, on the first frames: a camera that moves over a background that does not."""
    run = [sys.executable, "-c", _FIRST_FRAMES, str(tmp_path / "pan.mp4")]
    subprocess.run(run, cwd=EXAMPLES, check=True, timeout=120)
    for name, camera in (("followed.lat", "auto"), ("still.lat", "off")):
        latcomp.encode(tmp_path / "pan.mp4", tmp_path / name, quality=2, camera=camera, device="cpu")
    script = [sys.executable, EXAMPLES / "camera_saving.py", tmp_path / "followed.lat", tmp_path / "still.lat"]
    said = subprocess.run(script, check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()
    assert "6." in said[0] and said[0].endswith("pixels a frame") and said[1].endswith("camera not followed")
    assert re.match(r"the camera saved -?\d+ % of the bits and [1-9]\d? % of the tokens", said[2])
    assert said[2].endswith("at qualities that --min-psnr did not set")


_FIRST_FRAMES = "import sys, pathlib, render_pan as pan; pan.FRAMES = 20; pan.write(pathlib.Path(sys.argv[1]))"
