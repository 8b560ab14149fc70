"""Protects what is taken out of a trainer's file and put back: every tensor, key and metadata as it was, with no code
run."""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from latcomp.datasets.caches import safetensors_file, torch_file
from latcomp.datasets.caches.cached_file import CachedFile, read_file
from latcomp.datasets.caches.layout import Layout
from latcomp.datasets.caches.sources import Cache
from latcomp.datasets.caches.tensors import RawTensor, from_torch, to_torch
from latcomp.errors import DamagedFileError, LatcompError, NotACacheError
from tests.datasets import trainers


def again(path: Path) -> bytes:
    """The file as it is put together from what a .lat file carries and its latents, through (C, F, H, W) and back."""
    taken = read_file(path)
    assert taken is not None
    cached, latents = taken
    found = CachedFile.from_attachments(cached.attachments())
    videos = found.facts.layout.videos(latents)
    whole = found.whole(found.facts.layout.tensor(videos, found.shape))
    return b"".join(bytes(memoryview(part)) for part in whole)


def same(one: Any, other: Any) -> bool:
    """Whether two values of torch.save are equal, tensors in type, shape and every bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and from_torch(one).equals(from_torch(other))
    if isinstance(one, dict):
        return type(one) is type(other) and list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def loaded(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True)


def test_safetensors_files_come_back_byte_for_byte(tmp_path: Path) -> None:
    paths = [trainers.write_musubi_wan_i2v(tmp_path, "clip"), tmp_path / "b.safetensors"]
    save_file({"latents": trainers.video_latents(), "é": torch.tensor(2.5), "none": torch.empty(0, 3)}, paths[1])
    paths.append(trainers.write_musubi(tmp_path, "photo", trainers.video_latents()[:, 0], "fk", "flux_kontext"))
    paths.append(trainers.write_comfyui(tmp_path / "x.latent", trainers.video_latents()[None]))
    for path in paths:
        found = again(path)
        tensors, metadata = safetensors_file.parse(found)
        wanted, said = safetensors_file.read(path)
        assert metadata == said and list(tensors) == list(wanted)
        assert all(tensors[key].equals(wanted[key]) for key in wanted)
        assert len(found) == path.stat().st_size


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_files_of_torch_come_back(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "a.pt"
    wanted = OrderedDict(
        latents=trainers.video_latents().to(dtype),
        nested={"list": [1, -(2**70), 2.5, float("-inf"), None, True, "é"], 7: (torch.arange(3), ("x",))},
        scalar=torch.tensor(3, dtype=torch.int64),
        empty=torch.empty(0, 4, dtype=torch.bool),
        size=torch.Size([2, 3]),
        dtype=torch.bfloat16,
        part=torch.arange(12).view(3, 4).T[1:],
    )
    torch.save(wanted, path)
    assert same(loaded(again(path)), wanted)
    torch.save(wanted["latents"], path)
    assert same(loaded(again(path)), wanted["latents"])


def test_trainers_are_told_apart(tmp_path: Path) -> None:
    clip = trainers.video_latents(8)
    made = {
        "musubi": trainers.write_musubi(tmp_path, "c", clip.half(), "hv", "hunyuan_video"),
        "ltx": trainers.write_ltx(tmp_path / "latents" / "c.pt", clip),
        "comfyui": trainers.write_comfyui(tmp_path / "c.latent", clip[None]),
        "finetrainers": trainers.write_finetrainers(tmp_path, 0),
        "plain": tmp_path / "c.pt",
    }
    torch.save(clip, made["plain"])
    for form, path in made.items():
        taken = read_file(path)
        assert taken is not None and taken[0].facts.format == form
    facts = {form: taken[0].facts for form, path in made.items() if (taken := read_file(path))}
    assert (facts["musubi"].space, facts["musubi"].estimator) == ("raw", "sample")
    assert (facts["finetrainers"].estimator, facts["ltx"].frames_per_second) == ("moments", 24.0)


def test_files_without_latents_are_none(tmp_path: Path) -> None:
    save_file({"varlen_t5_bfloat16": torch.zeros(3, 4)}, tmp_path / "a_wan_te.safetensors", {"architecture": "wan"})
    torch.save({"prompt_embeds": torch.zeros(3, 4), "latents": "no"}, tmp_path / "a.pt")
    assert read_file(tmp_path / "a_wan_te.safetensors") is None
    assert read_file(tmp_path / "a.pt") is None


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("CFHW", (4, 3, 5, 6)),
        ("BCFHW", (2, 4, 3, 5, 6)),
        ("FCHW", (3, 4, 5, 6)),
        ("BFCHW", (2, 3, 4, 5, 6)),
        ("CHW", (4, 5, 6)),
        ("BCHW", (2, 4, 5, 6)),
        ("SC", (90, 4)),
    ],
)
def test_layouts_there_and_back(layout: str, shape: tuple[int, ...]) -> None:
    tensor = from_torch(torch.randn(shape).to(torch.bfloat16))
    found = Layout(layout, (3, 5, 6) if layout == "SC" else None)
    videos = found.videos(tensor)
    assert len(videos) == (2 if "B" in layout else 1)
    assert all(video.shape == (4, 3 if "F" in layout or layout == "SC" else 1, 5, 6) for video in videos)
    assert found.tensor(videos, shape).equals(tensor)


def test_rows_of_the_ltx_trainer_are_a_grid(tmp_path: Path) -> None:
    clip = trainers.video_latents()
    taken = read_file(trainers.write_ltx(tmp_path / "c.pt", clip, legacy=True))
    assert taken is not None
    (video,) = taken[0].facts.layout.videos(taken[1])
    assert video.equals(from_torch(clip))


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64"])
def test_rounding_is_that_of_torch(dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=4000).astype(np.float32) * 10.0 ** np.arange(-20, 20).repeat(100)
    values = np.concatenate([values.astype(np.float32), np.float32([0, -0.0, np.inf, -np.inf, np.nan, 3.39e38, 1e-45])])
    ours = RawTensor.from_float32(values, dtype)
    theirs = from_torch(torch.from_numpy(values).to(to_torch(ours).dtype))
    back = theirs.to_float32()
    assert np.array_equal(ours.to_float32(), back, equal_nan=True)
    assert np.array_equal(back, to_torch(theirs).float().numpy(), equal_nan=True)


# -- what is wrong with a file is one line, and nothing is run


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path(RAN[0]),))


RAN = [""]


@pytest.mark.parametrize("form", ["zip", "plain pickle", "torch of old"])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, form: str) -> None:
    RAN[0] = str(tmp_path / "ran")
    path = tmp_path / "a.pt"
    value = {"latents": torch.zeros(4, 1, 2, 2), "x": Bomb()}
    if form == "plain pickle":
        path.write_bytes(pickle.dumps(value))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(NotACacheError, match="nothing was run") as raised:
        read_file(path)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_of_torch_are_one_line(tmp_path: Path) -> None:
    path = trainers.write_ltx(tmp_path / "c.pt", trainers.video_latents(4, 2, 4, 4))
    whole = path.read_bytes()
    for data in (b"xx", *(whole[:size] for size in (0, 3, 50, len(whole) // 2, len(whole) - 30))):
        path.write_bytes(data)
        with pytest.raises(NotACacheError, match="is cut off, damaged, or no file of"):
            read_file(path)


LIES: list[tuple[dict[str, Any], str]] = [
    ({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 17]}}, "do not fit its shape"),
    ({"a": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]}}, "ends at 32 of 16"),
    ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "8 bytes belong to no tensor"),
    ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}, "begins at 8, not 0"),
    ({name: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} for name in "ab"}, "begins at 0, not 16"),
    ({"a": {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]}}, "do not fit its shape"),
    ({"a": {"dtype": "F31", "shape": [4], "data_offsets": [0, 16]}}, "not known"),
    ({"a": {"dtype": "F32", "shape": [4]}}, "damaged header"),
    ({"a": 3}, "damaged header"),
    ({"a": {"dtype": "F32", "shape": [True, 4], "data_offsets": [0, 16]}}, "do not fit"),
    ({"__metadata__": {"x": 1}}, "no table of texts"),
]


@pytest.mark.parametrize(("header", "said"), LIES)
def test_a_safetensors_header_that_lies_is_found(header: dict[str, Any], said: str) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(NotACacheError, match=said):
        safetensors_file.parse(len(text).to_bytes(8, "little") + text + bytes(16))


@pytest.mark.parametrize(
    "data", [b"", b"1234567", b"\xff" * 16, b"\2" + bytes(7) + b"[]", b"\4" + bytes(7) + b"{\xff\xff}"]
)
def test_what_is_no_safetensors_file_is_said(data: bytes) -> None:
    with pytest.raises(NotACacheError):
        safetensors_file.parse(data)


def test_a_name_that_comes_twice_is_refused() -> None:
    entry = '"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    text = f"{{{entry},{entry}}}".encode()
    with pytest.raises(NotACacheError, match="twice"):
        safetensors_file.parse(len(text).to_bytes(8, "little") + text)


def test_a_description_that_was_changed_is_damage(tmp_path: Path) -> None:
    taken = read_file(trainers.write_musubi_wan_i2v(tmp_path, "clip"))
    assert taken is not None
    parts = taken[0].attachments()
    text = parts["cache.json"].data.tobytes()
    for old, new in [
        (b'"version":1', b'"version":9'),
        (b'"name":"clip', b'"name":"../clip'),
        (b'"layout":"CFHW"', b'"layout":"XY"'),
        (b'"dtype":"BF16"', b'"dtype":"U8"'),
        (b'{"tensor":"clip_bfloat16"}', b'{"tensor":"gone"}'),
        (b'{"tensor":"clip_bfloat16"}', b'{"run":"gone"}'),
        (b"{", b"["),
    ]:
        changed = np.frombuffer(text.replace(old, new, 1), np.uint8)
        assert changed.tobytes() != text
        with pytest.raises(DamagedFileError):
            CachedFile.from_attachments({**parts, "cache.json": RawTensor("U8", changed.shape, changed)})


def test_values_of_other_types_and_endless_ones_are_refused(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    wide: list[Any] = [0] * 10
    for _ in range(9):
        wide = [wide] * 10
    for value in (deep, wide):
        torch.save({"latents": torch.zeros(4, 1, 2, 2), "x": value}, tmp_path / "a.pt")
        with pytest.raises(LatcompError, match="nested too deep"):
            taken = read_file(tmp_path / "a.pt")
            assert taken is not None
            taken[0].attachments()


def test_torch_reads_what_is_written() -> None:
    value = {"a": RawTensor.from_float32(np.ones((2, 3), np.float32), "BF16"), "b": (1, [None])}
    found = loaded(torch_file.write(value))
    assert same(found, {"a": torch.ones(2, 3, dtype=torch.bfloat16), "b": (1, [None])})


def test_safetensors_reads_what_is_written(tmp_path: Path) -> None:
    tensors = {"z": from_torch(torch.ones(3, dtype=torch.uint8)), "a": from_torch(torch.randn(2, 2).double())}
    (tmp_path / "a.safetensors").write_bytes(b"".join(bytes(part) for part in safetensors_file.serialize(tensors)))
    found = load_file(tmp_path / "a.safetensors")
    assert all(from_torch(found[key]).equals(tensors[key]) for key in tensors)


@pytest.mark.parametrize("form", ["safetensors", "pt", "db"])
def test_changed_bytes_are_read_or_refused_in_one_line(tmp_path: Path, form: str) -> None:
    """Of any file: no error of another library, and no endless work."""
    if form == "safetensors":
        path = trainers.write_musubi_wan_i2v(tmp_path, "clip")
    elif form == "pt":
        path = trainers.write_ltx(tmp_path / "a.pt", trainers.video_latents(4, 2, 3, 3))
    else:
        path = trainers.write_pipe(tmp_path, [trainers.pipe_item(seed) for seed in range(3)]) / "metadata.db"
    whole, random = path.read_bytes(), np.random.default_rng(7)
    for _ in range(120):
        changed = bytearray(whole)
        for place in random.integers(0, min(len(whole), 4000), random.integers(1, 5)):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        if form == "db":
            cache = Cache(tmp_path, tmp_path / "lats")
            assert len(list(cache.sources())) <= 3
            assert all("\n" not in str(error) for _, error in cache.unreadable)
            continue
        try:
            taken = read_file(path)
            if taken is not None:
                CachedFile.from_attachments(taken[0].attachments())
        except LatcompError as error:
            assert "\n" not in str(error)
