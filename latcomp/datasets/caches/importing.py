"""A cache of latents to a folder of .lat files: file after file, each with an outcome whatever happens to it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latcomp.checks import check_flag, check_path, check_whole, check_word
from latcomp.codec.latent_settings import LatentSettings
from latcomp.container import check
from latcomp.container.header_fields import ESTIMATORS, SPACES
from latcomp.datasets.caches.cached_file import CachedFile, read_file, read_item
from latcomp.datasets.caches.layout import LAYOUTS
from latcomp.datasets.caches.outcome import DONE, FAILED, LEFT_OUT, SKIPPED, CacheOutcome, CacheSummary, Watch
from latcomp.datasets.caches.pool import in_order
from latcomp.datasets.caches.sources import Cache, Source
from latcomp.datasets.caches.store import MOMENTS, StoreSettings, describe_lat, part_path, save, siblings
from latcomp.datasets.caches.tensors import RawTensor
from latcomp.datasets.caches.writing import begin
from latcomp.errors import (
    DamagedFileError,
    DeviceError,
    LatcompError,
    NotACacheError,
    OutputError,
    UnsupportedFileError,
)
from latcomp.output import is_write_failure
from latcomp.printable import counted

SAMPLED = (
    "the latents are samples of the posterior, not its mode: their noise is coded too, and takes most of the bits; "
    "caches of modes are smaller"
)
MEAN_ONLY = "the log variance of the moments was dropped: what is read back has none, so that samples are the mean"
EXACT = (
    "stored losslessly, as nothing less comes near them: the latents hardly vary, are of a size that no quantiser "
    "steps fit, or their type is no finer than max_rmse"
)
_UNSAID = "the cache does not say what its latents are: {} taken as {}"


@dataclass(frozen=True)
class _Task:
    """One file to import, as a worker gets it."""

    source: Source
    folder: Path
    settings: StoreSettings
    force: bool
    tokenizer: Mapping[str, Any] | None
    layout: str | None

    @property
    def name(self) -> str:
        blob = self.source.blob
        return str(self.source.path) if blob is None else f"{self.source.path}#{blob.item.index}"

    @property
    def target(self) -> Path:
        return self.folder / self.source.target


def import_cache(
    source: str | Path,
    target: str | Path,
    *,
    quality: float | None = None,
    max_rmse: float | None = None,
    lossless: bool = False,
    moments: str = "all",
    space: str | None = None,
    estimator: str | None = None,
    layout: str | None = None,
    tokenizer: Mapping[str, Any] | None = None,
    jobs: int = 1,
    force: bool = False,
    watch: Watch | None = None,
) -> CacheSummary:
    """Write the latents of a cache as .lat files below a folder, with all that is beside them in its files.

    source: a file, a folder with its subfolders, or a metadata.db, of musubi-tuner, diffusion-pipe, the LTX trainer,
    ComfyUI or finetrainers, or plain safetensors files and files of torch.save, which are read with weights_only: no
    code of a file is run. target: a folder; `a/b.safetensors` becomes `a/b.safetensors.lat`, item 7 of a database
    `00000007.lat`, and videos of a batch `b.pt.0000.lat` and so on. quality, max_rmse, lossless: as for
    `encode_latents`; the other tensors of a file are carried bit for bit. moments: 'all' codes mean and log variance,
    'mean' drops the latter. space, estimator, layout: what latents are whose file does not say it ('raw', 'mode', and
    as many axes as they have). tokenizer: as for `encode_latents`, where more is known than the cache says. jobs:
    processes. force: replace intact .lat files of other settings. watch: called with the `CacheOutcome` of each file.

    Files that are there, intact, of these settings and no older than their source are skipped, so that a run that was
    interrupted goes on. A file that fails is an outcome and ends nothing. Raises `NotACacheError` when there is nothing
    to read, or nothing with latents in it; `UsageError` for settings; `OutputError` when the folder cannot be made."""
    settings = StoreSettings(quality, max_rmse, lossless, moments, space, estimator)
    _check(settings, layout, jobs, force)
    check_path("source", source)
    check_path("target", target)
    place, folder = Path(source), Path(target)
    _make_folder(folder)
    begin()
    cache, summary = Cache(place, folder), CacheSummary()
    tasks = (_Task(one, folder, settings, force, tokenizer, layout) for one in cache.sources())
    with in_order(import_one, tasks, jobs, _lost) as outcomes:
        for outcome in outcomes:
            _tell(outcome, summary, watch)
    for name, error in cache.unreadable:
        _tell(CacheOutcome(name, None, FAILED, error), summary, watch)
    if cache.left_out or summary.left_out:
        summary.notes[_others(cache, summary)] = 1
    if len(summary.formats) > 1:
        parts = ", ".join(f"{counted(number, 'file')} of {form}" for form, number in sorted(summary.formats.items()))
        summary.notes[f"{place} holds more than one cache: {parts}"] = 1
    if not (summary.done or summary.skipped or summary.failed):
        raise NotACacheError(f"{place} is no cache of latents: {_nothing(cache, summary)}")
    return summary


def _check(settings: StoreSettings, layout: str | None, jobs: int, force: bool) -> None:
    LatentSettings(quality=settings.quality, max_rmse=settings.max_rmse, lossless=settings.lossless)
    check_word("moments", settings.moments, MOMENTS)
    for name, given, known in (
        ("space", settings.space, SPACES),
        ("estimator", settings.estimator, ESTIMATORS[:2]),
        ("layout", layout, tuple(name for name in LAYOUTS if name != "SC")),
    ):
        if given is not None:
            check_word(name, given, known)
    check_whole("jobs", jobs, 1, "choose 1 process or more")
    check_flag("force", force)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {(error.strerror or str(error)).lower()}") from None


def _tell(outcome: CacheOutcome, summary: CacheSummary, watch: Watch | None) -> None:
    summary.add(outcome)
    if watch is not None:
        watch(outcome)


def _lost(task: _Task, error: DeviceError) -> CacheOutcome:
    return CacheOutcome(task.name, str(task.target), FAILED, error)


def _others(cache: Cache, summary: CacheSummary) -> str:
    """A line on the files that were not taken."""
    kinds = [f"{number} {suffix or 'without a suffix'}" for suffix, number in sorted(cache.left_out.items())]
    if summary.left_out:
        kinds.append(f"{summary.left_out} that could hold latents and do not")
    return f"left where they are, as they hold no latents (text encoders' outputs, ...): files: {', '.join(kinds)}"


def _nothing(cache: Cache, summary: CacheSummary) -> str:
    if summary.left_out:
        return f"none of its {counted(summary.left_out, 'file')} holds latents"
    found = ", ".join(sorted(suffix or "without a suffix" for suffix in cache.left_out)[:5])
    has = f" (it has {found})" if found else ""
    return f"it has no .safetensors, .latent, .pt or .pth files and no metadata.db{has}"


def import_one(task: _Task) -> CacheOutcome:
    """Import one file, or find that it is there already. What goes wrong with it is in the outcome, not raised."""
    began = time.monotonic()
    target = str(task.target)
    try:
        return _imported(task, began)
    except (NotACacheError, UnsupportedFileError) as error:
        # of tensors: where a .lat file is read, it is checked before
        said: LatcompError = NotACacheError(f"{task.name} {error}", settings=error.settings or ("lossless",))
    except LatcompError as error:
        said = error if task.name in str(error) or target in str(error) else _named(error, task.name)
    except OSError as error:
        kind = OutputError if is_write_failure(error) else NotACacheError
        said = kind(f"{target if kind is OutputError else task.name}: {(error.strerror or str(error)).lower()}")
    except MemoryError:
        said = DeviceError(f"{task.name} does not fit into memory: lower jobs", settings=("jobs",))
    except Exception as error:
        if os.environ.get("LATCOMP_DEBUG") == "1":
            raise
        said = LatcompError(f"{task.name}: unexpected {type(error).__name__}: {error!s:.100}")
    return CacheOutcome(task.name, target, FAILED, said, seconds=time.monotonic() - began)


def _named(error: LatcompError, name: str) -> LatcompError:
    error.args = (f"{name}: {error}",)
    return error


def _imported(task: _Task, began: float) -> CacheOutcome:
    size = _bytes_of(task)
    found = next(_present(task), None)
    if found is not None:
        cached, path, total = found
        facts = _facts(cached, task.settings, None)
        seconds = time.monotonic() - began
        return CacheOutcome(task.name, str(path), SKIPPED, None, size, total, facts, (), seconds)
    taken = _read(task)
    if taken is None:
        return CacheOutcome(task.name, None, LEFT_OUT, None, size, seconds=time.monotonic() - began)
    cached, latents = taken
    saved = save(cached, latents, task.target, task.settings, task.tokenizer)
    facts = _facts(cached, task.settings, saved.relative_rmse)
    notes = (*_notes(cached, task.settings), *((EXACT,) if saved.exact else ()))
    seconds = time.monotonic() - began
    return CacheOutcome(task.name, str(saved.paths[0]), DONE, None, size, saved.bytes_total, facts, notes, seconds)


def _bytes_of(task: _Task) -> int:
    """Bytes of the file or item."""
    try:
        blob = task.source.blob
        return task.source.path.stat().st_size if blob is None else blob.size
    except OSError as error:
        raise NotACacheError(f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _read(task: _Task) -> tuple[CachedFile, RawTensor] | None:
    blob = task.source.blob
    if blob is None:
        return read_file(task.source.path, task.layout)
    with blob.shard.open("rb") as file:
        file.seek(blob.offset)
        data = file.read(blob.size)
    if len(data) != blob.size:
        raise NotACacheError("is cut off")
    return read_item(data, blob.item, task.source.architecture)


def _present(task: _Task) -> Iterator[tuple[CachedFile, Path, int]]:
    """What was made of this file before, its path and bytes, where it is intact, of these settings and no older than
    the file.

    Raises `OutputError` for an intact one of other settings, unless they are to be replaced."""
    newest = task.source.path.stat().st_mtime_ns
    for path in (task.target, part_path(task.target, 0, 2)):
        if not path.is_file() or path.stat().st_mtime_ns < newest:
            continue
        with contextlib.suppress(DamagedFileError, UnsupportedFileError):
            header, cached, _ = describe_lat(path)
            if not all(_intact(one) for one in ([path] if cached is None else siblings(path, cached))):
                continue
            other = "of something else" if cached is None else _other(header, cached, task.settings)
            if cached is not None and other is None:
                yield cached, path, sum(one.stat().st_size for one in siblings(path, cached))
            elif not task.force:
                raise OutputError(f"{path} exists and was made {other}; force=True replaces it", settings=("force",))


def _intact(path: Path) -> bool:
    with path.open("rb") as file:
        return not check(file)


def _other(header: Any, cached: CachedFile, settings: StoreSettings) -> str | None:
    """In words, with which other settings a file was made; None for these."""
    exact = header.coding == "lossless"
    lossless = exact and cached.max_rmse is None and cached.quality is None  # else nothing less was near enough
    if lossless != settings.lossless:
        return "losslessly" if lossless else "not losslessly"
    if cached.mean_only != (cached.facts.estimator == "moments" and settings.moments == "mean"):
        return "without the log variance" if cached.mean_only else "with the log variance"
    quality = cached.quality if exact else header.quality
    if quality != settings.quality_in_force:
        return f"with quality {quality:g}" if quality is not None else "to a bound on the error"
    if cached.max_rmse != settings.max_rmse:
        return f"with max_rmse {cached.max_rmse}"
    return None


def _facts(cached: CachedFile, settings: StoreSettings, rmse: float | None) -> dict[str, Any]:
    facts = cached.facts
    return {
        "format": facts.format,
        "space": facts.space or settings.space or "raw",
        "estimator": facts.estimator or settings.estimator or "mode",
        "layout": facts.layout.name,
        "dtype": cached.dtype,
        "architecture": facts.architecture,
        "shape": list(cached.shape),
        "relative_rmse": rmse,
    }


def _notes(cached: CachedFile, settings: StoreSettings) -> tuple[str, ...]:
    facts, notes = cached.facts, []
    if facts.estimator == "sample" or (facts.estimator is None and settings.estimator == "sample"):
        notes.append(SAMPLED)
    if facts.estimator == "moments" and settings.moments == "mean":
        notes.append(MEAN_ONLY)
    unsaid = [
        (name, known)
        for name, found, given, known in (
            ("space", facts.space, settings.space, "raw"),
            ("estimator", facts.estimator, settings.estimator, "mode"),
        )
        if found is None and given is None
    ]
    if unsaid:
        notes.append(_UNSAID.format(*(" and ".join(words) for words in zip(*unsaid, strict=True))))
    return tuple(notes)
