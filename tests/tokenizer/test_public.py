"""Protects: published tokenizers work as users have them: every class is found, probed and coded with, for any number
of frames and any size, and what cannot work says why in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import latcomp
from latcomp import models
from latcomp.codec.groups import LatentStream
from latcomp.codec.pieces import DecodingStream
from latcomp.errors import UsageError
from latcomp.tokenizer.base import TokenizerSpec, VideoTokenizer
from latcomp.tokenizer.pixels import padded, to_frames, to_pixels
from latcomp.video import Frame
from tests.tokenizer.published import save_published, save_taehv
from tests.video import make

pytest.importorskip("diffusers")


@dataclass(frozen=True)
class Expected:
    """What the class is known to be."""

    channels: int
    spatial: int
    temporal: int
    streams: bool = False
    chunk: int = 1
    settles: bool = True
    """Whether a still scene is still from the first latent frame on."""


EXPECTED = {
    "Wan 2.1": Expected(16, 8, 4, streams=True, settles=False),
    "Wan 2.2": Expected(16, 16, 4, streams=True, settles=False),
    "Qwen-Image": Expected(16, 8, 4, streams=True, settles=False),
    "Cosmos 8x8x8": Expected(16, 8, 8),
    "Cosmos 4x8x8": Expected(16, 8, 4),
    "HunyuanVideo": Expected(4, 8, 4),
    "HunyuanVideo 1.5": Expected(8, 16, 4, settles=False),
    "LTX 0.9": Expected(8, 32, 8),
    "LTX 0.9.5": Expected(8, 32, 8),
    "LTX-2": Expected(8, 32, 8),
    "CogVideoX": Expected(4, 8, 4, streams=True, chunk=2),
    "Mochi": Expected(4, 8, 6),
    "Magvit": Expected(4, 8, 4),
    "KVAE": Expected(4, 8, 4, streams=True, chunk=4),
    "Kandinsky 6 SR": Expected(8, 16, 4, streams=True),
    "MiniMax-H3": Expected(4, 16, 4, chunk=4, settles=False),
    "VidTok": Expected(4, 8, 4),
    "TAEHV": Expected(16, 8, 4, settles=False),
    "TAEHV, patches": Expected(32, 16, 4, settles=False),
    "Cosmos TorchScript": Expected(6, 8, 4),
}
CLOSE = 1e-5


class Patches(nn.Module):
    """The encoder of a TorchScript tokenizer: means of 4 frames and squares of 8x8, the first frame by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv3d(3, 6, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        full = torch.cat([pixels[:, :, :1].expand(-1, -1, 3, -1, -1), pixels], dim=2)
        return self.mix(nn.functional.avg_pool3d(full, (4, 8, 8))), torch.zeros(1)


class Squares(nn.Module):
    """Its decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv3d(6, 3, 1)

    def forward(self, latents: Tensor) -> Tensor:
        scale = [4.0, 8.0, 8.0]
        return nn.functional.interpolate(self.mix(latents), scale_factor=scale, mode="nearest")[:, :, 3:]


def save_jits(folder: Path) -> Path:
    folder.mkdir()
    torch.manual_seed(0)
    for name, module in (("encoder", Patches()), ("decoder", Squares())):
        torch.jit.script(module.eval()).save(str(folder / f"{name}.jit"))
    return folder


def made(name: str, folder: Path) -> Path:
    """The folder or file of one of `EXPECTED`."""
    if name == "Cosmos TorchScript":
        return save_jits(folder)
    if name.startswith("TAEHV"):
        patches = {"patch": 2, "channels": 32} if "patches" in name else {}
        return save_taehv(folder.with_suffix(".pth"), **patches)
    return save_published(name, folder)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for these tests alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@dataclass(frozen=True)
class Case:
    name: str
    folder: Path
    tokenizer: VideoTokenizer

    @property
    def spec(self) -> TokenizerSpec:
        return self.tokenizer.spec

    @property
    def expected(self) -> Expected:
        return EXPECTED[self.name]

    def pixels(self, steps: int, rows: int = 2, columns: int = 3) -> Tensor:
        """Random pixels of so many latent frames and positions."""
        spec = self.spec
        low, high = spec.pixel_range
        shape = (1, 3, spec.frames(steps), rows * spec.spatial, columns * spec.spatial)
        return torch.rand(shape, generator=torch.Generator().manual_seed(steps)) * (high - low) + low

    def coded(self, frames: list[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
        """(frames as the codec gives them back of exact latents, how many latent frames each group has)."""
        items = [Frame(pixels, index) for index, pixels in enumerate(frames)]
        device = torch.device("cpu")
        segment = 8 if self.spec.exact_streaming else 1
        stream = DecodingStream(self.tokenizer, half=False)
        found: list[np.ndarray] = []
        lengths = []
        for group in LatentStream(self.tokenizer, device, 8, segment).run(items):
            if group.key:
                stream.restart()
            left = len(group.pts)
            lengths.append(group.latents.shape[1])
            for piece in stream.decode(torch.from_numpy(group.latents).unsqueeze(0), None):
                shown = piece.frames[:left, : frames[0].shape[0], : frames[0].shape[1]].numpy()
                left -= len(shown)
                found += list(shown)
        return found, lengths


@pytest.fixture(scope="module", params=EXPECTED)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = made(request.param, tmp_path_factory.mktemp("published") / "vae")
    with torch.inference_mode():
        yield Case(request.param, folder, models.load_tokenizer(models.find_tokenizer(folder)))


def test_its_specification_is_found_by_running_it(case: Case) -> None:
    spec, expected = case.spec, case.expected
    shape = (spec.channels, spec.spatial, spec.temporal, spec.first_frames)
    assert shape == (expected.channels, expected.spatial, expected.temporal, 1)
    assert (spec.exact_streaming, spec.chunk) == (expected.streams, expected.chunk)
    assert (spec.transient == 0) is expected.settles and spec.transient <= 4
    assert isinstance(case.tokenizer, VideoTokenizer) and not spec.movable
    assert models.spec_of(models.find_tokenizer(case.folder)) == spec


@pytest.mark.parametrize("frames", [1, 5, 17])
def test_frames_come_back_in_number_and_size(case: Case, frames: int) -> None:
    """At a size that no class divides."""
    spec = case.spec
    height, width = spec.spatial + 3, 2 * spec.spatial - 5
    pictures = make.pictures(frames, width, height)
    latents, _ = case.tokenizer.encode(to_pixels(padded(pictures, spec, torch.device("cpu")), spec))
    assert latents.shape == (1, spec.channels, spec.latent_frames(frames), 2, 2) and latents.dtype == torch.float32
    pixels, _ = case.tokenizer.decode(latents)
    low, high = spec.pixel_range
    assert low <= pixels.min() and pixels.max() <= high
    assert to_frames(pixels, spec)[:frames, :height, :width].shape == (frames, height, width, 3)


def test_the_codec_gives_back_as_many_frames(case: Case) -> None:
    """Through groups and segments, more than one window of each class."""
    spec = case.spec
    frames = make.pictures(22 if spec.temporal == 4 else 41, spec.spatial + 2, spec.spatial - 1)
    found, _ = case.coded(frames)
    assert len(found) == len(frames) and found[0].shape == frames[0].shape


def test_no_chunk_lies_in_two_groups(case: Case) -> None:
    """Each group goes through the decoder by itself: where nothing moves, all but the last hold whole chunks."""
    spec = case.spec
    if spec.chunk == 1:
        pytest.skip("its latent frames stand for themselves")
    # of a picture of one position a norm over a chunk leaves nothing that stands still
    _, lengths = case.coded(make.pictures(1, 4 * spec.spatial, 4 * spec.spatial) * 60)
    assert lengths[:2] == [spec.whole_chunks(8, start=key) for key in (True, not spec.exact_streaming)]


def test_streams_in_pieces_are_the_whole(case: Case) -> None:
    spec = case.spec
    if not spec.exact_streaming:
        pytest.skip("its specification says that they are not")
    pieces = [1 + (spec.chunk if spec.chunk > 1 else 0), spec.chunk, 2 * spec.chunk]
    pixels = case.pixels(sum(pieces))
    latents, _ = case.tokenizer.encode(pixels)
    whole, _ = case.tokenizer.decode(latents)
    encoder = decoder = None
    done = 0
    for count in pieces:
        frames = slice(spec.frames(done), spec.frames(done + count))
        part, encoder = case.tokenizer.encode(pixels[:, :, frames], encoder)
        shown, decoder = case.tokenizer.decode(latents[:, :, done : done + count], decoder)
        assert (part - latents[:, :, done : done + count]).abs().max() <= CLOSE * latents.abs().max()
        assert (shown - whole[:, :, frames]).abs().max() <= CLOSE
        done += count


def test_a_state_that_was_given_out_stays_what_it_is(case: Case) -> None:
    """Going on from it twice gives the same twice, though the networks write into their caches."""
    spec = case.spec
    if not spec.exact_streaming:
        pytest.skip("no state")
    first = 1 + (spec.chunk if spec.chunk > 1 else 0)
    pixels = case.pixels(first + spec.chunk)
    latents, state = case.tokenizer.encode(pixels[:, :, : spec.frames(first)])
    rest = pixels[:, :, spec.frames(first) :]
    assert torch.equal(case.tokenizer.encode(rest, state)[0], case.tokenizer.encode(rest, state)[0])
    _, state = case.tokenizer.decode(latents)
    again = [case.tokenizer.decode(latents[:, :, -spec.chunk :], state)[0] for _ in range(2)]
    assert torch.equal(*again)


def test_shapes_that_do_not_divide_are_refused(case: Case) -> None:
    pixels = case.pixels(2)
    for wrong in (pixels[:, :, :0], pixels[..., :-1], pixels[..., :-1, :], pixels[:, :, :-1]):
        with pytest.raises(UsageError):
            case.tokenizer.encode(wrong)
    with pytest.raises(UsageError):
        case.tokenizer.decode(torch.zeros(1, case.spec.channels + 1, 1, 2, 3))


def test_steps_are_those_of_the_default_quality(case: Case) -> None:
    """A rounding to the steps of quality 5 loses about 0.4 % of the latents' energy, whatever their size."""
    spec = case.spec
    latents, _ = case.tokenizer.encode(
        to_pixels(padded(make.pictures(spec.frames(2), 64, 64), spec, torch.device("cpu")), spec)
    )
    profile = models.profile_of(case.folder)
    assert profile.dropped_changes == pytest.approx(0.4 * spec.channels)
    step = torch.tensor(spec.channel_step).view(1, -1, 1, 1, 1) * profile.step_scale(5).value
    lost = (latents / step).round() * step - latents
    energy = models.probe_of(models.find_tokenizer(case.folder))
    size = 1.0 if energy.normalised and 0.2 < energy.deviation < 5 else energy.deviation
    assert lost.square().mean() / size**2 < 0.008


@pytest.mark.parametrize("name", ["Wan 2.1", "MiniMax-H3"])
def test_any_number_of_frames(name: str, tmp_path: Path) -> None:
    """1 to 40 frames, along a stream and in windows."""
    _check_all_counts(name, tmp_path, range(1, 41))


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_any_number_of_frames_of_all(name: str, tmp_path: Path) -> None:
    _check_all_counts(name, tmp_path, range(1, 41))


def _check_all_counts(name: str, tmp_path: Path, counts: range) -> None:
    folder = made(name, tmp_path / "vae")
    case = Case(name, folder, models.load_tokenizer(models.find_tokenizer(folder)))
    for count in counts:
        found, _ = case.coded(make.pictures(count, case.spec.spatial, case.spec.spatial))
        assert len(found) == count


@pytest.mark.parametrize(("name", "frames"), [("Wan 2.1", 22), ("MiniMax-H3", 22), ("LTX 0.9", 11)])
def test_a_video_there_and_back(name: str, frames: int, tmp_path: Path) -> None:
    """Frame count, odd size and times; and the notes say what is not there."""
    folder = made(name, tmp_path / "vae")
    video, lat, back = tmp_path / "in.mkv", tmp_path / "a.lat", tmp_path / "back.mkv"
    pts = [40 * frame + (7 if frame > 3 else 0) for frame in range(frames)]
    make.write(video, make.pictures(frames, 38, 26), pts=pts, time_base=make.Fraction(1, 1000))
    result = latcomp.encode(video, lat, tokenizer=folder, device="cpu")
    assert any("no profile, lit, prior" in note for note in result.notes)
    assert any("coded by themselves" in note for note in result.notes) is not EXPECTED[name].streams
    latcomp.decode(lat, back, tokenizer=folder, device="cpu")
    (first, shown, _), (second, given, _) = make.read(video), make.read(back)
    assert make.seconds(second, given) == make.seconds(first, shown)
    assert given[0].pixels.shape == (26, 38, 3)
