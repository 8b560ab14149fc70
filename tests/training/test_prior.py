"""Training of the prior: the network and the coder do the same sums, and what is trained codes real tokens."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.container.coding import Prior
from latcomp.container.coding.prior.estimates import on_grid
from latcomp.container.coding.prior.frame_code import past_of
from latcomp.container.coding.prior.frame_coder import FrameCoder
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.network import FRACTIONS, MASK_CLASSES
from latcomp.container.format import LAYOUT_CONTEXT, LAYOUT_PLANES
from latcomp.errors import UsageError
from latcomp.latents import FrameView
from latcomp.latents.profile import CodingProfile
from latcomp.models import find_prior, load_prior
from latcomp.selection import PRIOR_UNITS, SelectionRecipe
from latcomp.training import prior as training
from latcomp.training.feed import on_device
from latcomp.training.latents import LatentClips
from latcomp.training.mask_net import MaskNet, mask_state
from latcomp.training.prior_net import Frames, PriorConfig, PriorNet, prior_state
from latcomp.training.prior_tables import count
from tests.container.coding.prior.make import heads
from tests.training.moving import moving_clip

CHANNELS = 10
RECIPE = SelectionRecipe.of(CHANNELS * (1.0,), CHANNELS * (1.0,), CodingProfile(), PRIOR_UNITS)


def latents(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 1, (CHANNELS, 16, 6, 7)) * (rng.random((1, 1, 6, 7)) < 0.5), axis=1)
    return (walk * np.linspace(4, 0.3, CHANNELS)[:, None, None, None]).astype(np.float16)


CONFIG = PriorConfig(channels=CHANNELS, embed=8, width=16, known=8, mask_width=16, mask_hidden=8)


def clips_of(kind: str) -> LatentClips:
    """One clip, of a camera that stands still or moves."""
    return LatentClips([latents(3)], {0: moving_clip(CHANNELS, 4)} if kind == "moving" else None)


def places_in(view: FrameView, width: int) -> np.ndarray:
    """Where the visible positions are in the flat grid of a batch."""
    y, x = np.divmod(view.places, view.box.columns)
    found: np.ndarray = y * width + x
    return found


def random_net() -> PriorNet:
    torch.manual_seed(1)
    net = PriorNet(CONFIG)
    for layer in net.leave:
        torch.nn.init.normal_(layer.get_parameter("weight"), std=0.1)
    return net.eval()


def random_mask_net() -> MaskNet:
    torch.manual_seed(2)
    net = MaskNet(CONFIG)
    for layer in net.leave:
        torch.nn.init.normal_(layer.get_parameter("weight"), std=0.2)
    return net.eval()


def random_arrays() -> dict[str, np.ndarray]:
    return random_net().arrays() | random_mask_net().arrays()


@pytest.mark.parametrize("kind", ["still", "moving"])
def test_the_network_and_the_coder_give_the_same_means_and_scales(kind: str) -> None:
    """What was trained is what is used: whole-number passes against the network, to the rounding of the mean's last
    digits; also where positions enter and leave and the world's corner is an odd one.
    """
    net = random_net()
    prior = Prior(net.arrays(), "", "test")
    example = example_of(2, kind)
    with torch.no_grad():
        frames = Frames.of(on_device(training.frames_of([example], CHANNELS), torch.device("cpu")))
        mean, scale = net(frames, net.past(frames))
    compared = 0
    for t, frame in enumerate(training.walk(example, CHANNELS)):
        if not frame.mask.any():
            continue
        past = past_of(prior, frame.memory)
        coder = FrameCoder(prior, frame.memory, past, frame.mask, frame.modes, frame.log_step, PRIOR_UNITS)
        for one in coder.passes():
            start = 0
            for part in one.parts:
                places = places_in(frame.memory.view, mean.shape[-1])[coder.places[part.span]]
                wanted = mean[t].flatten(1)[part.channels][:, places].T.numpy() * 64  # 1/16 units
                classes = np.clip(
                    np.floor(scale[t].flatten(1)[part.channels][:, places].T.numpy() * 4 + 0.5) + 18, 0, 43
                )
                here = slice(start, start + part.size)
                anchor, halvings = one.anchor[here].reshape(part.shape), coder.halvings[part.span, None]
                whole = np.rint(wanted).astype(np.int32), classes.astype(np.int32)
                near, rest, on = on_grid(*whole, anchor, halvings, coder.units_log2)
                distance = (one.nearest[here] - near.reshape(-1)) * 8 + one.fraction[here] - rest.reshape(-1)
                assert np.abs(distance).max() <= 1
                assert (one.scale[here] == on.reshape(-1)).mean() > 0.99
                start += part.size
                compared += part.size
            one.put(one.steps_of(frame.symbols))
        assert np.array_equal(coder.symbols(), frame.symbols)
    assert compared > 1000


def example_of(groups: int, kind: str = "still") -> training.Example:
    """The first example of so many groups, of a clip that moves if it is of that kind."""
    made = (training.make_example(clips_of(kind), RECIPE, 0, index, 0) for index in range(40))
    return next(
        example
        for example in made
        if len(example.selections) == groups and example.selections[0].view.full == (kind == "still")
    )


@pytest.mark.parametrize("kind", ["still", "moving"])
def test_the_network_and_the_coder_give_the_same_odds_of_masks(kind: str) -> None:
    net, mask_net = random_net(), random_mask_net()
    prior = Prior(net.arrays() | mask_net.arrays(), "", "test")
    example = example_of(2, kind)
    with torch.no_grad():
        frames = Frames.of(on_device(training.frames_of([example], CHANNELS), torch.device("cpu")))
        odds = mask_net(frames, net.past(frames))
    wanted = np.clip(np.floor(odds.flatten(1).numpy() * 4 + 0.5) + 32, 0, MASK_CLASSES - 1)
    seen = set()
    for t, frame in enumerate(training.walk(example, CHANNELS)):
        field = MaskField(prior, frame.memory, past_of(prior, frame.memory), frame.log_step)
        at = places_in(frame.memory.view, odds.shape[-1])
        for places, classes in field.steps():
            assert np.array_equal(classes, wanted[t, at[places]])
            assert frames.open[t].flatten()[at[places]].all()
            seen |= set(classes.tolist())
            field.put(places, frame.mask[places])
        assert np.array_equal(field.bits, frame.mask)
    assert len(seen) > 4


def test_bits_of_masks_leave_out_what_is_not_stored() -> None:
    example = example_of(1)
    frames = Frames.of(on_device(training.frames_of([example], CHANNELS), torch.device("cpu")))
    net, mask_net = random_net(), random_mask_net()
    with torch.no_grad():
        bits = mask_net.bits(frames, net.past(frames))
    assert bits[0].sum() == 0
    assert (bits[1:] > 0).all()


def test_bits_are_those_of_open_and_kept_positions_where_the_camera_moves() -> None:
    example = example_of(2, "moving")
    frames = Frames.of(on_device(training.frames_of([example], CHANNELS), torch.device("cpu")))
    net, mask_net = random_net(), random_mask_net()
    with torch.no_grad():
        past = net.past(frames)
        mask_bits, bits = mask_net.bits(frames, past), net.bits(frames, past)
    assert torch.equal(mask_bits > 0, frames.open)
    assert torch.equal(bits > 0, frames.mask)
    new = frames.visible & ~frames.open
    assert new.any() and frames.mask[new].all()
    assert not frames.values[~frames.visible.unsqueeze(1).expand_as(frames.values)].any()


def test_the_networks_behind_whole_numbers_are_found_again() -> None:
    """A finished prior can be gone on with: it holds all of its networks, in whole numbers."""
    arrays = random_arrays()
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    net, mask_net = PriorNet(CONFIG), MaskNet(CONFIG)
    net.load_state_dict(prior_state(tensors))
    mask_net.load_state_dict(mask_state(tensors))
    again = net.arrays() | mask_net.arrays()
    assert again.keys() == arrays.keys()
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_tables_follow_what_was_counted() -> None:
    arrays = random_arrays()
    prior = Prior(arrays, "", "test")
    examples = [training.make_example(LatentClips([latents(3)]), RECIPE, 0, i, 0) for i in range(3)]
    tables = count(prior, training.walked(examples, CHANNELS)).tables()
    assert tables["table_kinds"].shape[1] == 4
    assert tables["table_mask"].shape == (MASK_CLASSES, 2)
    assert (np.diff(tables["table_mask"][[0, -1]].astype(np.int64)) * [[1], [-1]] < 0).all()
    assert (tables["table_mask"].sum(1, dtype=np.int64) == 2**24).all()
    sizes = {len(table) for table in Prior(arrays | tables, "", "test").value_tables.frequencies}
    assert min(sizes) == 8
    assert max(sizes) == 256
    assert len(Prior(arrays | tables, "", "test").value_tables) == 44 * FRACTIONS


def test_a_trained_prior_is_found_beside_its_tokenizer_and_codes_video(
    clips: Path, trained: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(trained, tmp_path / "tok")
    folder = training.train(clips, base / "prior", steps=3, preset="tiny", tokenizer=base)
    assert find_prior(base) == folder
    assert load_prior(folder).channels == 16
    sizes, arrays = [], []
    for coding in ("context", "zstd"):
        file = io.BytesIO()
        result = encode(clips / "clip-1.mp4", file, tokenizer=base, coding=coding, device="cpu")
        sizes.append(result.stats["bytes_tokens"])
        file.seek(0)
        with open_lat(file, tokenizer=base, device="cpu") as lat:
            assert lat.header.units == 4
            groups = list(lat)
        arrays.append([(group.tokens, group.mask, group.halvings) for group in groups])
    for one, other in zip(*arrays, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert "bits_per_token" in (folder / "README.md").read_text()


def test_a_tokenizer_without_a_prior_codes_by_contexts_or_by_zstd_alone(clips: Path, trained: Path) -> None:
    """`zstd` writes planes and nothing else; the tokens are the same."""
    files = {}
    for coding in ("context", "zstd"):
        file = io.BytesIO()
        encode(clips / "clip-1.mp4", file, tokenizer=trained, coding=coding, quality=9.0, device="cpu")
        files[coding] = file.getvalue()
    layouts = {coding: {head["token_layout"] for head in heads(data)} for coding, data in files.items()}
    assert layouts["zstd"] == {LAYOUT_PLANES}
    assert LAYOUT_CONTEXT in layouts["context"]
    groups = [list(open_lat(io.BytesIO(data), tokenizer=trained, device="cpu")) for data in files.values()]
    for one, other in zip(*groups, strict=True):
        assert np.array_equal(one.tokens, other.tokens) and np.array_equal(one.mask, other.mask)


def test_the_part_for_masks_is_trained_on_top_of_a_checkpoint(clips: Path, trained: Path, tmp_path: Path) -> None:
    base = trained
    with pytest.raises(UsageError, match="checkpoint"):
        training.train(clips, tmp_path / "mask", steps=2, preset="tiny", tokenizer=base, part="mask")
    with pytest.raises(UsageError, match="part"):
        training.train(clips, tmp_path / "mask", steps=2, preset="tiny", tokenizer=base, part="heads")
    training.train(clips, tmp_path / "whole", steps=3, preset="tiny", tokenizer=base)
    state = tmp_path / "whole" / "checkpoints" / "state.pt"
    whole = torch.load(state, weights_only=True)
    earlier = tmp_path / "earlier.pt"  # as written before masks had a part of their own
    torch.save(
        whole | {name: {"prior": whole[name]["prior"]} for name in ("modules", "ema")} | {"optimisers": []}, earlier
    )
    with pytest.raises(UsageError, match="preset"):
        training.train(clips, tmp_path / "mask", steps=2, tokenizer=base, part="mask", resume=earlier)
    for checkpoint in (earlier, state):
        folder = training.train(
            clips, tmp_path / "mask", steps=3, preset="tiny", tokenizer=base, part="mask", resume=checkpoint
        )
        arrays, before = load_file(folder / "model.safetensors"), load_file(tmp_path / "whole" / "model.safetensors")
        assert all(
            np.array_equal(arrays[name], before[name]) for name in before if not name.startswith(("mask", "table"))
        )
        trained = torch.load(tmp_path / "mask" / "checkpoints" / "state.pt", weights_only=True)["ema"]
        assert not torch.equal(trained["mask"]["leave.0.weight"], whole["ema"]["mask"]["leave.0.weight"])
        assert torch.equal(trained["prior"]["near.weight"], whole["ema"]["prior"]["near.weight"])
        assert "steps | 6" in (folder / "README.md").read_text()
        assert load_prior(folder).channels == 16
    for source, steps in ((state, 4), (tmp_path / "whole", 4)):
        folder = training.train(clips, tmp_path / "on", steps=1, preset="tiny", tokenizer=base, resume=source)
        assert f"steps | {steps}" in (folder / "README.md").read_text()
    shutil.rmtree(tmp_path / "whole" / "checkpoints")
    folder = training.train(clips, tmp_path / "on", steps=1, preset="tiny", tokenizer=base, resume=tmp_path / "whole")
    assert "steps | 4" in (folder / "README.md").read_text()
