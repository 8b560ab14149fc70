"""Protects: published tokenizers are read from every kind of file that users have, nothing but weights is read from
those, and what does not fit together says so in one line."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from latcomp import models
from latcomp.errors import LatcompError, UnsupportedFileError, UsageError
from latcomp.models import public as room
from latcomp.tokenizer.public import build, load
from latcomp.tokenizer.public.classes import REASONS
from latcomp.tokenizer.public.sources import shipped_config, source_of
from latcomp.tokenizer.public.wan_names import diffusers_name
from tests.tokenizer.published import CONFIGS, save_published, save_taehv

diffusers = pytest.importorskip("diffusers")
WEIGHTS = "diffusion_pytorch_model.safetensors"
# as Wan's own files have them: two residual blocks a stage and one more in the decoder's
WHOLE_STAGES = {"num_res_blocks": 2, "dim_mult": [1, 2, 4, 4], "base_dim": 2}


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of its own, and nothing remembered from another test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(room, "_MEASURED", {})
    forget()
    yield tmp_path / "cache"


def forget() -> None:
    room._SOURCES.clear()
    for cached in (models.sha256_of, models.fingerprint_of):
        cached.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_published("LTX 0.9", tmp_path / "model" / "vae")


def own_names(folder: Path, path: Path, to_own: Callable[[str], str]) -> Path:
    """A folder's weights as a single file under their authors' names."""
    save_file({to_own(name): values for name, values in load_file(folder / WEIGHTS).items()}, path)
    return path


def wan_name(name: str, nested: bool) -> str:
    """The name in Wan's own files of a weight of diffusers, found by trying those that there are."""
    kinds = ("weight", "bias", "gamma")
    block, between = ("residual.0", "residual.2", "residual.3", "residual.6", "shortcut"), ("resample.1", "time_conv")
    stems = [f"{coder}.middle.{i}.{each}" for coder in ("encoder", "decoder") for i in (0, 2) for each in block[:4]]
    stems += [f"{coder}.middle.1.{each}" for coder in ("encoder", "decoder") for each in ("norm", "to_qkv", "proj")]
    stems += [f"{coder}.{each}" for coder in ("encoder", "decoder") for each in ("conv1", "head.0", "head.2")]
    for stage, place in product(range(4), range(4)):
        for part, side, last in (("encoder", "down", 2), ("decoder", "up", 3)):
            at = f"{stage}.{side}samples.{place}" if nested else str(stage * (last + 1) + place)
            if place <= last:
                stems += [f"{part}.{side}samples.{at}.{each}" for each in (between if place == last else block)]
    stems += [f"encoder.downsamples.10.{each}" for each in block]  # the last stage has nothing to go between
    found = [f"{stem}.{kind}" for stem in [*stems, "conv1", "conv2"] for kind in kinds]
    return next(each for each in found if diffusers_name(each) == name)


@pytest.mark.parametrize("nested", [False, True], ids=["Wan 2.1", "Wan 2.2"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_single_file_of_wan_is_the_same_as_its_folder(nested: bool, suffix: str, tmp_path: Path) -> None:
    changed = {**WHOLE_STAGES, **({"decoder_base_dim": 3} if nested else {})}
    base = save_published("Wan 2.2" if nested else "Wan 2.1", tmp_path / "vae", **changed)
    path = own_names(base, tmp_path / "wan.safetensors", lambda name: wan_name(name, nested))
    if suffix == ".pth":
        torch.save(load_file(path), tmp_path / "wan.pth")
        path = tmp_path / "wan.pth"
    found, whole = (load.load_vae(source_of(each)).state_dict() for each in (path, base))
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_wan_names_are_those_of_diffusers(tmp_path: Path) -> None:
    """Of Wan 2.1, which diffusers converts too."""
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    base = save_published("Wan 2.1", tmp_path / "vae", **WHOLE_STAGES)
    own = {wan_name(name, nested=False): name for name in load_file(base / WEIGHTS)}
    assert convert_wan_vae_to_diffusers({name: name for name in own}).keys() == {diffusers_name(name) for name in own}


@pytest.mark.parametrize("version", ["wan-2.1", "wan-2.2", "ltx-0.9.0", "ltx-0.9.1", "ltx-0.9.5"])
def test_shipped_configurations_are_those_of_diffusers_classes(version: str) -> None:
    """Every member is one that the class takes, and the class builds under it."""
    config = shipped_config(version)
    name = config.pop("_class_name")
    with torch.device("meta"):
        module = getattr(diffusers, name)(**config)
    assert sum(values.numel() for values in module.parameters()) > 1e8


def test_a_pipelines_root_its_vae_folder_and_its_weights_are_one(folder: Path) -> None:
    (folder.parent / "model_index.json").write_text('{"_class_name": "LTXPipeline"}', encoding="utf-8")
    places = {models.find_tokenizer(path) for path in (folder, folder.parent, folder / WEIGHTS)}
    assert places == {folder}


def test_shards_and_half_weights_are_found(tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind, config = CONFIGS["LTX 0.9"]
    module = getattr(diffusers, kind)(**config)
    module.save_pretrained(tmp_path / "shards", max_shard_size="30KB")
    module.to(torch.float16).save_pretrained(tmp_path / "half", variant="fp16")
    shards, half = (models.published(tmp_path / name) for name in ("shards", "half"))
    assert shards is not None and len(shards.weights) > 1
    assert load.load_vae(shards).dtype == torch.float32
    assert half is not None and room.published_identity(half)["dtype"] == "F16"
    (shards.weights[-1]).unlink()
    forget()
    with pytest.raises(UsageError, match="is missing"):
        models.published(tmp_path / "shards")


def test_the_fingerprint_is_of_weights_and_configuration(folder: Path, tmp_path: Path) -> None:
    """Not of the folder's name, nor of the version of diffusers that wrote it."""
    first = models.model_record(folder, "name")
    other = save_published("LTX 0.9", tmp_path / "again")
    _edit(other, _diffusers_version="9.9", _name_or_path="elsewhere")
    assert models.model_record(other, "name") == first
    _edit(other, scaling_factor=2.0)
    forget()
    changed = models.model_record(other, "name")
    assert changed["sha256"] == first["sha256"] and changed["fingerprint"] != first["fingerprint"]
    third = models.model_record(save_published("LTX 0.9", tmp_path / "seed", seed=1), "name")
    assert third["sha256"] != first["sha256"] and third["fingerprint"] != first["fingerprint"]


def test_what_was_measured_is_kept(folder: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And measured again where what is kept is damaged, of another version, or cannot be kept."""
    spec = models.load_tokenizer(folder).spec
    (kept,) = (fresh / "latcomp" / "tokenizers").iterdir()
    real, runs = build.run_probe, []
    monkeypatch.setattr(build, "run_probe", lambda *given: runs.append(1) or real(*given))
    monkeypatch.setattr(room, "_MEASURED", {})
    assert models.load_tokenizer(folder).spec == spec and not runs
    whole = kept.read_text(encoding="utf-8")
    for damaged in (
        whole[:-9],
        whole.replace('"spatial": 32', '"spatial": 16'),
        "[]",
        '{"sha256": 1, "probe": {}}',
        "",
    ):
        kept.write_text(damaged, encoding="utf-8")
        monkeypatch.setattr(room, "_MEASURED", {})
        assert room.kept_probe(models.fingerprint_of(folder)) is None
    assert models.spec_of(folder) == spec and runs == [1]
    assert kept.read_text(encoding="utf-8").count('"spatial": 32') == 1


def test_nothing_can_be_kept(folder: Path, fresh: Path) -> None:
    fresh.write_text("a file where the cache folder should be", encoding="utf-8")
    spec = models.load_tokenizer(folder).spec
    assert models.spec_of(folder) == spec


def _edit(folder: Path, **changed: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changed}), encoding="utf-8")


def refused(path: Path, kind: type[LatcompError], words: str) -> None:
    """That a tokenizer is refused in one line."""
    with pytest.raises(kind, match=words) as caught:
        models.load_tokenizer(models.find_tokenizer(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*REASONS, "SomethingNew"])
def test_classes_that_cannot_be_used_say_why(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": name}), encoding="utf-8")
    (tmp_path / WEIGHTS).write_bytes(b"")
    refused(tmp_path, UnsupportedFileError, f"{name} cannot be used as a tokenizer: ")


def test_vidtok_must_be_causal_and_continuous(tmp_path: Path) -> None:
    for changed, words in (({"is_causal": False}, "not causal"), ({"regularizer": "fsq"}, "discrete")):
        forget()
        (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderVidTok", **changed}))
        (tmp_path / WEIGHTS).write_bytes(b"")
        refused(tmp_path, UnsupportedFileError, words)


def test_a_configuration_that_lies_is_refused(folder: Path) -> None:
    _edit(folder, latent_channels=12)
    refused(folder, UsageError, "does not fit the weights.*have another shape")
    _edit(folder, latent_channels=8, layers_per_block=[2, 1, 1, 1, 1])
    forget()
    refused(folder, UsageError, "weights are missing")
    for changed in ({"layers_per_block": 3}, {"block_out_channels": []}, {"block_out_channels": 5}):
        _edit(folder, **{"layers_per_block": [1, 1, 1, 1, 1], **changed})
        forget()
        refused(folder, UsageError, "diffusers makes nothing of the configuration")


def test_a_configuration_that_claims_much_takes_no_memory(folder: Path) -> None:
    """It is held against the weights before anything of it is allocated: these would be petabytes."""
    _edit(folder, block_out_channels=[10**7] * 4)
    refused(folder, UsageError, "does not fit the weights.*have another shape")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"latents_mean": "abc"}, "no numbers"),
        ({"latents_std": {"a": 1}}, "no numbers"),
        ({"latents_mean": [0.0] * 3}, "statistics of 3 channels, the weights 16"),
        ({"latents_std": [0.0] * 16}, "deviations above zero"),
        ({"latents_std": [-1.0] * 16}, "deviations above zero"),
        ({"latents_std": [1e300] * 16}, "means must be finite"),
        ({"latents_mean": [float("nan")] * 16}, "NaN is no number in JSON"),
    ],
)
def test_statistics_that_make_no_sense_are_refused(changed: dict[str, Any], words: str, tmp_path: Path) -> None:
    """Latents are divided by them: a zero or a NaN would be the end of every token."""
    folder = save_published("Wan 2.1", tmp_path / "wan")
    _edit(folder, **changed)
    refused(folder, UsageError, words)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 200_000, b"\xff"])
def test_a_configuration_that_cannot_be_read_is_told(text: bytes, folder: Path) -> None:
    (folder / "config.json").write_bytes(text)
    refused(folder, UsageError, "config.json cannot be read as the configuration of a tokenizer")


def test_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["decoder.conv_in.conv.bias"][0] = float("nan")
    save_file(weights, folder / WEIGHTS)
    refused(folder, UsageError, "decoder.conv_in.conv.bias.*no numbers")


def test_what_is_no_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    empty, text, strange, cut = (tmp_path / name for name in ("empty", "a.txt", "s.safetensors", "c.safetensors"))
    empty.mkdir()
    text.write_text("words", encoding="utf-8")
    save_file({"weight": torch.zeros(1)}, strange)
    cut.write_bytes(b"\xff" * 30)
    refused(empty, UsageError, "is no tokenizer")
    refused(text, UsageError, "is no tokenizer")
    refused(tmp_path / "nowhere", UsageError, "no tokenizer .* was found")
    refused(strange, UnsupportedFileError, "no video tokenizer that is known")
    refused(cut, UsageError, "no safetensors")
    cut.write_bytes((7).to_bytes(8, "little") + b'{"a":5}')
    refused(cut, UsageError, "no safetensors file: its header does not say what tensor a is")
    lone = tmp_path / "lone"
    lone.mkdir()
    save_published("LTX 0.9", tmp_path / "other")
    (tmp_path / "other" / WEIGHTS).rename(lone / "vae.safetensors")
    refused(lone / "vae.safetensors", UsageError, "no config.json beside it|known")
    refused(tmp_path / "other", UsageError, "no weights")
    (empty / "model_index.json").write_text("{}", encoding="utf-8")
    forget()
    refused(empty, UsageError, "pipeline without a video autoencoder")


def test_files_that_run_code_are_not_run(tmp_path: Path) -> None:
    """A pickle that would write a file, in what looks like a TAEHV."""
    target = tmp_path / "written"

    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (target,)

    path = save_taehv(tmp_path / "tae.pth")
    weights = torch.load(path, weights_only=True)
    torch.save({**weights, "harm": Harmful()}, path)
    refused(path, UsageError, "holds more than weights|cannot be read")
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"decoder.22.bias": 1}))
    refused(tmp_path / "old.pth", UsageError, "no PyTorch file of today")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("words.txt", "none")
    refused(tmp_path / "zip.pth", UnsupportedFileError, "no video tokenizer that is known")
    assert not target.exists()


def test_a_list_of_tensors_without_end_is_not_unpacked(tmp_path: Path) -> None:
    """A few kilobytes of an archive that claim gigabytes of names."""
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a/data.pkl", "w") as file:
        for _ in range(101):
            file.write(bytes(1_000_000))
    refused(path, UsageError, "its list of tensors would take 101000000 bytes")


def test_a_taehv_of_other_layers_is_refused(tmp_path: Path) -> None:
    path = save_taehv(tmp_path / "tae.pth")
    weights = torch.load(path, weights_only=True)
    del weights["encoder.2.conv.weight"]
    torch.save(weights, path)
    refused(path, UsageError, "not those of a TAEHV")


def test_what_diffusers_lacks_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, broken by another package's wheel, or too old."""
    cases: list[tuple[Exception, str]] = [
        (
            ModuleNotFoundError("No module named 'diffusers'", name="diffusers"),
            r"not installed: pip install.*\[diffusers",
        ),
        (
            RuntimeError("operator torchvision::nms does not exist"),
            "torchvision that is installed does not match torch",
        ),
    ]
    for error, words in cases:

        def fail(name: str, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(load, "import_module", fail)
        refused(folder, UsageError, words)
    monkeypatch.setattr(load, "import_module", lambda name: type("Old", (), {"__version__": "0.30"}))
    refused(folder, UsageError, "diffusers 0.30 has no AutoencoderKLLTXVideo")


def test_a_file_says_which_tokenizer_it_needs(folder: Path, tmp_path: Path) -> None:
    record = models.model_record(folder, "AutoencoderKLLTXVideo")
    assert models.find_model(record, "tokenizer", folder) == folder
    with pytest.raises(UnsupportedFileError, match=r"'AutoencoderKLLTXVideo'.*give its.*tokenizer='PATH'"):
        models.find_model(record, "tokenizer")
    other = save_published("LTX 0.9", tmp_path / "other", seed=2)
    with pytest.raises(UnsupportedFileError, match="is another one"):
        models.find_model(record, "tokenizer", other)
    _edit(folder, scaling_factor=2.0)
    forget()
    with pytest.raises(UnsupportedFileError, match="its weights and another configuration"):
        models.find_model(record, "tokenizer", folder)
