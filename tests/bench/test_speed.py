"""Protects `latcomp bench speed`: real runs of both kinds, every stage seen, counts of work that are those of the work
done.
"""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.bench.speed import measure as speed
from latcomp.bench.speed.measure import SpeedBench, SpeedSettings
from latcomp.bench.speed.whole_process import run_whole
from latcomp.codec.decode import decode
from latcomp.codec.encode import encode
from latcomp.container.coding.prior.frame_code import past_of
from latcomp.container.coding.prior.frame_coder import FrameCoder
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.modes import modes_of
from latcomp.container.coding.prior.network import macs
from latcomp.errors import LatcompError, UsageError
from latcomp.latents import TokenMemory
from latcomp.stages import StageClock
from tests.container.make import prior as make_prior
from tests.container.make import prior_arrays


@pytest.fixture(scope="module")
def clip(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of 64x48 with sound: two groups."""
    return make_video(tmp_path_factory.mktemp("speed") / "clip.mp4", frames=40, sound=True)


@pytest.fixture(scope="module")
def figures(clip: Path) -> dict[str, Any]:
    """One repeat over the first 9 frames."""
    bench = SpeedBench(SpeedSettings(repeats=1, frames=9, device="cpu"))
    assert bench.run(clip) == 4
    return bench.figures()


def test_figures_are_those_of_the_part_that_was_asked_for(figures: dict[str, Any]) -> None:
    """Both kinds of runs take the same 9 frames, and a whole process takes longer: it loads the models first."""
    assert json.loads(json.dumps(figures)) == figures
    (clip,) = figures["clips"]
    assert (clip["clip"], clip["frames"], clip["width"], clip["height"]) == ("clip", 9, 64, 48)
    assert 0 < clip["prior_macs_per_pixel"] <= figures["macs_per_pixel"]["prior"]
    for name in speed.DIRECTIONS:
        one = clip[name]
        for kind in ("in_process", "whole_process"):
            spread, seconds = one[kind]["frames_per_second"], one[kind]["seconds"]
            assert spread["minimum"] <= spread["median"] <= spread["maximum"] == pytest.approx(9 / min(seconds))
        assert one["whole_process"]["seconds"] > one["in_process"]["seconds"]
        assert 2**26 < one["whole_process"]["peak_bytes"] < 2**32
        assert one["device_peak_bytes"] is None
        assert sum(one["stages"]["shares"].values()) == pytest.approx(1)


def test_every_stage_is_seen_where_it_is_and_not_elsewhere(figures: dict[str, Any]) -> None:
    encoding, decoding = (figures["clips"][0][name]["stages"]["seconds"] for name in speed.DIRECTIONS)
    assert list(encoding) == ["reading", "camera", "tokenizer", "selection", "lit", "token_coding", "writing"]
    assert list(decoding) == ["reading", "tokenizer", "lit", "token_coding", "writing"]
    assert min(*encoding.values(), *decoding.values()) > 0


def test_stages_cover_most_of_the_time_of_a_longer_run(clip: Path) -> None:
    """What lies between the stages, model loading aside, is little; and a clock changes no byte."""
    plain, clocked = io.BytesIO(), io.BytesIO()
    encode(clip, plain, device="cpu")
    with StageClock() as clock:
        encode(clip, clocked, device="cpu")
    assert clocked.getvalue() == plain.getvalue()
    bench = SpeedBench(SpeedSettings(repeats=1, device="cpu"))
    with StageClock() as clock:
        taken = speed._seconds(lambda: bench._encode(clip, None, clip.with_suffix(".lat")))
    assert sum(clock.seconds.values()) > 0.6 * taken


WAYS: list[dict[str, Any]] = [{"keep": 0.3}, {"target_bpp": 0.5}, {"min_psnr": 24.0}, {"lossless": True}]


@pytest.mark.parametrize("settings", WAYS, ids=lambda settings: next(iter(settings)))
def test_every_way_of_encoding_passes_the_same_stages(settings: dict[str, Any], clip: Path, tmp_path: Path) -> None:
    """Searches replay selection and coding; what they take counts there."""
    with StageClock() as clock:
        encode(clip, tmp_path / "out.lat", device="cpu", duration_seconds=0.4, **settings)
    camera = set() if settings.get("lossless") else {"camera"}
    assert {"reading", "tokenizer", "selection", "lit", "token_coding", "writing"} | camera == set(clock.seconds)
    with StageClock() as clock:
        decode(tmp_path / "out.lat", tmp_path / "out.mkv", device="cpu")
    assert {"reading", "tokenizer", "lit", "token_coding", "writing"} == set(clock.seconds)


def test_memory_of_a_process_is_its_own_and_not_its_parents() -> None:
    """This process has PyTorch loaded; `--version` has not."""
    import resource

    taken = run_whole("--version")
    assert 0 < taken.peak_bytes < 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2
    assert min(taken.cpu_seconds, taken.seconds) > 0


def test_a_command_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(LatcompError, match=r"missing\.lat"):
        run_whole("check", str(tmp_path / "missing.lat"))


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"frames": 0}, {"quality": 11.0}])
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SpeedSettings(**wrong)


class Counting(np.ndarray):
    """Weights that count the multiply-adds of every product they take part in."""

    done = 0

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **settings: Any) -> Any:
        plain = [np.asarray(value) for value in inputs]
        settings |= {"out": tuple(np.asarray(value) for value in settings["out"])} if "out" in settings else {}
        if ufunc is np.matmul and method == "__call__":
            Counting.done += int(np.prod(plain[0].shape)) * (plain[1].shape[-1] if plain[1].ndim > 1 else 1)
        return getattr(ufunc, method)(*plain, **settings)


def test_the_priors_multiply_adds_are_those_of_its_products() -> None:
    """One latent frame, all of whose positions are kept, walked through as the coder does."""
    prior = make_prior()
    leaving, silence = prior._leaving, prior._silence  # made of the plain weights
    prior.weights = {name: array if "bias" in name else array.view(Counting) for name, array in prior.weights.items()}
    prior.__dict__["_leaving"] = [[(weight.view(Counting), bias) for weight, bias in phases] for phases in leaving]
    prior.__dict__["_silence"] = silence.view(Counting)
    memory = TokenMemory.start((8, 6), prior.channels)
    memory.advance(np.arange(48), np.zeros((48, prior.channels), np.int32))  # else there are no bits to code
    values, halvings, mask = np.zeros((48, prior.channels), np.int32), np.zeros(48, np.uint8), np.ones(48, bool)
    Counting.done = 0
    past = past_of(prior, memory)
    field = MaskField(prior, memory, past, 0)
    for places, _ in field.steps():
        field.put(places, mask[places])
    of_positions = Counting.done
    coder = FrameCoder(prior, memory, past, mask, modes_of(values, halvings, memory, np.arange(48), 4), 0, 4)
    for one in coder.passes():
        one.put(one.steps_of(values))
    position, token = macs(prior_arrays())
    assert (
        of_positions == 48 * position + prior.weights["embed"].size
    )  # the place outside goes through the first layer as well
    assert (Counting.done - of_positions) / 48 == token


def test_the_plot_draws_every_stage(figures: dict[str, Any], tmp_path: Path) -> None:
    if not importlib.util.find_spec("matplotlib"):
        pytest.skip("needs matplotlib")
    import matplotlib

    from latcomp.bench.speed.plot import LOOKS, save_plot
    from latcomp.stages import STAGES

    assert tuple(LOOKS) == STAGES
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        save_plot(figures, tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text()
    assert all(
        f">{words}<" in text
        for words in ("reading", "camera", "tokenizer", "selection", "LIT", "token coding", "writing", "clip, encode")
    )
