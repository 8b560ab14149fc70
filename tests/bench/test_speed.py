"""Protects `latcomp bench speed`: real runs of both kinds, every stage seen, counts of work that are those of the work
done.
"""

from __future__ import annotations

import importlib.util
import io
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.bench.speed import measure as speed
from latcomp.bench.speed.measure import SpeedBench, SpeedSettings
from latcomp.bench.speed.once import encode_once, seconds_of
from latcomp.bench.speed.whole_process import run_whole
from latcomp.codec.decode import decode
from latcomp.codec.encode import encode
from latcomp.container.coding.prior.frame_code import past_of
from latcomp.container.coding.prior.frame_coder import FrameCoder
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.modes import modes_of
from latcomp.container.coding.prior.network import Prior, macs
from latcomp.errors import LatcompError, UsageError
from latcomp.kernels import FLOATS, Layer
from latcomp.latents import TokenMemory
from latcomp.stages import StageClock
from tests.container.make import prior_arrays


@pytest.fixture(scope="module")
def clip(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of 64x48 with sound: two groups."""
    return make_video(tmp_path_factory.mktemp("speed") / "clip.mp4", frames=40, sound=True)


@pytest.fixture(scope="module")
def figures(clip: Path) -> dict[str, Any]:
    """One repeat over the first 9 frames, beside latcomp itself as the other release."""
    other = shlex.join([sys.executable, "-m", "latcomp"])
    bench = SpeedBench(SpeedSettings(repeats=1, frames=9, device="cpu", against=other))
    assert bench.run(clip) == 9
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


def test_another_release_is_run_in_turn_and_compared_pair_by_pair(figures: dict[str, Any]) -> None:
    for name in speed.DIRECTIONS:
        one = figures["clips"][0][name]
        (own,), (other,) = one["whole_process"]["seconds"], one["against"]["seconds"]
        assert one["against"]["times_as_fast"]["median"] == pytest.approx(other / own)
        assert other != own and one["against"]["frames_per_second"]["median"] == pytest.approx(9 / other)


def test_a_command_that_is_no_program_is_told_at_once() -> None:
    for command in ("/nowhere/latcomp encode", "", "'open"):
        with pytest.raises(UsageError):
            SpeedSettings(against=command)


def test_start_up_is_that_of_one_frame(figures: dict[str, Any]) -> None:
    """Each kind of process is run as often as was asked for, and what it takes beyond the import is told."""
    taken = figures["start_up"]
    for name in ("import_torch", *speed.DIRECTIONS):
        assert all(len(values) == 1 and min(values) > 0 for values in taken[name].values())
    for name in speed.DIRECTIONS:
        for unit, over in taken["over_import_torch"][name].items():
            assert over == pytest.approx(min(taken[name][unit]) - min(taken["import_torch"][unit]))


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
        taken = seconds_of(lambda: encode_once(bench.encoder, clip, None, clip.with_suffix(".lat")))
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


class CountingLayer:
    """A layer that counts the multiply-adds of its products; what has a sign is a pair of inputs, but one product."""

    def __init__(self, layer: Layer, weight: np.ndarray) -> None:
        self.layer, self.size = layer, weight.size
        for start in range(len(weight) - 1):
            if weight.shape[1] > 1 and (weight[start] == -weight[start + 1]).all():
                self.size -= weight.shape[1]
        self.done = 0

    def sums(self, x: np.ndarray) -> np.ndarray:
        self.done += len(x) * self.size
        return self.layer.sums(x)

    def activations(self, x: np.ndarray) -> np.ndarray:
        self.done += len(x) * self.size
        return self.layer.activations(x)


class CountingKernels:
    """Kernels of counting layers."""

    name = "counting"

    def __init__(self) -> None:
        self.made: list[CountingLayer] = []

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        self.made.append(CountingLayer(FLOATS.layer(weight, bias), weight))
        return self.made[-1]

    def take(self) -> int:
        """Multiply-adds since the last call."""
        found = sum(layer.done for layer in self.made)
        for layer in self.made:
            layer.done = 0
        return found


def test_the_priors_multiply_adds_are_those_of_its_products() -> None:
    """One latent frame, all of whose positions are kept, walked through as the coder does."""
    kernels, arrays = CountingKernels(), prior_arrays()
    prior = Prior(arrays, "", "", kernels=kernels)
    memory = TokenMemory.start((8, 6), prior.channels)
    memory.advance(np.arange(48), np.zeros((48, prior.channels), np.int32))  # else there are no bits to code
    values, halvings, mask = np.zeros((48, prior.channels), np.int32), np.zeros(48, np.uint8), np.ones(48, bool)
    assert prior.layers.silence and prior.mask_layers.head
    kernels.take()
    past = past_of(prior, memory)
    field = MaskField(prior, memory, past, 0)
    for places, _ in field.steps():
        field.put(places, mask[places])
    position, token = macs(arrays)
    # the place outside goes through the first layer as well; the last one of masks is handed to no kernels
    last = arrays["mask_leave"].size // 4
    assert kernels.take() == 48 * (position - last) + arrays["embed"].size
    coder = FrameCoder(prior, memory, past, mask, modes_of(values, halvings, memory, np.arange(48), 4), 0, 4)
    for one in coder.passes():
        one.put(one.steps_of(values))
    # in pass 0 the neighbours of all but those at the edge tell the same, which is a part of the bias
    edge = 48 - 6 * 4
    assert kernels.take() == 48 * token + edge * (arrays["beside0"].size + arrays["down0"].size)


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
