"""Protects the way of a trainer's cache to .lat files and back: what the trainer reads afterwards is what it wrote,
latents within the bound on their error and all else bit for bit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import latcomp
from latcomp.datasets.caches.outcome import CacheOutcome, CacheSummary
from latcomp.datasets.caches.tensors import from_torch
from tests.datasets import trainers

BOUND = 0.04
WAYS = [{"max_rmse": BOUND}, {"lossless": True}]
IDS = ["max_rmse", "lossless"]


def there_and_back(cache: Path, folder: Path, form: str, **settings: Any) -> tuple[Path, list[CacheOutcome]]:
    """The folder that the cache's copy is in, and the outcomes of its import."""
    outcomes: list[CacheOutcome] = []
    summary = latcomp.import_cache(cache, folder / "lats", watch=outcomes.append, **settings)
    assert summary.failed == 0, summary.first_error
    made = latcomp.export_cache(folder / "lats", folder / "back", form=form)
    assert made.failed == 0, made.first_error
    return folder / "back", outcomes


def close(found: torch.Tensor, wanted: torch.Tensor, lossless: bool, margin: float = 1.001) -> bool:
    """Whether latents are of the same type and shape, and bit for bit or within the bound, times a margin."""
    if (found.dtype, found.shape) != (wanted.dtype, wanted.shape):
        return False
    if lossless:
        return from_torch(found).equals(from_torch(wanted))
    whole = wanted if wanted.dim() > 3 else wanted[:, None]
    by_channel = whole.float().transpose(0, -4).flatten(1)
    deviation = by_channel.var(1, correction=0).mean().sqrt()
    error = (found.float() - wanted.float()).square().mean().sqrt()
    return bool(0 < error <= BOUND * deviation * margin)


def equal(found: Any, wanted: Any) -> bool:
    """Whether two values are equal, tensors in type, shape and every bit."""
    if isinstance(wanted, torch.Tensor):
        return isinstance(found, torch.Tensor) and from_torch(found).equals(from_torch(wanted))
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(equal(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return type(found) is type(wanted) and len(found) == len(wanted) and all(map(equal, found, wanted))
    return type(found) is type(wanted) and bool(found == wanted)


def but(table: dict[str, Any], key: str = "latents") -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_musubi_tuner(tmp_path: Path, way: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    for seed in range(2):
        trainers.write_musubi_wan_i2v(cache, f"clip_{seed}", seed)
    trainers.write_musubi(cache, "long", trainers.video_latents(frames=9, height=6, seed=3).bfloat16(), "wan", "wan")
    trainers.write_musubi(cache, "photo", trainers.video_latents()[:, 0].contiguous(), "fk", "flux_kontext")
    back, outcomes = there_and_back(cache, tmp_path, "musubi", **way)
    assert sorted(path.name for path in back.iterdir()) == sorted(path.name for path in cache.iterdir())
    for short in ("wan", "fk"):
        wanted, found = trainers.read_musubi(cache, short), trainers.read_musubi(back, short)
        assert list(found) == list(wanted)
        for clip in wanted:
            one, other = found[clip].pop("tensors"), wanted[clip].pop("tensors")
            assert found[clip] == wanted[clip]
            assert equal(but(one), but(other))
            assert close(one["latents"], other["latents"], "lossless" in way)
    for path in cache.iterdir():
        with safe_open(path, "pt") as one, safe_open(back / path.name, "pt") as other:
            assert list(one.keys()) == list(other.keys())
            assert one.metadata() == other.metadata()
        assert "lossless" not in way or (back / path.name).read_bytes() == path.read_bytes()
    assert {(one.facts["space"], one.facts["architecture"]) for one in outcomes} == {
        ("normalised", "wan"),
        ("raw", "flux_kontext"),
    }


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_diffusion_pipe(tmp_path: Path, way: dict[str, Any]) -> None:
    folder = Path("cache", "wan", "cache_80x64x17", "latents")
    items = [trainers.pipe_item(seed) for seed in range(7)]
    cache = trainers.write_pipe(tmp_path / "in" / folder, items)
    assert len(list(cache.glob("shard_*.bin"))) > 1
    back, outcomes = there_and_back(tmp_path / "in", tmp_path, "diffusion-pipe", **way)
    found = trainers.PipeCache(back / folder, "b2f0")
    assert not found.deleted and len(found) == len(items)
    assert found.items == trainers.PipeCache(cache, "b2f0").items
    for index, wanted in enumerate(items):
        assert equal(but(found[index]), but(wanted))
        assert list(found[index]) == list(wanted)
        assert close(found[index]["latents"], wanted["latents"], "lossless" in way)
    assert {one.facts["architecture"] for one in outcomes} == {"wan"}
    assert {path.name for path in (back / folder).iterdir()} == {path.name for path in cache.iterdir()}


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_ltx_trainer(tmp_path: Path, way: dict[str, Any]) -> None:
    latents = tmp_path / "cache" / ".precomputed" / "latents"
    trainers.write_ltx(latents / "a" / "x.pt", trainers.video_latents(32).bfloat16())
    trainers.write_ltx(latents / "b" / "x.pt", trainers.video_latents(32, 3, seed=1).bfloat16(), legacy=True)
    trainers.write_ltx(latents / "y.pt", trainers.video_latents(32, 3, seed=1).bfloat16(), fps=23.976)
    (tmp_path / "cache" / ".precomputed" / "conditions").mkdir()
    torch.save({"prompt_embeds": torch.zeros(4, 8)}, tmp_path / "cache" / ".precomputed" / "conditions" / "y.pt")
    back, outcomes = there_and_back(tmp_path / "cache", tmp_path, "ltx", **way)
    wanted, found = (list(trainers.read_ltx(root)) for root in (tmp_path / "cache", back))
    assert len(found) == len(wanted) == 3
    for one, other in zip(found, wanted, strict=True):
        assert equal(but(one), but(other))
        assert close(one["latents"], other["latents"], "lossless" in way)
    rows = torch.load(back / ".precomputed" / "latents" / "b" / "x.pt", weights_only=True)["latents"]
    assert rows.shape == (240, 32)
    assert [one.status for one in outcomes].count("left out") == 1


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_comfyui(tmp_path: Path, way: dict[str, Any]) -> None:
    cache = tmp_path / "cache"
    trainers.write_comfyui(cache / "ComfyUI_00001_.latent", trainers.video_latents()[None], {"1": {"seed": 2**63}})
    trainers.write_comfyui(
        cache / "two_00001_.latent", torch.stack([trainers.video_latents(seed=seed) for seed in (1, 2)])
    )
    trainers.write_comfyui(cache / "photo_00001_.latent", trainers.video_latents(4)[None, :, 0])
    back, _ = there_and_back(cache, tmp_path, "comfyui", **way)
    assert {path.name for path in back.iterdir()} == {path.name for path in cache.iterdir()}
    assert (tmp_path / "lats" / "two_00001_.latent.0001.lat").exists()
    for path in cache.iterdir():
        found, wanted = trainers.read_comfyui(back / path.name), trainers.read_comfyui(path)
        for one, other in zip(found, wanted, strict=True):
            videos = [video if video.dim() == 4 else video[:, None] for video in (one, other)]
            assert close(*videos, "lossless" in way)
        with safe_open(path, "pt") as one, safe_open(back / path.name, "pt") as other:
            assert list(one.keys()) == list(other.keys()) and one.metadata() == other.metadata()


@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_finetrainers(tmp_path: Path, way: dict[str, Any]) -> None:
    cache = tmp_path / "finetrainers-precomputed-data"
    for index in range(2):
        trainers.write_finetrainers(cache, index, index)
    back, outcomes = there_and_back(cache, tmp_path, "finetrainers", **way)
    for found, wanted in zip(trainers.read_finetrainers(back), trainers.read_finetrainers(cache), strict=True):
        # the bound is on both together, and each half has steps of its own deviation
        assert close(found["mean"][0], wanted["mean"][0], "lossless" in way, 1.1)
        assert close(found["latents"][0, 16:], wanted["latents"][0, 16:], "lossless" in way, 1.5)
        assert torch.allclose(found["deviation"], wanted["deviation"], rtol=0.05)
        assert all(equal(found[name], wanted[name]) for name in ("latents_mean", "latents_std"))
    assert {one.facts["estimator"] for one in outcomes} == {"moments"}


def test_moments_without_their_log_variance(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trainers.write_finetrainers(cache, 0)
    back, outcomes = there_and_back(cache, tmp_path, "finetrainers", max_rmse=BOUND, moments="mean")
    (found,), (wanted,) = trainers.read_finetrainers(back), trainers.read_finetrainers(cache)
    assert close(found["mean"][0], wanted["mean"][0], False)
    assert found["latents"].shape == wanted["latents"].shape and float(found["deviation"].max()) < 1e-6
    whole = latcomp.import_cache(cache, tmp_path / "whole", max_rmse=BOUND)
    assert outcomes[0].bytes_total < 0.65 * whole.bytes_total
    assert any("log variance" in note for note in outcomes[0].notes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("way", WAYS, ids=IDS)
def test_plain_files(tmp_path: Path, way: dict[str, Any], dtype: torch.dtype) -> None:
    cache, clip = tmp_path / "cache", trainers.video_latents().to(dtype)
    cache.mkdir()
    tables = {"latent": clip[None], "num_frames": torch.tensor(17, dtype=torch.int32), "é": torch.rand(3).double()}
    save_file(tables, cache / "a.safetensors", metadata={"fps": "24"})
    save_file({"latent": clip.repeat(2, 1, 1, 1, 1)}, cache / "b.safetensors")
    torch.save(clip, cache / "a.pt")
    torch.save({"z": clip[None], "caption": "x", "frames": (1, 2)}, cache / "b.pth")
    back, outcomes = there_and_back(cache, tmp_path, "plain", **way)
    lossless = "lossless" in way
    found = load_file(back / "a.safetensors")
    assert close(found["latent"], clip[None], lossless) and equal(but(found, "latent"), but(tables, "latent"))
    with safe_open(back / "a.safetensors", "pt") as file:
        assert file.metadata() == {"fps": "24"}
    assert load_file(back / "b.safetensors")["latent"].shape[0] == 2
    assert close(torch.load(back / "a.pt", weights_only=True), clip, lossless)
    other = torch.load(back / "b.pth", weights_only=True)
    assert close(other["z"], clip[None], lossless) and (other["caption"], other["frames"]) == ("x", (1, 2))
    assert all(any("does not say" in note for note in one.notes) for one in outcomes)


def test_float64_is_kept_as_such(tmp_path: Path) -> None:
    cache, clip = tmp_path / "cache", trainers.video_latents().double()
    cache.mkdir()
    torch.save(clip, cache / "a.pt")
    back, _ = there_and_back(cache, tmp_path, "plain", max_rmse=BOUND)
    assert close(torch.load(back / "a.pt", weights_only=True), clip, False)
    summary = latcomp.import_cache(cache, tmp_path / "other", lossless=True)
    assert "not stored losslessly" in str(summary.first_error)


def test_layouts_that_a_file_does_not_say(tmp_path: Path) -> None:
    cache, clip = tmp_path / "cache", trainers.video_latents().bfloat16()
    cache.mkdir()
    torch.save({"latents": clip.transpose(0, 1).contiguous()}, cache / "a.pt")
    back, _ = there_and_back(cache, tmp_path, "plain", max_rmse=BOUND, layout="FCHW", space="scaled", estimator="mode")
    assert close(torch.load(back / "a.pt", weights_only=True)["latents"].transpose(0, 1), clip, False)
    _, info = latcomp.decode_latents(tmp_path / "lats" / "a.pt.lat")
    assert (info.space, info.estimator, info.layout, info.dtype) == ("scaled", "mode", "CFHW", "bfloat16")


def test_samples_are_warned_of(tmp_path: Path) -> None:
    trainers.write_musubi(tmp_path / "cache", "a", trainers.video_latents().half(), "hv", "hunyuan_video")
    summary = latcomp.import_cache(tmp_path / "cache", tmp_path / "lats", max_rmse=BOUND)
    assert any("samples of the posterior" in note for note in summary.notes)
    _, info = latcomp.decode_latents(next((tmp_path / "lats").iterdir()))
    assert (info.estimator, info.space, info.dtype, info.architecture) == ("sample", "raw", "float16", "hunyuan_video")
    assert (info.frames, info.width, info.height) == (17, 80, 64)


# -- going on, and doing nothing twice


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder with caches of three trainers."""
    root = tmp_path / "mixed"
    trainers.write_musubi(root, "a", trainers.video_latents().bfloat16(), "wan", "wan")
    trainers.write_ltx(root / "latents" / "b.pt", trainers.video_latents(32).bfloat16())
    trainers.write_pipe(root / "c", [trainers.pipe_item(seed) for seed in range(3)])
    return root


def statuses(call: Any, *args: Any, **settings: Any) -> tuple[list[str], CacheSummary]:
    outcomes: list[CacheOutcome] = []
    summary = call(*args, watch=outcomes.append, **settings)
    return [one.status for one in outcomes], summary


def test_a_second_run_skips_what_is_there(cache: Path, tmp_path: Path) -> None:
    lats = tmp_path / "lats"
    found, summary = statuses(latcomp.import_cache, cache, lats, max_rmse=BOUND)
    assert found == ["done"] * 5
    assert any("more than one cache" in note for note in summary.notes)
    before = {path: path.stat().st_mtime_ns for path in lats.rglob("*.lat")}
    damaged, missing = sorted(lats.rglob("0*.lat"))[:2]
    damaged.write_bytes(damaged.read_bytes()[:-50])
    missing.unlink()
    found, _ = statuses(latcomp.import_cache, cache, lats, max_rmse=BOUND)
    assert sorted(found) == ["done"] * 2 + ["skipped"] * 3
    after = {path: path.stat().st_mtime_ns for path in lats.rglob("*.lat")}
    assert {path for path in before if before[path] != after[path]} == {damaged, missing}


def test_other_settings_are_refused_unless_forced(cache: Path, tmp_path: Path) -> None:
    lats = tmp_path / "lats"
    latcomp.import_cache(cache, lats, max_rmse=BOUND)
    for other in ({"max_rmse": 0.1}, {"quality": 5}, {"lossless": True}):
        found, summary = statuses(latcomp.import_cache, cache, lats, **other)
        assert found == ["failed"] * 5
        assert isinstance(summary.first_error, latcomp.errors.OutputError)
    assert statuses(latcomp.import_cache, cache, lats, quality=5, force=True)[0] == ["done"] * 5
    assert statuses(latcomp.import_cache, cache, lats, quality=5)[0] == ["skipped"] * 5


def test_a_newer_source_is_imported_again(tmp_path: Path) -> None:
    path = trainers.write_ltx(tmp_path / "in" / "a.pt", trainers.video_latents())
    latcomp.import_cache(tmp_path / "in", tmp_path / "lats", max_rmse=BOUND)
    trainers.write_ltx(path, trainers.video_latents(seed=1))
    assert statuses(latcomp.import_cache, tmp_path / "in", tmp_path / "lats", max_rmse=BOUND)[0] == ["done"]


def test_an_export_goes_on_where_it_was(tmp_path: Path) -> None:
    cache = trainers.write_pipe(tmp_path / "cache", [trainers.pipe_item(seed) for seed in range(6)])
    lats, back = tmp_path / "lats", tmp_path / "back"
    latcomp.import_cache(cache, lats, max_rmse=BOUND)
    (lats / "00000004.lat").rename(tmp_path / "away.lat")
    found, summary = statuses(latcomp.export_cache, lats, back, form="diffusion-pipe")
    assert found.count("failed") == 1 and "00000004.lat" in str(summary.first_error)
    assert not (back / "metadata.db").exists()
    complete = found.count("done")
    assert 0 < complete < 5
    (tmp_path / "away.lat").rename(lats / "00000004.lat")
    found, _ = statuses(latcomp.export_cache, lats, back, form="diffusion-pipe")
    assert found == ["skipped"] * complete + ["done"] * (6 - complete)
    assert len(trainers.PipeCache(back, "b2f0")) == 6
    assert statuses(latcomp.export_cache, lats, back, form="diffusion-pipe")[0] == ["skipped"] * 6
    assert {path.name for path in back.iterdir()} == {path.name for path in cache.iterdir()}


def test_an_export_never_replaces_the_cache_itself(tmp_path: Path) -> None:
    path = trainers.write_ltx(tmp_path / "in" / "a.pt", trainers.video_latents())
    before = path.read_bytes()
    latcomp.import_cache(tmp_path / "in", tmp_path / "lats", max_rmse=BOUND)
    found, summary = statuses(latcomp.export_cache, tmp_path / "lats", tmp_path / "in", form="ltx")
    assert found == ["failed"] and "exists already" in str(summary.first_error)
    assert path.read_bytes() == before


def test_processes_give_the_same_files(tmp_path: Path) -> None:
    """Of safetensors files, for which the processes need no torch."""
    cache, one, other = tmp_path / "cache", tmp_path / "one", tmp_path / "other"
    for seed in range(4):
        trainers.write_musubi_wan_i2v(cache, f"clip{seed}", seed)
    latcomp.import_cache(cache, one, max_rmse=BOUND)
    found, _ = statuses(latcomp.import_cache, cache, other, max_rmse=BOUND, jobs=2)
    assert found == ["done"] * 4
    files = sorted(path.relative_to(one) for path in one.rglob("*.lat"))
    assert files == sorted(path.relative_to(other) for path in other.rglob("*.lat"))
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


def test_the_work_of_a_file_does_not_grow_with_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are listed once, and not for each file in them."""
    for number in range(30):
        trainers.write_musubi(tmp_path / "cache", f"c{number}", torch.randn(2, 1, 2, 2), "wan", "wan")
    listed: list[Path] = []
    scan = os.scandir

    def counted(place: Any) -> Any:
        listed.append(Path(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", counted)
    assert latcomp.import_cache(tmp_path / "cache", tmp_path / "lats").done == 30
    assert latcomp.export_cache(tmp_path / "lats", tmp_path / "back", form="musubi").done == 30
    assert len(listed) <= 6


def test_the_outputs_may_lie_beside_the_cache_or_in_it(tmp_path: Path) -> None:
    trainers.write_ltx(tmp_path / "a.pt", trainers.video_latents())
    assert latcomp.import_cache(tmp_path, tmp_path, max_rmse=BOUND).done == 1
    assert (tmp_path / "a.pt.lat").exists()
    latcomp.import_cache(tmp_path, tmp_path / "lats", max_rmse=BOUND)
    latcomp.export_cache(tmp_path / "lats", tmp_path / "lats" / "back", form="ltx")
    summary = latcomp.import_cache(tmp_path, tmp_path / "lats", max_rmse=BOUND)
    assert (summary.done, summary.skipped) == (0, 1)


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    trainers.write_ltx(tmp_path / "in" / "a.pt", trainers.video_latents())
    (tmp_path / "lats").mkdir()
    (tmp_path / "lats" / ".b.pt.0123abcd.part.lat").write_bytes(b"half")
    latcomp.import_cache(tmp_path / "in", tmp_path / "lats", max_rmse=BOUND)
    assert [path.name for path in (tmp_path / "lats").iterdir()] == ["a.pt.lat"]


# -- what is wrong is one line for each file, and the others go on


def lines(errors: Iterator[CacheOutcome]) -> None:
    for one in errors:
        assert one.error is not None and "\n" not in str(one.error) and one.source.split("#")[0] in str(one.error)


def test_bad_files_fail_alone(tmp_path: Path) -> None:
    cache, ran = tmp_path / "cache", tmp_path / "ran"
    trainers.write_musubi(cache, "good", trainers.video_latents().bfloat16(), "wan", "wan")
    whole = trainers.write_musubi(cache, "cut", trainers.video_latents().bfloat16(), "wan", "wan")
    whole.write_bytes(whole.read_bytes()[:-100])
    broken = trainers.video_latents()
    broken[0, 0, 0, 0] = float("nan")
    broken[1, 0, 0, 0] = float("inf")
    trainers.write_musubi(cache, "nan", broken, "wan", "wan")
    trainers.write_ltx(cache / "cut.pt", trainers.video_latents())
    (cache / "cut.pt").write_bytes((cache / "cut.pt").read_bytes()[:2000])

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (ran,))

    torch.save({"latents": trainers.video_latents(), "x": Bomb()}, cache / "bomb.pt")
    outcomes: list[CacheOutcome] = []
    summary = latcomp.import_cache(cache, tmp_path / "lats", max_rmse=BOUND, watch=outcomes.append)
    assert (summary.done, summary.failed) == (1, 4)
    lines(one for one in outcomes if one.status == "failed")
    said = {Path(one.source).name.split("_")[0]: str(one.error) for one in outcomes if one.error}
    assert "2 values that are no numbers" in said["nan"] and "nothing was run" in said["bomb.pt"]
    assert not ran.exists()
    assert [path.name.split("_")[0] for path in (tmp_path / "lats").iterdir()] == ["good"]


def test_values_that_are_no_numbers_come_back_losslessly(tmp_path: Path) -> None:
    broken = trainers.video_latents().bfloat16()
    broken[0, 0, 0, :3] = torch.tensor([float("nan"), float("-inf"), -0.0])
    trainers.write_ltx(tmp_path / "in" / "latents" / "a.pt", broken)
    back, _ = there_and_back(tmp_path / "in", tmp_path, "ltx", lossless=True)
    (found,) = trainers.read_ltx(back)
    assert from_torch(found["latents"]).equals(from_torch(broken))


def test_a_damaged_table_is_said_and_what_is_before_it_is_kept(tmp_path: Path) -> None:
    cache = trainers.write_pipe(tmp_path / "cache", [trainers.pipe_item(seed) for seed in range(5)])
    last = sorted(cache.glob("shard_*.bin"))[-1]
    last.write_bytes(last.read_bytes()[:100])
    found, summary = statuses(latcomp.import_cache, cache, tmp_path / "lats", max_rmse=BOUND)
    assert found[-1] == "failed" and found[:-1] == ["done"] * (len(found) - 1) and len(found) > 2
    assert "is cut off" in str(summary.first_error)
    (cache / "metadata.db").write_bytes(b"SQLite format 3\0" + bytes(200))
    found, summary = statuses(latcomp.import_cache, cache, tmp_path / "lats", max_rmse=BOUND)
    assert found == ["failed"] and "metadata.db" in str(summary.first_error)


@pytest.mark.parametrize("kind", ["missing", "empty", "pictures", "text", "a file", "other"])
def test_a_folder_that_is_no_cache(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind != "missing":
        place.mkdir()
    if kind == "pictures":
        (place / "a.png").write_bytes(b"x")
    if kind == "text":
        save_file({"varlen_t5_bfloat16": torch.zeros(3)}, place / "a_wan_te.safetensors", {"architecture": "wan"})
    if kind == "other":
        torch.save({"weights": torch.zeros(3, 3)}, place / "a.pt")
    if kind == "a file":
        shutil.rmtree(place)
        place.write_text("hello")
    if kind == "a file":
        summary = latcomp.import_cache(place, tmp_path / "lats")
        assert summary.failed == 1
        return
    with pytest.raises(latcomp.errors.NotACacheError) as raised:
        latcomp.import_cache(place, tmp_path / "lats")
    assert str(place) in str(raised.value) and "\n" not in str(raised.value)


def test_text_encoders_outputs_stay_and_are_counted(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    trainers.write_musubi(cache, "a", trainers.video_latents().bfloat16(), "wan", "wan")
    save_file({"varlen_t5_bfloat16": torch.zeros(3)}, cache / "a_wan_te.safetensors", {"architecture": "wan"})
    summary = latcomp.import_cache(cache, tmp_path / "lats", max_rmse=BOUND)
    assert summary.done == 1 and any("1 _te.safetensors" in note for note in summary.notes)
    assert (cache / "a_wan_te.safetensors").exists()


def test_a_batch_with_a_video_missing_is_said(tmp_path: Path) -> None:
    trainers.write_comfyui(tmp_path / "in" / "a.latent", torch.randn(3, 4, 2, 4, 4))
    lats = tmp_path / "lats"
    latcomp.import_cache(tmp_path / "in", lats, max_rmse=BOUND)
    assert sorted(path.name for path in lats.iterdir()) == [f"a.latent.000{part}.lat" for part in range(3)]
    assert latcomp.export_cache(lats, tmp_path / "one", form="comfyui").done == 1
    (lats / "a.latent.0001.lat").rename(tmp_path / "away.lat")
    found, summary = statuses(latcomp.export_cache, lats, tmp_path / "two", form="comfyui")
    assert found == ["failed"] and "a.latent.0001.lat is missing" in str(summary.first_error)
    (lats / "a.latent.0000.lat").unlink()
    found, summary = statuses(latcomp.export_cache, lats, tmp_path / "two", form="comfyui")
    assert found == ["failed"] and "the first is not beside it" in str(summary.first_error)


# -- from one trainer to another


def test_latents_of_one_trainer_for_another(tmp_path: Path) -> None:
    clip = trainers.video_latents().bfloat16()
    trainers.write_musubi(tmp_path / "in", "my_clip", clip, "wan", "wan", {"clip_bfloat16": torch.zeros(2).bfloat16()})
    latcomp.import_cache(tmp_path / "in", tmp_path / "lats", max_rmse=BOUND)
    plain = latcomp.export_cache(tmp_path / "lats", tmp_path / "plain", form="plain")
    assert any("left out: clip_bfloat16" in note for note in plain.notes)
    assert plain.done == 1 and close(load_file(tmp_path / "plain" / "my_clip.safetensors")["latents"], clip, False)
    for form, said in {
        "comfyui": "normalised",
        "ltx": "frames per second",
        "finetrainers": "only what came from it",
        "diffusion-pipe": "only its own",
    }.items():
        summary = latcomp.export_cache(tmp_path / "lats", tmp_path / form, form=form)
        assert summary.failed == 1 and said in str(summary.first_error)


def test_latents_that_came_from_no_cache_for_a_trainer(tmp_path: Path) -> None:
    clip = trainers.video_latents()
    tokenizer = {"name": "wan", "spatial": 8, "temporal": 4, "first_frames": 1}
    settings: dict[str, Any] = {"space": "normalised", "architecture": "wan", "fps": 16, "max_rmse": BOUND}
    latcomp.encode_latents(clip.bfloat16(), tmp_path / "a_b.lat", tokenizer=tokenizer, **settings)
    assert latcomp.export_cache(tmp_path / "a_b.lat", tmp_path / "m", form="musubi").done == 1
    found = trainers.read_musubi(tmp_path / "m", "wan")["a_b"]
    assert close(found["tensors"]["latents"], clip.bfloat16(), False)
    assert (found["frames"], found["size"]) == (17, (80, 64))
    assert latcomp.export_cache([tmp_path / "a_b.lat"], tmp_path / "l" / "latents", form="ltx").done == 1
    (table,) = trainers.read_ltx(tmp_path / "l")
    assert table["fps"] == 16.0 and close(table["latents"], clip.bfloat16(), False)


def test_two_files_that_would_become_one_are_said(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        trainers.write_ltx(tmp_path / folder / "x.pt", trainers.video_latents(seed=ord(folder)))
    latcomp.import_cache(tmp_path, tmp_path / "lats", max_rmse=BOUND)
    files = [tmp_path / "lats" / folder / "x.pt.lat" for folder in ("a", "b")]
    found, summary = statuses(latcomp.export_cache, files, tmp_path / "back", form="ltx")
    assert found[0] == "done" and found[1] == "failed" and "as another file does" in str(summary.first_error)


def test_files_that_are_no_lat_files(tmp_path: Path) -> None:
    (tmp_path / "lats").mkdir()
    with pytest.raises(latcomp.errors.DamagedFileError):
        latcomp.export_cache(tmp_path / "lats", tmp_path / "back", form="ltx")
    (tmp_path / "lats" / "a.lat").write_bytes(b"no")
    summary = latcomp.export_cache(tmp_path / "lats", tmp_path / "back", form="ltx")
    assert summary.failed == 1 and "a.lat" in str(summary.first_error)


@pytest.mark.parametrize(
    "settings",
    [
        {"moments": "none"},
        {"jobs": 0},
        {"quality": 11},
        {"quality": 1, "lossless": True},
        {"space": "x"},
        {"layout": "SC"},
    ],
)
def test_settings_out_of_range(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(latcomp.errors.UsageError):
        latcomp.import_cache(tmp_path, tmp_path / "lats", **settings)


def test_latents_of_any_size_are_taken(tmp_path: Path) -> None:
    """One frame of one position, channels that are all alike, and a clip longer than a group."""
    cache = tmp_path / "cache"
    cache.mkdir()
    shapes = {"one": (4, 1, 1, 1), "long": (4, 40, 2, 3)}
    clips = {name: torch.from_numpy(np.random.default_rng(0).normal(size=shape)) for name, shape in shapes.items()}
    clips["still"] = torch.full((4, 3, 2, 2), 0.5)
    for name, clip in clips.items():
        torch.save(clip.float(), cache / f"{name}.pt")
    back, _ = there_and_back(cache, tmp_path, "plain", lossless=True)
    assert all(torch.equal(torch.load(back / f"{name}.pt"), clip.float()) for name, clip in clips.items())
    assert latcomp.import_cache(cache, tmp_path / "lossy", quality=5).done == 3


def test_a_bound_that_only_all_bits_meet(tmp_path: Path) -> None:
    """Latents that do not vary, and a bound below the rounding of float32: stored losslessly, and skipped then."""
    for name, clip, bound in [
        ("still", torch.full((4, 3, 2, 2), 0.5), BOUND),
        ("fine", trainers.video_latents() + 1000, 1e-7),
    ]:
        trainers.write_ltx(tmp_path / name / "in" / "latents" / "a.pt", clip)
        back, outcomes = there_and_back(tmp_path / name / "in", tmp_path / name, "ltx", max_rmse=bound)
        assert equal(list(trainers.read_ltx(back)), list(trainers.read_ltx(tmp_path / name / "in")))
        assert any("stored losslessly" in note for note in outcomes[0].notes)
        again = statuses(latcomp.import_cache, tmp_path / name / "in", tmp_path / name / "lats", max_rmse=bound)
        assert again[0] == ["skipped"]


@pytest.mark.parametrize("way", [{}, {"max_rmse": BOUND}, {"quality": 8.0}])
def test_latents_that_no_quantiser_takes_are_stored_losslessly(tmp_path: Path, way: dict[str, Any]) -> None:
    """All of one number, or of a size beyond all steps: they come back bit for bit, are said so and skipped then."""
    clips = {"still": torch.full((4, 3, 2, 2), 0.3), "large": trainers.video_latents() * 1e30}
    clips |= {"small": trainers.video_latents() * 1e-30, "far": trainers.video_latents() + 1e6}
    for name, clip in clips.items():
        trainers.write_ltx(tmp_path / "in" / "latents" / f"{name}.pt", clip)
    back, outcomes = there_and_back(tmp_path / "in", tmp_path, "ltx", **way)
    for found, true in zip(trainers.read_ltx(back), trainers.read_ltx(tmp_path / "in"), strict=True):
        apart = found["latents"].double() - true["latents"].double()
        assert apart.abs().max() <= 0.5 * true["latents"].double().std()
    exact = [any("stored losslessly" in note for note in one.notes) for one in outcomes]
    assert sum(exact) >= 3
    assert statuses(latcomp.import_cache, tmp_path / "in", tmp_path / "lats", **way)[0] == ["skipped"] * 4
    assert statuses(latcomp.import_cache, tmp_path / "in", tmp_path / "lats", lossless=True)[0] == ["failed"] * 4
