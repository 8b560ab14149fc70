"""Encoding for a target: what was asked for is met in one pass of the encoder, or refused before anything is
written.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latcomp.codec import pieces as pieces_module
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.codec.settings import EncodeSettings
from latcomp.codec.targets import SECANT_PROBES, search, segment_groups_for
from latcomp.errors import UsageError
from latcomp.latents.profile import CodingProfile
from latcomp.metrics.luma import luma, psnr
from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.video import Frame, open_video
from tests.video.make import write

MakeVideo = Callable[..., Path]
PROFILE = CodingProfile()
FINEST, COARSEST = PROFILE.finest_adjust, PROFILE.coarsest_adjust


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """37 frames of 104x80: a texture of coarse and fine detail that moves by two pixels per frame: enough to
    spend bits on.
    """
    rng = np.random.default_rng(5)
    coarse = np.kron(rng.normal(128, 40, (16, 32, 3)), np.ones((8, 8, 1)))
    fine = np.kron(rng.normal(0, 12, (64, 128, 3)), np.ones((2, 2, 1)))
    texture = np.clip(coarse + fine, 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    write(path, [texture[4:84, 2 * i : 2 * i + 104] for i in range(37)])
    return path


@pytest.mark.parametrize("bpp", [0.25, 0.8])
def test_a_rate_is_met_within_three_per_cent(video: Path, bpp: float) -> None:
    out = io.BytesIO()
    stats = encode(video, out, target_bpp=bpp, camera="off", audio=False, device="cpu").stats
    assert stats["bpp"] == pytest.approx(bpp, rel=0.03)
    assert 8 * len(out.getvalue()) / (37 * 104 * 80) == pytest.approx(bpp, rel=0.03)
    assert stats["target_bpp"] == bpp
    assert stats["quality"] is None


def test_a_psnr_is_reached_and_not_passed_by_much(video: Path) -> None:
    out = io.BytesIO()
    encode(video, out, min_psnr=31.0, camera="off", audio=False, device="cpu")
    with open_video(video) as reader:
        truth = [luma(item.pixels, reader.info.color.matrix) for item in reader if isinstance(item, Frame)]
        matrix = reader.info.color.matrix
    found = [
        psnr(a, luma(b.pixels, matrix))
        for a, b in zip(truth, decode_frames(io.BytesIO(out.getvalue()), device="cpu"), strict=True)
    ]
    assert 31.0 <= np.mean(found) <= 31.15


def test_the_encoder_runs_once_whatever_the_target(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    once = Tokenizer.encode_frames

    def counting(self: Tokenizer, frames: object, state: object = None) -> object:
        seen.append(len(frames))  # type: ignore[arg-type]
        return once(self, frames, state)  # type: ignore[arg-type]

    monkeypatch.setattr(Tokenizer, "encode_frames", counting)
    for settings in ({"target_bpp": 0.5}, {"min_psnr": 30.0}, {"keep": 0.4}):
        seen.clear()
        encode(video, io.BytesIO(), audio=False, device="cpu", **settings)
        assert sum(seen) == 40


@pytest.mark.parametrize("settings", [{"target_bpp": 1e-4}, {"min_psnr": 59.0}])
def test_a_target_out_of_reach_is_refused_before_anything_is_written(
    video: Path, tmp_path: Path, settings: dict[str, float]
) -> None:
    stream, path = io.BytesIO(), tmp_path / "out.lat"
    for target in (stream, path):
        with pytest.raises(UsageError, match="ask for"):
            encode(video, target, audio=False, device="cpu", **settings)
    assert stream.getvalue() == b""
    assert list(tmp_path.iterdir()) == []


def test_more_bits_than_the_finest_steps_take_are_said_and_not_padded(video: Path) -> None:
    result = encode(video, io.BytesIO(), target_bpp=50, audio=False, device="cpu")
    assert result.stats["bpp"] < 50
    assert any("finest" in note for note in result.notes)


@pytest.mark.parametrize("name", ["target_bpp", "min_psnr"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_targets_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match="out of range"):
        EncodeSettings(**{name: value})


def test_two_targets_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        EncodeSettings(keep=0.3, target_bpp=0.1)
    with pytest.raises(UsageError, match="lossless"):
        EncodeSettings(lossless=True, min_psnr=30)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    "settings", [{"target_bpp": 25.0}, {"min_psnr": 22.0}, {"keep": 0.3}, {"keep": 1.0}, {"threshold": 1e9}]
)
def test_the_shortest_videos_take_every_setting(
    make_video: MakeVideo, tmp_path: Path, frames: int, settings: dict[str, float]
) -> None:
    out = io.BytesIO()
    encode(
        make_video(tmp_path / "in.mp4", frames=frames, width=16, height=16), out, audio=False, device="cpu", **settings
    )
    assert len(list(decode_frames(io.BytesIO(out.getvalue()), device="cpu"))) == frames


@pytest.mark.parametrize("settings", [{"target_bpp": 0.5}, {"min_psnr": 30.0}, {"keep": 0.3}, {"threshold": 0.0}, {}])
def test_a_video_of_one_colour_takes_every_setting(tmp_path: Path, settings: dict[str, float]) -> None:
    """Nothing in it costs bits, so no target can be missed from below; what comes back is the colour."""
    write(tmp_path / "in.mkv", [np.full((48, 64, 3), (40, 120, 200), np.uint8)] * 30)
    out = io.BytesIO()
    encode(tmp_path / "in.mkv", out, audio=False, device="cpu", **settings)
    found = [frame.pixels for frame in decode_frames(io.BytesIO(out.getvalue()), device="cpu")]
    assert len(found) == 30
    assert all(np.abs(frame.astype(int) - (40, 120, 200)).mean() < 6 for frame in found)


@given(
    steepness=st.floats(0.005, 0.2),
    level=st.floats(-3, 3),
    goal=st.floats(-30, 30),
    guess=st.integers(-200, 200),
    ripple=st.floats(0, 0.4),
)
def test_the_search_ends_at_the_coarsest_adjustment_that_reaches_the_goal(
    steepness: float, level: float, goal: float, guess: int, ripple: float
) -> None:
    """For falling curves of any slope, with a kink that misleads a secant; the goal may lie beyond either end."""
    probes: list[int] = []

    def curve(adjust: int) -> float:
        probes.append(adjust)
        return level - steepness * adjust - ripple * steepness * abs(adjust % 7 - 3)

    def plain(adjust: int) -> float:
        return level - steepness * adjust - ripple * steepness * abs(adjust % 7 - 3)

    found = search(curve, goal, guess, 0.03, 0.0, least=True, profile=PROFILE)
    reaching = [a for a in range(FINEST, COARSEST + 1) if plain(a) >= goal]
    assert found == (max(reaching) if reaching else FINEST)
    assert len(set(probes)) == len(probes)
    nearest = search(plain, goal, guess, 0.03, 0.0, least=False, profile=PROFILE)
    assert abs(plain(nearest) - goal) == pytest.approx(min(abs(plain(a) - goal) for a in range(FINEST, COARSEST + 1)))


@pytest.mark.parametrize("least", [False, True])
@pytest.mark.parametrize("edge", [-90, -3, 40, 79])
def test_a_figure_that_hardly_moves_does_not_lead_the_search_along_one_by_one(edge: int, least: bool) -> None:
    """Almost level but for one step down, as where most symbols are clipped: a secant would probe all of a hundred
    adjustments.
    """
    probes: list[int] = []

    def curve(adjust: int) -> float:
        probes.append(adjust)
        return (10.0 if adjust <= edge else -10.0) - 1e-6 * adjust

    assert search(curve, 0.0, 0, 0.03, 0.006, least, PROFILE) in (edge, edge + (not least))
    assert len(probes) <= SECANT_PROBES + 8


def test_segments_of_large_pictures_are_shorter() -> None:
    spec = TokenizerConfig().spec
    assert segment_groups_for(480, 854, spec, 8, with_pixels=False) == 8
    assert segment_groups_for(2160, 3840, spec, 8, with_pixels=True) == 1


def test_a_scene_cut_starts_a_segment_and_pieces_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two still pictures joined at frame 22, inside a latent frame: the second segment begins with the next whole one,
    at frame 24; pieces of 4 frames and of 32 give the same masks."""
    rng = np.random.default_rng(4)
    scenes = [np.kron(rng.integers(0, 255, (8, 10, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(2)]
    path = tmp_path / "cut.mkv"
    write(path, [scenes[int(i >= 22)] for i in range(48)])
    masks = []
    for pixels in (1, 4 * 1280 * 720):
        monkeypatch.setattr(pieces_module, "PIECE_PIXELS", pixels)
        out = io.BytesIO()
        encode(path, out, device="cpu")
        with open_lat(io.BytesIO(out.getvalue())) as lat:
            found = list(lat)
            masks.append(lat.mask)
        assert [g.first_frame for g in found if g.key] == [0, 24]
        assert [len(g.pts) for g in found] == [24, 24]
        assert len(list(decode_frames(io.BytesIO(out.getvalue()), device="cpu"))) == 48
    assert (masks[0] == masks[1]).all()
