"""The ablation: parts that save bits are seen to, the same tokens under another coder keep their picture, means are of
the clips named.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from latcomp.bench.ablation import CODER, ENCODINGS, FULL, PREDICTOR, AblationRow, figures_of, rows_of

MakeVideo = Callable[..., Path]


def test_every_variant_of_a_clip_is_measured(make_video: MakeVideo, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=12, width=96, height=64)
    rows = rows_of(clip, (3.0, 6.0), "cpu")
    assert {(row.variant, row.quality) for row in rows} == {
        (v, q) for v in (*ENCODINGS, CODER, PREDICTOR) for q in (3.0, 6.0)
    }
    by = {(row.variant, row.quality): row for row in rows}
    for quality in (3.0, 6.0):
        full, coder = by[FULL, quality], by[CODER, quality]
        assert coder.psnr_y == full.psnr_y
        assert coder.bpp != full.bpp
        assert by["quantiser: neither", quality].bpp != full.bpp


def test_bits_without_a_part_are_read_at_equal_quality() -> None:
    """A variant that takes 10 % more bits at every quality reads +10 %; the mean of a group is of its clips."""
    rows = []
    for clip, more in (("a", 1.1), ("b", 1.3)):
        for quality, (bpp, psnr) in {3.0: (0.05, 30.0), 5.0: (0.1, 33.0), 7.0: (0.2, 36.0)}.items():
            rows += [AblationRow(clip, FULL, quality, bpp, psnr), AblationRow(clip, CODER, quality, bpp * more, psnr)]
    found = figures_of(rows, {"still": ("b",)})["without"][CODER]
    assert found == {
        "a": pytest.approx(10),
        "b": pytest.approx(30),
        "mean": pytest.approx(20),
        "mean of still": pytest.approx(30),
    }
