"""The bench of tokens: every setting, quality and fill has its row, and savings are read at equal quality."""

from pathlib import Path

import pytest

from latcomp.bench.tokens import BITS, TOKENS, TokensRow, figures_of, rows_of, save_plot
from tests.conftest import MakeVideo


def line(clip: str, optimise: str, tokens: float, bits: float) -> list[TokensRow]:
    """A curve of three qualities that takes so many times the usual tokens and bits."""
    return [
        TokensRow(
            clip, optimise, "auto", quality, 0.1 * 1.3**quality * tokens, 0.02 * 1.5**quality * bits, 30 + quality
        )
        for quality in (2.0, 4.0, 6.0)
    ]


def test_savings_are_at_equal_quality_and_means_are_of_clips() -> None:
    rows = [*line("a", BITS, 1, 1), *line("a", TOKENS, 0.8, 1.1), *line("b", BITS, 1, 1), *line("b", TOKENS, 0.6, 1.3)]
    fewer = figures_of(rows)["fewer"]
    assert fewer["a"] == {"tokens": pytest.approx(-20), "bits": pytest.approx(10)}
    assert fewer["mean"] == {"tokens": pytest.approx(-30), "bits": pytest.approx(20)}


def test_every_setting_quality_and_fill_has_a_row(make_video: MakeVideo, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=16, width=64, height=48)
    rows = rows_of(clip, [3.0, 6.0], device="cpu", fills=("auto", "hold"))
    assert [(row.optimise, row.quality, row.fill) for row in rows] == [
        (optimise, quality, fill) for optimise in (BITS, TOKENS) for quality in (3.0, 6.0) for fill in ("auto", "hold")
    ]
    assert all(0 < row.keep_ratio <= 1 and row.bpp > 0 and row.psnr_y > 15 for row in rows)
    save_plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
