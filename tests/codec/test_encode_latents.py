"""Protects: latents that a trainer cached become a file and come back in their type and layout, as close as was asked
for, with no tokenizer at hand and without torch."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import latcomp
from latcomp import models
from latcomp.codec.decode import decode_frames
from latcomp.codec.decode_latents import LatentsInfo, decode_latents
from latcomp.codec.encode_latents import encode_latents
from latcomp.codec.result import EncodeResult
from latcomp.container import Attachment, Group, Reader, check
from latcomp.errors import DamagedFileError, UnsupportedFileError, UsageError
from latcomp.tokenizer.pixels import padded, to_pixels
from tests.container.make import groups, sized, written
from tests.tokenizer import made_up
from tests.tokenizer.made_up import Habits

TOKENIZER = {"name": "wan2.1", "spatial": 8, "temporal": 4, "first_frames": 1}
DTYPES = ("float32", "float16", "bfloat16")


def latents(dtype: str = "float32", frames: int = 11, channels: int = 4, seed: int = 0) -> np.ndarray:
    """(C, T, 5, 6): a field that drifts, where half of the positions stand still."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 0.2, (channels, frames, 5, 6)), 1)
    drift[..., :3] = 0
    field = rng.normal(0, 1, (channels, 1, 5, 6)) + drift + np.arange(channels).reshape(-1, 1, 1, 1)
    if dtype == "bfloat16":
        return ((np.float32(field).view(np.uint32) >> 16) << 16).view(np.float32)
    return field.astype(dtype)


def put(values: Any, **settings: Any) -> tuple[bytes, EncodeResult]:
    """(the file of some latents, what came of it)."""
    out = io.BytesIO()
    result = encode_latents(values, out, **{"tokenizer": TOKENIZER, **settings})
    return out.getvalue(), result


def got(data: bytes) -> tuple[np.ndarray, LatentsInfo]:
    assert check(io.BytesIO(data)) == []
    return decode_latents(io.BytesIO(data))


def error(found: np.ndarray, values: np.ndarray) -> float:
    """Root mean square error over the root of the mean variance of the channels."""
    apart = found.astype(np.float64) - values.astype(np.float64)
    variance = values.astype(np.float64).reshape(len(values), -1).var(1).mean()
    return float(np.sqrt(np.square(apart).mean() / variance))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("most", [0.01, 0.03, 0.1])
def test_a_bound_on_the_error_is_met_and_used(dtype: str, most: float) -> None:
    """Measured on what comes back, after hold and rounding to the type; a looser bound makes a smaller file."""
    values = latents(dtype)
    data, result = put(values, dtype=dtype, max_rmse=most)
    found, _ = got(data)
    assert 0.85 * most < error(found, values) <= most
    assert result.relative_rmse == pytest.approx(error(found, values), rel=1e-9)
    assert len(data) > len(put(values, dtype=dtype, max_rmse=1.2 * most)[0])


def test_a_bound_that_cannot_be_met() -> None:
    with pytest.raises(UsageError, match="max_rmse 1e-06 cannot be met: the numbers of bfloat16 are no closer"):
        put(latents("bfloat16"), dtype="bfloat16", max_rmse=1e-6)
    with pytest.raises(UsageError, match="cannot be met: dropped tokens are further off"):
        put(latents(), max_rmse=0.01, keep=0.3)


def test_the_default_quality() -> None:
    """A relative squared error of about 4e-3, whatever the latents' size."""
    for size in (0.01, 1.0, 300.0):
        values = latents() * np.float32(size)
        data, result = put(values)
        assert 2.5e-3 < error(got(data)[0], values) ** 2 < 4.5e-3
        assert result.stats["quality"] == 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_lossless_is_bit_for_bit(dtype: str) -> None:
    """Also for what is no number, for negative zeros where there were zeros before, and for the smallest numbers."""
    values = latents(dtype)
    values[0, 3] = 0.0
    values[0, 4] = -0.0
    values[1, 2, 0] = np.inf
    values[1, 2, 1] = np.nan
    values[2, :, 0, 0] = {"float32": 1e-45, "float16": 6e-8, "bfloat16": 2.0**-133}[dtype]
    data, result = put(values, dtype=dtype, lossless=True)
    found, info = got(data)
    assert found.dtype == values.dtype and found.tobytes() == values.tobytes() and info.lossless
    assert result.relative_rmse == 0 and result.stats["steps"] is None


def masks(data: bytes) -> np.ndarray:
    return np.concatenate([item.mask for item in Reader(io.BytesIO(data)) if isinstance(item, Group)])


@pytest.mark.parametrize("how", [{}, {"max_rmse": 0.02}, {"lossless": True}], ids=str)
def test_only_what_repeats_is_dropped(how: dict[str, Any]) -> None:
    """Positions that stand still are kept once, as no error comes of that; of those that move all that change."""
    data, _ = put(latents(), **how)
    kept = masks(data)
    assert kept[0].all() and not kept[1:, :, :3].any()
    assert kept[1:, :, 3:].mean() > (0.7 if not how else 0.95)


def test_the_transient_is_kept_whole() -> None:
    for how in ({}, {"lossless": True}, {"keep": 0.3}, {"threshold": 9.0}):
        kept = masks(put(latents(), tokenizer={**TOKENIZER, "transient": 10}, **how)[0])
        assert kept[:10].all() and not kept[10, :, :3].any()


def test_tokens_can_be_dropped() -> None:
    """By a share, by a threshold, or by the quality's own threshold; the error says what that costs."""
    values = latents(channels=16)
    sizes = []
    for how in ({}, {"threshold": None}, {"threshold": 0.3}, {"keep": 0.2}):
        data, result = put(values, **how)
        assert result.relative_rmse == pytest.approx(error(got(data)[0], values), rel=1e-9)
        sizes.append(result.stats["tokens_kept"])
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == round(0.2 * masks(data).size)


def test_what_is_said_of_them_comes_back(tmp_path: Path) -> None:
    values = latents("float16")[None]
    carried = [Attachment.of("text", np.arange(6, dtype=np.float16).reshape(2, 3)), Attachment.of("n", np.array(7))]
    tokenizer = {**TOKENIZER, "sha256": "ab" * 32, "channel_step": [1, 2, 1, 1], "licence": "passed over"}
    result = encode_latents(
        values,
        tmp_path / "a.lat",
        tokenizer=tokenizer,
        frames=38,
        width=44,
        height=35,
        fps=16,
        space="normalised",
        estimator="sample",
        architecture="wan",
        attachments=iter(carried),
    )
    found, info = decode_latents(tmp_path / "a.lat")
    assert found.dtype == np.float16 and found.shape == values.shape
    assert (info.frames, info.width, info.height, info.fps) == (38, 44, 35, Fraction(16))
    assert (info.space, info.estimator, info.layout, info.dtype, info.architecture) == (
        *("normalised", "sample", "BCFHW", "float16", "wan"),
    )
    wanted = {name: tokenizer[name] for name in ("name", "spatial", "temporal", "first_frames", "sha256")}
    assert info.tokenizer == {**wanted, "channels": 4} and list(info.attachments) == carried
    assert result.stats["latents"]["architecture"] == "wan" and len(result.stats["attachments"]) == 2
    steps = result.stats["steps"]["channel_step"]
    assert steps[1] == pytest.approx(2 * steps[0], rel=1e-3)


def test_what_is_not_said() -> None:
    """Sizes are those that the latents stand for; frames a second are not known; a still picture is one frame."""
    _, info = got(put(latents())[0])
    assert (info.frames, info.width, info.height, info.fps, info.architecture) == (41, 48, 40, None, None)
    assert info.layout == "CFHW" and info.attachments == () and "sha256" not in info.tokenizer
    still, info = got(put(latents(frames=1))[0])
    assert still.shape == (4, 1, 5, 6) and info.frames == 1
    _, info = got(put(latents(), tokenizer={"name": "t", "spatial": 8, "temporal": 4})[0])
    assert info.frames == 44 and info.tokenizer["first_frames"] == 4


def test_latents_that_do_not_vary() -> None:
    for values in (np.zeros((2, 3, 2, 2), np.float32), np.full((2, 3, 2, 2), 0.37, np.float32)):
        for how in ({}, {"max_rmse": 0.01}, {"lossless": True}):
            if how.get("max_rmse") and values.any():
                with pytest.raises(UsageError, match="cannot be met"):
                    put(values, **how)
                continue
            assert np.allclose(got(put(values, **how)[0])[0], values, atol=0.51)


def test_tensors() -> None:
    """Torch's own are taken as they are, also those of bfloat16."""
    values = latents("bfloat16")
    tensor = torch.from_numpy(values).to(torch.bfloat16)
    data, _ = put(tensor, lossless=True)
    found, info = got(data)
    assert info.dtype == "bfloat16" and torch.equal(torch.from_numpy(found).to(torch.bfloat16), tensor)
    assert put(tensor[None], lossless=True)[0] != data and got(put(tensor[None])[0])[0].shape == (1, *values.shape)


@pytest.mark.parametrize("wanted", [{}, {"max_rmse": 0.1}, {"quality": 9, "coding": "zstd"}])
@pytest.mark.parametrize("size", [1e-30, 1e-8, 1e12, 1e30, 3e37])
def test_latents_of_a_size_that_no_steps_fit_are_refused(size: float, wanted: dict[str, Any]) -> None:
    """Steps have bounds: beyond them every token would come back as nothing, in silence."""
    with pytest.raises(UsageError, match=r"no quantiser steps fit.*lossless=True"):
        put(latents() * np.float32(size), **wanted)
    assert np.array_equal(got(put(latents() * np.float32(size), lossless=True)[0])[0], latents() * np.float32(size))


@pytest.mark.parametrize("size", [1e-5, 1.0, 1e6])
def test_latents_of_other_sizes_are_as_good(size: float) -> None:
    assert put(latents() * np.float32(size))[1].relative_rmse == pytest.approx(put(latents())[1].relative_rmse, 0.05)


def test_values_beyond_all_symbols_are_refused() -> None:
    """A channel far from zero would be cut off at what a symbol counts, and come back as another."""
    values = latents()
    values[1] += 1e6
    with pytest.raises(UsageError, match=r"channel 1 .*symbols count 32767"):
        put(values)


def test_the_same_file_each_time() -> None:
    assert put(latents(), max_rmse=0.03)[0] == put(latents(), max_rmse=0.03)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": np.zeros((4, 5, 6), np.float32)}, r"\(C, T, h, w\)"),
        ({"latents": np.zeros((2, 4, 3, 5, 6), np.float32)}, r"\(C, T, h, w\)"),
        ({"latents": np.zeros((4, 0, 5, 6), np.float32)}, r"\(C, T, h, w\)"),
        ({"latents": np.zeros((4, 3, 5, 6), np.int32)}, "dtype 'int32'"),
        ({"latents": np.full((4, 3, 5, 6), np.nan, np.float32)}, "no numbers"),
        ({"latents": latents(), "dtype": "bfloat16"}, "none of this type"),
        ({"latents": latents("float16"), "dtype": "bfloat16"}, "the latents are float16"),
        ({"layout": "FCHW"}, "layout"),
        ({"space": "latent"}, "space"),
        ({"estimator": "mean"}, "estimator"),
        ({"architecture": 1}, "architecture"),
        ({"frames": 37}, "frames 37 do not make 11 latent frames"),
        ({"frames": 42}, "frames 42 do not make 11 latent frames"),
        ({"frames": 40.0}, "frames"),
        ({"width": 40}, "width 40 does not make 6 positions"),
        ({"height": 0}, "height"),
        ({"fps": 0}, "fps"),
        ({"fps": "24"}, "fps"),
        ({"fps": 1e-9}, "fps"),
        ({"tokenizer": "wan"}, "no mapping"),
        ({"tokenizer": {"name": "t", "spatial": 8}}, "temporal is missing"),
        ({"tokenizer": {**TOKENIZER, "channels": 16}}, "channels 16, the latents have 4"),
        ({"tokenizer": {**TOKENIZER, "first_frames": 5}}, "first_frames"),
        ({"tokenizer": {**TOKENIZER, "spatial": 8.0}}, "spatial"),
        ({"tokenizer": {**TOKENIZER, "sha256": "abc"}}, "sha256"),
        ({"tokenizer": {**TOKENIZER, "channel_step": [1, 1]}}, "4 relative steps"),
        ({"tokenizer": {**TOKENIZER, "channel_step": "many"}}, "channel_step"),
        ({"quality": 11}, "quality"),
        ({"max_rmse": 0}, "max_rmse"),
        ({"quality": 5, "max_rmse": 0.1}, "exclude each other"),
        ({"lossless": True, "max_rmse": 0.1}, "exclude each other"),
        ({"lossless": True, "keep": 0.1}, "exclude each other"),
        ({"threshold": 0.1, "keep": 0.1}, "exclude each other"),
        ({"coding": "ans"}, "coding"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit(change: dict[str, Any], message: str) -> None:
    """Named before anything is written."""
    out = io.BytesIO()
    given = {"latents": latents(), "tokenizer": TOKENIZER, **change}
    with pytest.raises(UsageError, match=message):
        encode_latents(given.pop("latents"), out, **given)
    assert not out.getvalue()


def test_damage_is_never_latents() -> None:
    data, _ = put(latents(), attachments=[Attachment.of("a", np.arange(4))])
    for at in (data.index(b"GRUP") + 60, data.rindex(b"GRUP") + 60, data.index(b"atch") + 20, len(data) - 3):
        with pytest.raises(DamagedFileError):
            decode_latents(io.BytesIO(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))
        with pytest.raises(DamagedFileError):
            decode_latents(io.BytesIO(data[:at]))


def test_an_opened_file_gives_them(tmp_path: Path) -> None:
    path = tmp_path / "a.lat"
    path.write_bytes(put(latents(), fps=4)[0])
    found, _ = decode_latents(path)
    with latcomp.open(path, device="cpu") as lat:
        assert np.array_equal(lat.latents()[0].numpy(), found)
        assert np.array_equal(lat.latents(1.0, 0.25)[0].numpy(), found[:, 1:2])
        assert lat.stats()["tokenizer"]["sha256"] is None
        assert lat.mask.shape == (11, 5, 6)


def test_a_file_of_a_video_has_no_cached_latents() -> None:
    of = sized(2, 3, 2)
    with pytest.raises(UsageError, match="made of a video"):
        decode_latents(io.BytesIO(written(of, groups(of, 1), sound=False)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with made_up.known():
        yield made_up.write_made_up(tmp_path_factory.mktemp("made-up"), Habits())


def test_frames_need_a_tokenizer_that_fits(folder: Path) -> None:
    """Without one its name is what the message says; one of another geometry is refused; with the right one the frames
    are those that were encoded."""
    tokenizer = models.load_tokenizer(folder)
    spec = tokenizer.spec
    frames = [np.full((16, 32, 3), 40 + 4 * index, np.uint8) for index in range(9)]
    with torch.inference_mode():
        made, _ = tokenizer.encode(to_pixels(padded(frames, spec, torch.device("cpu")), spec))
    said = {name: getattr(spec, name) for name in ("name", "spatial", "temporal", "first_frames")}
    data, _ = put(made, tokenizer=said, quality=9, fps=25)
    with pytest.raises(UnsupportedFileError, match=f"latents of the tokenizer '{spec.name}', and none was given"):
        list(decode_frames(io.BytesIO(data), device="cpu"))
    with pytest.raises(UsageError, match="is no tokenizer"):
        list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder.parent))
    found = list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder))
    assert [frame.pts for frame in found] == list(range(9))
    apart = [abs(frame.pixels.astype(int) - true.astype(int)).max() for frame, true in zip(found, frames, strict=True)]
    assert max(apart) <= 8
    data, _ = put(made, tokenizer={**said, "spatial": 2 * spec.spatial}, quality=9)
    assert models.faults_of(Reader(io.BytesIO(data)).header) == [], "nothing is wrong with the file"
    misfit = "is not the tokenizer of these latents: the header says spatial"
    with pytest.raises(UnsupportedFileError, match=misfit):
        list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder))
    with pytest.raises(UnsupportedFileError, match=misfit):
        latcomp.check(io.BytesIO(data), tokenizer=folder)


def test_frames_need_latents_of_the_tokenizers_space(tmp_path: Path) -> None:
    """Normalised latents would be decoded to a picture too, but not to that of the raw ones."""
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "t", Habits(space="normalised"))
        said = {"name": "t", "spatial": 8, "temporal": 4, "first_frames": 1}
        for space in ("raw", "normalised"):
            data, _ = put(latents(channels=6), tokenizer=said, space=space)
            if space == "normalised":
                assert len(list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder))) == 41
                continue
            with pytest.raises(UnsupportedFileError, match=f"are raw, those of {folder} normalised"):
                list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder))


def test_no_torch_is_imported(tmp_path: Path) -> None:
    """Neither to encode nor to decode."""
    script = f"""
import sys
import numpy as np
import latcomp
values = np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float32)
latcomp.encode_latents(values, {str(tmp_path / "a.lat")!r}, tokenizer={TOKENIZER!r})
latcomp.decode_latents({str(tmp_path / "a.lat")!r})
assert not {{"torch", "av"}} & set(sys.modules), sorted(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
