"""What every tokenizer keeps to, shipped or made here: its specification is what running it shows.

The codec relies on nothing else, so an adapter of another tokenizer is right when it passes these."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from latcomp import models
from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.tokenizer.base import DecoderCondition, MovableTokenizer, TokenizerSpec, VideoTokenizer
from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from tests.tokenizer import made_up

GOLDEN = Path(__file__).parents[1] / "codec" / "golden" / "tokenizer"
SMALL = TokenizerConfig(channels=8, encoder_width=32, encoder_blocks=2, decoder_width=32, decoder_blocks=3)
STEPS = 7  # latent frames of a clip
CLOSE = 1e-5  # of the largest value


def small(folder: Path, block: str) -> Path:
    """A tokenizer of our own architecture with random weights: those of zero would hide everything behind them."""
    torch.manual_seed(3)
    ones = (1.0,) * SMALL.channels
    fields = {"channel_mean": (0.0,) * SMALL.channels, "channel_deviation": ones, "channel_scale": ones}
    model = Tokenizer(replace(SMALL, block=block, channel_step=ones, **fields))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    folder.mkdir()
    model.config.save(folder / models.CONFIG)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / models.WEIGHTS)
    return folder


MAKERS: dict[str, Callable[[Path], Path]] = {
    **{name: lambda folder, name=name: models.find_tokenizer(name) for name in models.tokenizer_names()},
    "golden": lambda folder: GOLDEN,
    "dense": lambda folder: small(folder, "dense"),
    "depthwise": lambda folder: small(folder, "depthwise"),
    "1 + 4k": lambda folder: made_up.write_made_up(folder, made_up.Habits()),
    "1 + 8k, 16x": lambda folder: made_up.write_made_up(folder, made_up.Habits(spatial=16, temporal=8)),
    "2 + 6k, period 2": lambda folder: made_up.write_made_up(
        folder, made_up.Habits(temporal=6, first_frames=2, period=2, low=-1)
    ),
    "transient": lambda folder: made_up.write_made_up(folder, made_up.Habits(transient=True)),
    "clip by clip": lambda folder: made_up.write_made_up(folder, made_up.Habits(streams=False)),
    "4k": lambda folder: made_up.write_made_up(folder, made_up.Habits(first_frames=4, high=255)),
}


@dataclass(frozen=True)
class Case:
    folder: Path
    tokenizer: VideoTokenizer

    @property
    def spec(self) -> TokenizerSpec:
        return self.tokenizer.spec

    def clip(self, steps: int = STEPS, seed: int = 5) -> Tensor:
        """Random pixels (1, 3, frames, H, W) of 3x4 positions that make so many latent frames."""
        spec = self.spec
        low, high = spec.pixel_range
        shape = (1, 3, spec.frames(steps), 3 * spec.spatial, 4 * spec.spatial)
        values = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
        return (values * (high - low) + low).to(getattr(torch, spec.dtype))

    def encoded(self, pixels: Tensor) -> Tensor:
        return self.tokenizer.encode(pixels)[0]

    def decoded(self, latents: Tensor) -> Tensor:
        return self.tokenizer.decode(latents)[0]

    def pieces(self, steps: list[int]) -> list[tuple[slice, slice]]:
        """(latent frames, frames) of a stream in pieces of so many latent frames."""
        ends = [sum(steps[: place + 1]) for place in range(len(steps))]
        starts = [0, *ends[:-1]]
        frames = self.spec.frames
        return [(slice(a, b), slice(frames(a), frames(b))) for a, b in zip(starts, ends, strict=True)]


@pytest.fixture(scope="module", params=MAKERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with made_up.known(), torch.inference_mode():
        folder = MAKERS[request.param](tmp_path_factory.mktemp("tokenizer") / "model")
        yield Case(folder, models.load_tokenizer(folder))


def close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= CLOSE * max(float(b.abs().max()), 1.0))


def test_it_is_one(case: Case) -> None:
    """Loaded, moved and frozen; known by the same specification before anything is loaded."""
    assert isinstance(case.tokenizer, VideoTokenizer)
    assert models.spec_of(case.folder) == case.spec
    assert case.tokenizer.to(torch.device("cpu")) is case.tokenizer
    assert not case.encoded(case.clip()).requires_grad


@pytest.mark.parametrize("steps", range(1, 5))
def test_the_frame_rule(case: Case, steps: int) -> None:
    """So many latent frames of so many frames, and as many frames again; counts between are refused, not rounded."""
    spec, pixels = case.spec, case.clip(steps)
    latents = case.encoded(pixels)
    assert latents.shape == (1, spec.channels, steps, 3, 4)
    assert latents.dtype == torch.float32
    assert case.decoded(latents).shape == pixels.shape
    for frames in range(spec.frames(steps - 1) + 1, spec.frames(steps)):
        with pytest.raises(UsageError):
            case.tokenizer.encode(pixels[:, :, :frames])
        assert spec.padding(frames, 1, 1)[0] == spec.frames(steps) - frames


def test_shapes_that_do_not_divide_are_refused(case: Case) -> None:
    pixels, spec = case.clip(2), case.spec
    for wrong in (pixels[:, :, :0], pixels[..., :-1], pixels[..., :-1, :]):
        with pytest.raises(UsageError):
            case.tokenizer.encode(wrong)
    with pytest.raises(UsageError):
        case.tokenizer.decode(torch.zeros(1, spec.channels + 1, 1, 3, 4))
    _, state = case.tokenizer.encode(pixels)
    with pytest.raises(UsageError):
        case.tokenizer.encode(pixels[:, :, : spec.temporal - 1], state)


@pytest.mark.parametrize("steps", [[1] * STEPS, [2, 5], [4, 1, 2]], ids=str)
def test_a_stream_in_pieces_is_the_whole(case: Case, steps: list[int]) -> None:
    if not case.spec.exact_streaming:
        pytest.skip("its specification says that it is not")
    pixels = case.clip()
    latents = case.encoded(pixels)
    whole = case.decoded(latents)
    encoder = decoder = None
    for times, frames in case.pieces(steps):
        part, encoder = case.tokenizer.encode(pixels[:, :, frames], encoder)
        assert close(part, latents[:, :, times])
        part, decoder = case.tokenizer.decode(latents[:, :, times], decoder)
        assert close(part, whole[:, :, frames])


@pytest.mark.parametrize("step", [1, 3])
def test_nothing_depends_on_what_comes_later(case: Case, step: int) -> None:
    """And a change is seen where it is made: `place` names the frames of a latent frame."""
    pixels, place = case.clip(), case.spec.place(step)
    latents, whole = case.encoded(pixels), case.decoded(case.encoded(pixels))
    changed = pixels.clone()
    changed[:, :, place] = case.clip(seed=6)[:, :, place]
    again = case.encoded(changed)
    assert close(again[:, :, :step], latents[:, :, :step])
    assert not close(again[:, :, step], latents[:, :, step])
    other = latents.clone()
    other[:, :, step] = again[:, :, step] + 1
    frames = case.decoded(other)
    assert close(frames[:, :, : place.start], whole[:, :, : place.start])
    assert not close(frames[:, :, place], whole[:, :, place])


def test_a_decoded_latent_frame_reaches_as_far_back_as_it_says(case: Case) -> None:
    """What lies further back does not count, and what lies in reach does: a decoder may start that far before."""
    reach = case.spec.decoder_reach
    if reach is None:
        pytest.skip("its specification names no reach")
    latents = case.encoded(case.clip(reach + 3))
    whole = case.decoded(latents)
    frames = case.spec.place(reach + 2)
    for back, counts in ((reach, False), (reach - 1, True)):
        other = latents.clone()
        other[:, :, : reach + 3 - back] += 3
        assert torch.equal(case.decoded(other)[:, :, frames], whole[:, :, frames]) is not counts
    later = case.decoded(latents[:, :, -reach:])
    assert close(later[:, :, -case.spec.temporal :], whole[:, :, frames])


def test_its_specification_says_whether_it_can_follow_a_camera(case: Case) -> None:
    assert isinstance(case.tokenizer, MovableTokenizer) == case.spec.movable


def test_a_stream_that_stays_is_not_changed_by_moving(case: Case) -> None:
    """Moved there and back, or by nothing, onto a box that holds the last one: what was known is as it was."""
    tokenizer = movable(case)
    pixels, latents = case.clip(3), case.encoded(case.clip(3))
    for code, whole, inputs in (
        (tokenizer.encode, latents, pixels),
        (tokenizer.decode, case.decoded(latents), latents),
    ):
        cut = case.spec.frames(2) if inputs is pixels else 2
        first, rest = inputs[:, :, :cut], inputs[:, :, cut:]
        _, state = code(first)
        wider = tokenizer.move(state, -1, -2, (6, 8))
        for moved in (tokenizer.move(state, 0, 0, (3, 4)), tokenizer.move(wider, 1, 2, (3, 4))):
            found = code(rest, moved)[0]
            assert torch.equal(found, whole[:, :, -found.shape[2] :])


def test_a_camera_that_moves_by_whole_positions_changes_nothing_inside(case: Case) -> None:
    """A still world seen through a box that moves: inside of what both boxes show, each latent frame is as if the box
    had not moved. The clip is large enough that its middle sees no border."""
    tokenizer, spec = movable(case), case.spec
    rows, columns, reach = 24, 26, 10
    low, high = spec.pixel_range
    shape = (1, 3, spec.frames(2), (rows + 2) * spec.spatial, (columns + 3) * spec.spatial)
    values = torch.rand(shape, generator=torch.Generator().manual_seed(8)) * (high - low) + low
    world = values.to(getattr(torch, spec.dtype))
    still = world[..., : rows * spec.spatial, : columns * spec.spatial]
    moved = world[..., 2 * spec.spatial :, 3 * spec.spatial :]
    cut = spec.frames(1)
    expected = tokenizer.encode(still)[0][:, :, 1:]
    _, state = tokenizer.encode(still[:, :, :cut])
    found = tokenizer.encode(moved[:, :, cut:], tokenizer.move(state, 2, 3, (rows, columns)))[0]
    inside = found[..., reach - 2 : rows - reach - 2, reach - 3 : columns - reach - 3]
    assert close(inside, expected[..., reach : rows - reach, reach : columns - reach])


def movable(case: Case) -> MovableTokenizer:
    if not isinstance(case.tokenizer, MovableTokenizer):
        pytest.skip("its specification says that it cannot follow a camera")
    return case.tokenizer


def test_the_same_again(case: Case) -> None:
    pixels = case.clip()
    latents = case.encoded(pixels)
    assert torch.equal(case.encoded(pixels), latents)
    assert torch.equal(case.decoded(latents), case.decoded(latents))
    condition = DecoderCondition(1.0, torch.zeros(1, STEPS, 3, 4))
    twice = [case.tokenizer.decode(latents, None, condition)[0] for _ in range(2)]
    assert torch.equal(*twice)


def test_a_still_scene_is_still_but_for_transient_and_period(case: Case) -> None:
    spec = case.spec
    steps = spec.transient + 2 * spec.period + 3
    still = case.clip(steps)[:, :, :1].expand(-1, -1, spec.frames(steps), -1, -1)
    latents = case.encoded(still)

    def changes(apart: int) -> list[int]:
        """The latent frames that are not as those so many before."""
        return [t for t in range(apart, steps) if not close(latents[:, :, t], latents[:, :, t - apart])]

    settled = [t for t in changes(spec.period) if t - spec.period >= spec.transient]
    assert not settled
    if spec.transient:
        assert spec.transient - 1 + spec.period in changes(spec.period)  # as long as it says, not shorter
    for shorter in range(1, spec.period):
        assert any(t - shorter >= spec.transient for t in changes(shorter))


def test_pixels_stay_in_range(case: Case) -> None:
    low, high = case.spec.pixel_range
    latents = case.encoded(case.clip(2))
    for values in (latents, 100 * latents):
        pixels = case.decoded(values)
        assert low <= pixels.min() and pixels.max() <= high and torch.isfinite(pixels).all()


def test_a_condition_counts_where_it_says_so(case: Case) -> None:
    latents = case.encoded(case.clip(2))
    coarse = case.tokenizer.decode(latents, None, DecoderCondition(4.0))[0]
    fine = case.tokenizer.decode(latents, None, DecoderCondition(0.5))[0]
    halved = case.tokenizer.decode(latents, None, DecoderCondition(4.0, torch.full((1, 2, 3, 4), 3)))[0]
    assert torch.equal(coarse, fine) is not case.spec.conditioned
    assert torch.equal(halved, fine)  # three halvings of 4 are 0.5


def test_a_copy_of_the_folder_is_the_same_model(case: Case, tmp_path: Path) -> None:
    """Weights and configuration are all there is to it."""
    for name in (models.CONFIG, models.WEIGHTS):
        (tmp_path / name).write_bytes((case.folder / name).read_bytes())
    again = models.load_tokenizer(tmp_path)
    assert again.spec == case.spec
    pixels = case.clip(2)
    assert torch.equal(again.encode(pixels)[0], case.encoded(pixels))


def test_an_architecture_that_is_not_known_is_refused(tmp_path: Path) -> None:
    made_up.write_made_up(tmp_path, made_up.Habits())
    config = json.loads((tmp_path / models.CONFIG).read_text(encoding="utf-8"))
    (tmp_path / models.CONFIG).write_text(json.dumps({**config, "architecture": "unheard-of"}), encoding="utf-8")
    for call in (models.spec_of, models.load_tokenizer):
        with pytest.raises(UnsupportedFileError, match=r"unheard-of.*newer"):
            call(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 0},
        {"spatial": 0},
        {"first_frames": 5},
        {"first_frames": 0},
        {"transient": -1},
        {"period": 0},
        {"chunk": 0},
        {"chunk": 2},
        {"channel_step": (1.0,)},
        {"first_frames": 1, "decoder_reach": 3},
    ],
    ids=json.dumps,
)
def test_specifications_that_no_tokenizer_has_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="tokenizer 'small'"):
        replace(replace(SMALL, name="small").spec, **wrong)
