"""Protects `bench allocators`: every rival decides as its source does, on the same tokens, and is charged for what it
runs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latcomp.bench.allocators.elastic import LEAST_SHARE, ElasticSearch, order_of, probes_of, target_for
from latcomp.bench.allocators.figures import ELASTIC, LATCOMP, METHODS, AllocatorRow, at_psnr, at_ratio, rate_at
from latcomp.bench.allocators.measure import AllocatorBench, AllocatorSettings
from latcomp.bench.allocators.methods import (
    all_tokens,
    by_budget,
    by_chance,
    by_infotok,
    by_threshold,
    by_uniform,
    first_only,
    largest,
)
from latcomp.bench.allocators.plots import save_plot
from latcomp.bench.codec import BenchClip, BenchCodec, Segment
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.errors import UsageError
from latcomp.selection.budget import tokens_for

KEEP = 0.4


@pytest.fixture(scope="module")
def path(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 frames of 72x44: 12 latent frames of 6x9 positions in two groups, the second one short."""
    return make_video(tmp_path_factory.mktemp("clip") / "square.mp4", frames=45, width=72, height=44)


@pytest.fixture(scope="module")
def codec() -> BenchCodec:
    return BenchCodec(5.0, device="cpu")


@pytest.fixture(scope="module")
def clip(codec: BenchCodec, path: Path) -> BenchClip:
    return codec.read(path)


@pytest.fixture(scope="module")
def segment(codec: BenchCodec, clip: BenchClip) -> Segment:
    (found,) = codec.encode(clip)
    return found


def test_masks_have_exactly_the_tokens_of_the_budget(codec: BenchCodec, segment: Segment) -> None:
    """Methods are compared at one number of tokens: not one more or less, each with the first latent frame whole."""
    for keep in (0.01, 0.2, KEEP, 1.0):
        wanted = tokens_for(keep, segment.views)
        for found in (
            by_budget(segment, codec, keep),
            by_infotok(segment, codec, keep),
            by_uniform(segment, keep),
            by_chance(segment, keep, 0),
        ):
            assert found.tokens == wanted
            assert [mask.shape for mask in found.masks] == [(8, 6, 9), (4, 6, 9)] == segment.shapes
            assert found.masks[0][0].all()
    assert all_tokens(segment).tokens == segment.positions == 12 * 54
    assert first_only(segment).tokens == 54


def test_the_budget_gives_the_very_file_of_encode(
    codec: BenchCodec, clip: BenchClip, segment: Segment, path: Path
) -> None:
    """Bytes and pixels of the comparison are those that users get: masks, values, fill and coding of `encode
    --keep`.
    """
    out = io.BytesIO()
    encode(path, out, quality=5.0, keep=KEEP, device="cpu")
    written = codec.written(clip, [segment], [by_budget(segment, codec, KEEP).masks], KEEP)
    assert written.data == out.getvalue()
    decoded = [frame.pixels for frame in decode_frames(io.BytesIO(written.data), device="cpu")]
    assert len(decoded) == len(written.frames) == 45
    assert max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(decoded, written.frames, strict=True)) <= 1


def test_the_threshold_of_a_budget_keeps_what_the_budget_keeps(codec: BenchCodec, segment: Segment) -> None:
    """One pass at a fixed threshold is the same selection but for the few tokens that the budget adds or takes back."""
    budget = by_budget(segment, codec, 0.2)
    assert budget.threshold
    fixed = by_threshold(segment, codec, budget.threshold)
    assert 0.9 * budget.tokens < fixed.tokens < 1.1 * budget.tokens
    both = np.mean([np.mean(more & less) for more, less in zip(fixed.masks, budget.masks, strict=True)])
    assert both > 0.9 * np.mean([mask.mean() for mask in budget.masks])
    assert (budget.decodes, fixed.decodes) == (0, 0)


def test_infotok_keeps_the_tokens_of_largest_error(codec: BenchCodec, segment: Segment, clip: BenchClip) -> None:
    """The router is the source's: mean |error| of the full-rate decode over a token's pixels, the largest share over
    the segment.
    """
    found = by_infotok(segment, codec, KEEP)
    full, state, scale = [], None, codec.scale(segment)
    for latents in segment.latents:
        shown, state = codec.decode(codec.tensor(codec.plain(latents, scale)), state, scale)
        full.append(codec.pixels(shown)[0].numpy())
    errors = []
    for pixels, frames in zip(full, segment.frames, strict=True):
        off = np.abs(pixels - codec.pixels(codec.source(frames))[0].numpy())
        steps = off.shape[1] // 4
        errors.append(off.reshape(3, steps, 4, 6, 8, 9, 8).mean(axis=(0, 2, 4, 6)))
    values, kept = np.concatenate(errors)[1:], np.concatenate(found.masks)[1:]
    assert values[kept].min() >= values[~kept].max() - 1e-6
    assert found.decodes == 2


def test_random_masks_follow_their_seed(segment: Segment) -> None:
    """A run can be repeated, and another seed is another draw."""
    first, again, other = (np.concatenate(by_chance(segment, KEEP, seed).masks) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_uniform_masks_are_even_in_space_and_time(segment: Segment) -> None:
    """Uniform means the same share in every latent frame, and every position in its turn."""
    mask = np.concatenate(by_uniform(segment, KEEP).masks)[1:]
    counts = mask.sum(axis=(1, 2))
    assert np.ptp(counts) <= 1
    assert np.ptp(mask.sum(axis=0)) <= 1


def test_the_largest_are_taken_and_ties_in_order() -> None:
    """Exact numbers need a rule for equal values: order t, y, x; the first latent frame comes first whatever its
    values.
    """
    worth = [np.array([[[0.0, 0.0]], [[1.0, 5.0]]]), np.array([[[5.0, 5.0]]])]
    masks = largest(worth, 4)
    assert masks[0].tolist() == [[[True, True]], [[False, True]]]
    assert masks[1].tolist() == [[[True, False]]]
    assert sum(int(mask.sum()) for mask in largest(worth, 1)) == 2


def test_every_prefix_of_the_order_is_spread_over_the_block() -> None:
    """The fixed order stands in for a trained one, whose prefixes describe the whole block: every part has its
    share.
    """
    rank = order_of((8, 6, 9), key=False)
    assert sorted(rank.ravel()) == list(range(8 * 54))
    for tokens in (8 * 54 // 4, 8 * 54 // 2):
        prefix = rank < tokens
        assert np.ptp(prefix.sum(axis=(1, 2))) <= 2
        assert np.ptp(prefix.reshape(8, 2, 3, 3, 3).sum(axis=(0, 2, 4))) <= 6
    assert np.array_equal(np.sort(order_of((8, 6, 9), key=True)[0].ravel()), np.arange(54))


def test_elastictok_stops_at_its_target(codec: BenchCodec, segment: Segment) -> None:
    """A block's number of tokens meets the target, and a rung fewer, the last that was found wanting, does not."""
    search = ElasticSearch(segment, codec)
    search.climb()
    errors = search.seen[0].values()
    target = (max(errors) + min(errors)) / 2
    found = search.allocate(target)
    block, tokens = search._block(0), int(found.masks[0].sum())
    assert block.least < tokens < block.rank.size
    assert np.array_equal(found.masks[0], block.rank < tokens)
    assert search._probe(block, search._start(), tokens)[0] < target
    assert search._probe(block, search._start(), tokens - 1)[0] >= target


def test_elastictok_keeps_all_where_nothing_meets_the_target(codec: BenchCodec, segment: Segment) -> None:
    """As the source: without a number that does, the whole block; with a target that anything meets, close to the
    least.
    """
    search = ElasticSearch(segment, codec)
    assert search.allocate(0.0).tokens == segment.positions
    least = [54, int(np.ceil(LEAST_SHARE * 4 * 54))]
    assert [int(mask.sum()) for mask in search.allocate(9.0).masks] == [count + 1 for count in least]


def test_elastictok_makes_the_decodes_it_claims(
    codec: BenchCodec, segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is that of its probes, each a real decode of the block, and of one pass that commits it."""
    calls = []
    real = codec.decode
    monkeypatch.setattr(codec, "decode", lambda *given: calls.append(given[0].shape[2]) or real(*given))
    found = ElasticSearch(segment, codec).allocate(0.002)
    assert len(calls) == found.decodes
    assert calls == [8] * calls.count(8) + [4] * calls.count(4)
    assert calls.count(8) in (probes_of(54, 8 * 54), probes_of(54, 8 * 54) + 1)
    assert probes_of(128, 2048 + 128) == probes_of(0, 100_000) == 11
    assert probes_of(10, 11) == 0


def test_a_target_for_a_number_of_tokens_is_found_on_the_ladders() -> None:
    """The search for a target inverts the ladders: at it, the blocks' numbers add up to what was asked for."""
    coarse, fine = {10: 0.4, 20: 0.2, 40: 0.1}, {10: 0.04, 20: 0.02, 40: 0.01}
    assert target_for([coarse], 20) == pytest.approx(0.2)
    assert target_for([coarse, fine], 20 + 10) == pytest.approx(0.2)
    assert target_for([coarse, fine], 40 + 20) == pytest.approx(0.02)
    assert target_for([coarse, fine], 99) == pytest.approx(0.01)


@pytest.fixture(scope="module")
def bench(path: Path) -> AllocatorBench:
    made = AllocatorBench([path], AllocatorSettings(keeps=(KEEP,), device="cpu"))
    made.run(path)
    return made


def test_rows_hold_every_method_with_files_and_seconds_of_its_own(bench: AllocatorBench) -> None:
    """One row a method beside the two ends, at one number of tokens where a method can meet it, and seconds that add
    up.
    """
    rows = {row.method: row for row in bench.rows}
    assert list(rows) == ["first", "all", *METHODS]
    budget = rows[LATCOMP].tokens
    assert {rows[name].tokens for name in ("infotok", "uniform", "random")} == {budget}
    assert rows["first"].bytes == min(row.bytes for row in rows.values())
    assert rows["first"].psnr_y < rows[LATCOMP].psnr_y <= rows["all"].psnr_y + 0.1
    for row in rows.values():
        parts = row.encode_seconds + row.allocate_seconds + row.fill_seconds + row.decode_seconds
        assert row.total_seconds == pytest.approx(parts)
    assert rows[ELASTIC].decodes > rows["infotok"].decodes > rows[LATCOMP].decodes == 0
    assert rows[ELASTIC].allocate_seconds > rows["infotok"].allocate_seconds
    assert rows[ELASTIC].target_mse is not None and rows["infotok"].target_mse is None


def test_figures_have_their_keys(bench: AllocatorBench, tmp_path: Path) -> None:
    """What others read from the JSON, and a plot that is one."""
    figures = bench.figures()
    assert list(figures) == [
        "version",
        "quality",
        "keeps",
        "square",
        "duration_seconds",
        "seed",
        "device",
        "threads",
        "sources",
        "rows",
        "at_ratio",
        "at_psnr",
    ]
    assert figures["sources"] == {"square": {"frames": 45, "width": 72, "height": 44, "tokens": 648, "groups": 2}}
    assert (
        [row["method"] for row in figures["at_ratio"]] == list(METHODS) == [row["method"] for row in figures["at_psnr"]]
    )
    for row in figures["at_ratio"]:
        assert {
            "allocate_ratio",
            "allocate_ratio_least",
            "allocate_ratio_threshold",
            "total_ratio",
            "psnr_y_gain",
        } <= set(row)
        assert row["clips"] == 1 and row["tokens"] == figures["at_ratio"][0]["tokens"]
    assert figures["at_ratio"][0]["allocate_ratio"] == figures["at_ratio"][0]["total_ratio"] == 1
    assert figures["at_psnr"][0]["tokens_ratio"] == figures["at_psnr"][0]["bytes_ratio"] == 1
    save_plot(bench.rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def row(method: str, keep: float | None, tokens: int, psnr: float, seconds: float = 1.0) -> AllocatorRow:
    return AllocatorRow(
        "a",
        method,
        keep,
        tokens,
        tokens / 800,
        tokens * 10,
        0.1,
        psnr,
        psnr,
        0.9,
        0,
        None,
        1,
        seconds,
        seconds,
        1,
        1,
        1,
        3 + seconds,
    )


def test_methods_off_the_budget_are_read_off_their_curves() -> None:
    """ElasticTok at 400 tokens is compared at the 200 of the budget; a PSNR is read the other way; nothing beyond the
    ends.
    """
    ends = [row("first", None, 100, 30.0), row("all", None, 800, 39.0)]
    ours, rival = row(LATCOMP, 0.25, 200, 36.0), row(ELASTIC, 0.25, 400, 36.0, 20.0)
    found = at_ratio([*ends, ours, rival])
    assert [line["method"] for line in found] == [LATCOMP, ELASTIC]
    assert found[1]["psnr_y"] == pytest.approx(33.0, abs=0.01)
    assert found[1]["psnr_y_gain"] == pytest.approx(3.0, abs=0.01)
    assert (found[1]["allocate_ratio"], found[1]["total_ratio"]) == (20.0, 23 / 4)
    assert at_psnr([*ends, ours, rival])[1]["tokens_ratio"] == 2.0
    assert at_psnr([*ends, row(LATCOMP, 0.25, 200, 40.0), rival])[1]["missing"] == ["a"]
    assert rate_at([(1.0, 30.0), (4.0, 36.0)], 33.0) == pytest.approx(2.0)
    assert rate_at([(1.0, 30.0), (4.0, 36.0)], 37.0) is None


def test_wrong_settings_are_refused_before_anything_runs(path: Path) -> None:
    """Mistakes cost no measuring."""
    for wrong in (
        {"keeps": (0.0,)},
        {"quality": 11},
        {"methods": ("latcomp", "oracle")},
        {"methods": ("uniform",)},
        {"keeps": ()},
    ):
        with pytest.raises(UsageError):
            AllocatorSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="twice"):
        AllocatorBench([path, Path("elsewhere") / path.name], AllocatorSettings())
