"""Protects the example clip: it is what its script renders, small, with sound, and read without a note."""

import importlib.util
from pathlib import Path

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
