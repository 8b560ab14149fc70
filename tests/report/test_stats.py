"""The figures of `stats`: every documented key, right sums, the same from writing and from scanning."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from latcomp.container import Writer, scan
from latcomp.report.stats import stats_dict
from latcomp.report.terminal import BLOCKS, print_stats, sparkline
from tests.container.make import audio, groups, header, sized, written
from tests.stats_keys import STATS_KEYS


def test_documented_keys_and_sums() -> None:
    """All keys are there, bytes add up, and the ratios follow from the counts."""
    of = header(lit={"name": "lit", "sha256": "cd" * 32})
    made = groups(of, 5, last_frames=30)
    data = written(of, made)
    figures = stats_dict(scan(io.BytesIO(data)))
    assert set(figures) >= STATS_KEYS
    assert json.loads(json.dumps(figures)) == figures
    kinds = ("header", "mask", "tokens", "audio", "other")
    assert sum(figures[f"bytes_{kind}"] for kind in kinds) == figures["bytes_total"] == len(data)
    assert figures["frames"] == 4 * 32 + 30 and figures["latent_frames"] == 40 and figures["segments"] == 3
    assert figures["tokens_total"] == 40 * 35
    assert figures["tokens_kept"] == sum(len(group.tokens) for group in made)
    assert figures["keep_ratio"] == figures["tokens_kept"] / figures["tokens_total"]
    plain = len(data) - figures["bytes_audio"]
    assert figures["bpp"] == pytest.approx(8 * plain / (158 * 50 * 40))
    assert figures["bits_per_token"] == pytest.approx(8 * plain / figures["tokens_kept"])
    assert figures["ratio_to_raw_latents"] == pytest.approx(40 * 35 * 6 * 2 / plain)
    assert figures["duration_seconds"] == pytest.approx(158 * 512 / 12800)
    assert figures["fps_average"] == pytest.approx(25)
    assert figures["tokenizer"] == {**of.tokenizer, "fingerprint": None, "first_frames": 4}
    assert figures["lit"] == {**of.lit, "fingerprint": None}
    for group, row in zip(made, figures["groups"], strict=True):
        assert row["start_seconds"] == pytest.approx(group.pts[0] / 12800)
        assert (row["tokens_total"], row["tokens_kept"], row["fill"]) == (8 * 35, len(group.tokens), group.fill)
    assert sum(row["bytes"] for row in figures["groups"]) > figures["bytes_mask"] + figures["bytes_tokens"]


def test_audio_is_not_in_the_ratios() -> None:
    """A file with audio has the same bpp, bits per token and ratio as one without, but for the counters in its end
    marker.
    """
    of = header()
    made = groups(of, 2)
    with_sound, without = (stats_dict(scan(io.BytesIO(written(of, made, sound)))) for sound in (True, False))
    assert with_sound["bytes_audio"] > 0 == without["bytes_audio"]
    for name in ("bpp", "bits_per_token", "ratio_to_raw_latents"):
        assert with_sound[name] == pytest.approx(without[name], rel=0.01)


def test_writer_says_the_same() -> None:
    """The summary that `close` gives has the figures that a scan of the file finds."""
    of = sized(9, 9, 4)
    out = io.BytesIO()
    writer = Writer(out, header(**{**of.to_dict()}))
    for group in groups(of, 3):
        writer.write_group(group)
        writer.write_audio(audio(group.index))
    summary = writer.close()
    assert stats_dict(summary) == stats_dict(scan(io.BytesIO(out.getvalue())))
    assert writer.close() is summary


def test_empty_file() -> None:
    """A file without groups has figures too: nothing is divided by zero."""
    out = io.BytesIO()
    Writer(out, header(average_rate=None)).close()
    figures = stats_dict(scan(io.BytesIO(out.getvalue())))
    assert figures["frames"] == figures["bpp"] == figures["keep_ratio"] == figures["fps_average"] == 0
    print_stats(figures, Console(file=io.StringIO()), groups=True)


def test_single_frame() -> None:
    """One frame stays as long as the frame rate says."""
    of = header()
    made = groups(of, 1, last_frames=1)
    assert stats_dict(scan(io.BytesIO(written(of, made))))["duration_seconds"] == pytest.approx(1 / 25)


def test_damage_is_in_the_figures() -> None:
    """A file that is cut off has figures of what is there and says so."""
    of = header()
    figures = stats_dict(scan(io.BytesIO(written(of, groups(of, 3))[:-70])))
    assert figures["frames"] == 96 and "cut off" in figures["damage"][0]


def test_terminal() -> None:
    """The table names what people look for; a row a group when asked."""
    of = header()
    figures = stats_dict(scan(io.BytesIO(written(of, groups(of, 4)))))
    out = io.StringIO()
    print_stats(figures, Console(file=out, width=120), groups=True)
    text = out.getvalue()
    for word in ("50x40", "quality 5", "tokens kept", "bits per pixel", "4 groups", "kept over time"):
        assert word in text
    assert sum(line.rstrip().endswith((" hold", " lit")) for line in text.splitlines()) == 4


def test_sparkline() -> None:
    """Low values are low blocks, high ones full; long series are averaged to the width."""
    assert sparkline([0.0, 0.5, 1.0]) == BLOCKS[0] + BLOCKS[4] + BLOCKS[7]
    assert sparkline([0.0] * 600 + [1.0] * 600) == BLOCKS[0] * 30 + BLOCKS[7] * 30
    assert sparkline([]) == ""
