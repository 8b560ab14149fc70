"""Pictures that no camera makes: every 8-bit video encodes with every setting, and a reader has the tokens that the
writer had.

The tokenizer answers some saturated patterns with latents far beyond what a symbol can be (a checkerboard of 2 pixels:
100,000 steps)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.codec.decoder import Decoder
from latcomp.codec.encode import Encoder
from latcomp.codec.settings import EncodeSettings
from latcomp.container import SYMBOL_MAX, SYMBOL_MIN, Group, Header, Reader, Writer
from latcomp.video import open_video
from tests.container.make import same_group
from tests.video.make import write

SIDE, FRAMES = 24, 12
BLACK, WHITE, RED, BLUE, CYAN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 255, 255)
Colour = tuple[int, int, int]


def pattern(kind: str, period: int, colours: tuple[Colour, Colour], shift: int = 0) -> np.ndarray:
    """(SIDE, SIDE, 3) uint8 of two colours: 'rows', 'columns', 'checks' or 'slant' of a period in pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] + shift
    which = {
        "rows": y // period,
        "columns": x // period,
        "checks": y // period + x // period,
        "slant": (x + y) // period,
    }[kind] % 2
    return np.array(colours, np.uint8)[which]


def dots(seed: int) -> list[np.ndarray]:
    """A single white pixel that jumps about on black."""
    rng = np.random.default_rng(seed)
    found = np.zeros((FRAMES, SIDE, SIDE, 3), np.uint8)
    for frame, (y, x) in zip(found, rng.integers(0, SIDE, (FRAMES, 2)), strict=True):
        frame[y, x] = 255
    return list(found)


def noise(seed: int) -> list[np.ndarray]:
    """Every sample black or white by chance."""
    return list(255 * np.random.default_rng(seed).integers(0, 2, (FRAMES, SIDE, SIDE, 3)).astype(np.uint8))


def clips() -> dict[str, list[np.ndarray]]:
    """The fixed extremes, by name."""
    found = {
        "noise": noise(0),
        "dots": dots(0),
        "flicker": [np.full((SIDE, SIDE, 3), 255 * (i % 2), np.uint8) for i in range(FRAMES)],
    }
    for kind in ("rows", "columns", "checks", "slant"):
        for name, colours in (("grey", (BLACK, WHITE)), ("red", (RED, CYAN)), ("blue", (RED, BLUE))):
            for periods in ((1, 2, 3), (4, 6, 8)):
                found[f"{kind}-{name}-{periods[0]}"] = [
                    pattern(kind, period, colours) for period in periods for _ in range(4)
                ]
    # what explodes comes, goes, turns over and moves: kept values at the bound meet others, and the other bound
    checks, other = pattern("checks", 2, (BLACK, WHITE)), pattern("rows", 4, (CYAN, RED))
    still = np.full((SIDE, SIDE, 3), 128, np.uint8)
    found["comes and goes"] = [still] * 4 + [other] * 4 + [still] * 4
    found["turns over"] = [other] * 4 + [255 - other] * 4 + [other] * 4
    found["one to another"] = [checks] * 4 + [other] * 4 + [checks] * 4
    found["flickers"] = [other, 255 - other] * (FRAMES // 2)
    found["moves"] = [pattern("rows", 4, (CYAN, RED), shift) for shift in range(FRAMES)]
    return found


CLIPS = clips()
EXPLODING = ("comes and goes", "turns over", "one to another")
MODES: dict[str, dict[str, Any]] = {
    "threshold": {"threshold": 0.01},
    "all that changes": {"threshold": 0.0},
    "keep": {"keep": 0.5},
    "keep all": {"keep": 1.0},
    "previous": {"reference": "previous"},
    "zstd": {"coding": "zstd"},
    "zstd at the finest": {"coding": "zstd", "quality": 10},
    "lossless": {"lossless": True},
    "target_bpp": {"target_bpp": 12.0},
    "target out of reach": {"target_bpp": 400.0},
    "min_psnr": {"min_psnr": 1.0},
    "plain rounding": {"rdo_lambda": 0.0, "quality": 10},
    "one step": {"lookahead_lambda": 0.0, "quality": 10},
}


@dataclass(frozen=True)
class AnyHeader:
    """A header that is equal to every other: what a decoder makes of a group depends on the two figures beside it."""

    header: Header = field(compare=False)


@lru_cache(maxsize=4)
def decoder_for(coding: str, step_scale: float, of: AnyHeader) -> Decoder:
    return Decoder(of.header, "cpu")


@lru_cache(maxsize=16)
def encoder(**chosen: Any) -> Encoder:
    return Encoder(EncodeSettings(**chosen), device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("extremes")


def round_trip(folder: Path, frames: list[np.ndarray], **chosen: Any) -> list[Group]:
    """The groups that were written, once a reader was found to have the same, and the file to decode."""
    made: list[Group] = []

    put = Writer.write_group

    def noting(self: Writer, group: Group) -> Any:
        made.append(group)
        return put(self, group)

    write(folder / "in.mkv", frames, codec="ffv1", pixel_format="bgr0", options={})
    out = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch, open_video(folder / "in.mkv") as reader:
        patch.setattr(Writer, "write_group", noting)
        encoder(**chosen).run(reader, out)
    out.seek(0)
    file = Reader(out, find_prior=lambda name, sha256: encoder().prior)
    back = [item for item in file if isinstance(item, Group)]
    assert not file.damage and len(back) == len(made) and all(map(same_group, made, back))
    # the models are the same for all of these files, and so is the size of the frames
    decoder = decoder_for(file.header.coding, file.header.step_scale, AnyHeader(file.header))
    found = [frame for group in back for frame in decoder.frames(group)]
    assert [frame.shape for frame in found] == [frames[0].shape] * len(frames)
    return made


@pytest.mark.parametrize("name", CLIPS)
def test_every_pattern_comes_back(folder: Path, name: str) -> None:
    round_trip(folder, CLIPS[name])


@pytest.mark.parametrize("quality", range(11))
@pytest.mark.parametrize("name", EXPLODING[1:])
def test_latents_beyond_all_bounds_come_back_at_every_quality(folder: Path, name: str, quality: int) -> None:
    round_trip(folder, CLIPS[name], quality=quality)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [*EXPLODING[1:], "flickers"])
def test_latents_beyond_all_bounds_come_back_in_every_mode(folder: Path, name: str, mode: str) -> None:
    round_trip(folder, CLIPS[name], **MODES[mode])


def test_the_bound_is_met(folder: Path) -> None:
    """The clips above do reach the ends of what a symbol may be: else they would prove nothing."""
    tokens = np.concatenate([group.tokens.reshape(-1) for group in round_trip(folder, CLIPS["turns over"], quality=10)])
    assert SYMBOL_MIN <= tokens.min() < SYMBOL_MIN + 8 and SYMBOL_MAX - 8 < tokens.max() <= SYMBOL_MAX


def test_what_explodes_and_calms_down_is_not_held(folder: Path) -> None:
    """A still grey picture behind stripes is kept anew: no value stays at its bound because it was clipped."""
    made = round_trip(folder, CLIPS["comes and goes"], quality=10)
    assert sum(int(group.mask[-1].sum()) for group in made) > 0
    assert np.abs(made[-1].tokens[-SIDE // 8 :]).max() < SYMBOL_MAX // 2


colours = st.tuples(*[st.sampled_from([0, 1, 127, 128, 254, 255])] * 3)


@st.composite
def extreme_clips(draw: st.DrawFn) -> list[np.ndarray]:
    """One to twelve frames, each a pattern of two colours, its negative, noise or a flat colour, drawn from a few."""
    kinds = st.sampled_from(["rows", "columns", "checks", "slant"])
    shown = [
        pattern(draw(kinds), draw(st.integers(1, 9)), (draw(colours), draw(colours)), draw(st.integers(0, 7)))
        for _ in range(draw(st.integers(1, 3)))
    ]
    shown += [
        255 - shown[0],
        noise(draw(st.integers(0, 9)))[0],
        np.full_like(shown[0], draw(st.sampled_from([0, 128, 255]))),
    ]
    return [shown[index] for index in draw(st.lists(st.integers(0, len(shown) - 1), min_size=1, max_size=FRAMES))]


def any_mode() -> Iterator[dict[str, Any]]:
    yield from ({"quality": float(quality)} for quality in range(11))
    yield from MODES.values()


@settings(max_examples=10, deadline=None)
@given(extreme_clips(), st.sampled_from(list(any_mode())))
def test_any_pictures_in_any_mode(folder: Path, frames: list[np.ndarray], chosen: dict[str, Any]) -> None:
    if "target_bpp" in chosen:
        chosen = {"target_bpp": 400.0}  # less may be out of reach
    round_trip(folder, frames, **chosen)
