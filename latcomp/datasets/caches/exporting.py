"""Folders of .lat files to the files that a trainer reads, with its keys, types, metadata and names."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.checks import check_flag, check_path, check_whole, check_word
from latcomp.codec.decode_latents import LatentsInfo, decode_latents
from latcomp.container import Header, scan
from latcomp.datasets.caches import safetensors_file
from latcomp.datasets.caches.cached_file import DESCRIPTION, CachedFile
from latcomp.datasets.caches.conversion import converted, stem_of
from latcomp.datasets.caches.lat_sources import LatSource, lat_files, named_error
from latcomp.datasets.caches.outcome import DONE, FAILED, SKIPPED, CacheOutcome, CacheSummary, Watch
from latcomp.datasets.caches.pipe_export import export_pipe
from latcomp.datasets.caches.pool import in_order
from latcomp.datasets.caches.store import describe_lat, load
from latcomp.datasets.caches.tensors import RawTensor
from latcomp.datasets.caches.trainers import FORMATS, SAFETENSORS
from latcomp.datasets.caches.writing import begin, output_of_many
from latcomp.errors import DamagedFileError, DeviceError, NotACacheError, OutputError
from latcomp.suffixes import LAT


@dataclass(frozen=True)
class _Task:
    source: LatSource
    folder: Path
    form: str
    force: bool


def export_cache(
    sources: str | Path | Sequence[str | Path],
    target: str | Path,
    *,
    form: str,
    jobs: int = 1,
    force: bool = False,
    watch: Watch | None = None,
) -> CacheSummary:
    """Write the files that a trainer reads, of .lat files and of folders of them, below a folder.

    form: 'musubi', 'diffusion-pipe', 'ltx', 'comfyui', 'finetrainers' or 'plain'. What `import_cache` made of this
    trainer's cache becomes it again: names, keys, metadata, types, layouts and all other tensors as they were, latents
    as the .lat files hold them. What came from elsewhere is written as this trainer does where it keeps latents of that
    space and all that it needs is known. sources: files, and folders whose tree is kept. jobs: processes. force:
    replace files that are there; a diffusion-pipe cache is never replaced. watch: called with the `CacheOutcome` of
    each file.

    Files that are there, whole and no older than their .lat file are skipped. A file that fails is an outcome and ends
    nothing. Raises `DamagedFileError` when there is no .lat file, `UsageError` for settings, `OutputError` when the
    folder cannot be made."""
    check_word("form", form, FORMATS)
    check_whole("jobs", jobs, 1, "choose 1 process or more")
    check_flag("force", force)
    check_path("target", target)
    places = [sources] if isinstance(sources, str | Path) else list(sources)
    for place in places:
        check_path("sources", place)
    folder, summary = Path(target), CacheSummary()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {(error.strerror or str(error)).lower()}") from None
    begin()
    found = lat_files(map(Path, places), folder)
    pipe = form == "diffusion-pipe"
    outcomes = export_pipe(found, folder, jobs) if pipe else _files(found, folder, form, jobs, force)
    for outcome in outcomes:
        summary.add(outcome)
        if watch is not None:
            watch(outcome)
    if not (summary.done or summary.skipped or summary.failed):
        raise DamagedFileError(f"{', '.join(map(str, places))}: no .lat files were found")
    return summary


def _files(found: Iterator[LatSource], folder: Path, form: str, jobs: int, force: bool) -> Iterator[CacheOutcome]:
    """One file for each .lat file, those of further videos of a batch aside."""
    made: dict[int, int] = {}  # hashes: of very many names, little memory
    tasks = (_Task(source, folder, form, force) for source in found)
    with in_order(export_one, tasks, jobs, _lost) as outcomes:
        for outcome in outcomes:
            if outcome is None:
                continue
            if outcome.target is not None and outcome.status != FAILED:
                source = hash(outcome.source)
                if made.setdefault(hash(outcome.target), source) != source:
                    error = OutputError(
                        f"{outcome.source} becomes {outcome.target}, as another file does: export it apart"
                    )
                    outcome = replace(outcome, status=FAILED, error=error)
            yield outcome


def _lost(task: _Task, error: DeviceError) -> CacheOutcome | None:
    return CacheOutcome(str(task.source.path), None, FAILED, error)


def export_one(task: _Task) -> CacheOutcome | None:
    """Export one file, or find that it is there already; None for one that another one's export takes with it. What
    goes wrong with it is in the outcome, not raised."""
    began = time.monotonic()
    try:
        return _exported(task, began)
    except Exception as error:
        said = named_error(error, task.source.path)
        return CacheOutcome(str(task.source.path), None, FAILED, said, seconds=time.monotonic() - began)


def _exported(task: _Task, began: float) -> CacheOutcome | None:
    path = task.source.path
    header, cached, size = describe_lat(path)
    info = LatentsInfo.of(header, 0)
    own = cached is not None and cached.facts.format == task.form
    if own and cached is not None and cached.part:
        return None if _first_of(path, cached) else _without_first(path, cached)
    if own and cached is not None:
        found = cached
    else:
        info, shape = _info(header, path)
        found = converted(task.form, info, shape, stem_of(path, cached))
    target = task.folder / task.source.below / found.name
    facts = _facts(found, info)
    notes = () if own else (_made_anew(task.form, cached),)
    if _is_there(target, found, path) and not task.force:
        status, total = SKIPPED, target.stat().st_size
    else:
        latents = load(path, found) if own else _latents(path, found)
        total = write(target, found, latents, task.force)
        status = DONE
    seconds = time.monotonic() - began
    return CacheOutcome(str(path), str(target), status, None, size, total, facts, notes, seconds)


def _made_anew(form: str, cached: CachedFile | None) -> str:
    """A note on a file that did not come from this trainer."""
    if cached is None:
        return f"made anew as {form} has it"
    rest = sorted(set(cached.attachments()) - {DESCRIPTION})
    left = f"; what was beside the latents is left out: {', '.join(rest[:3])}{', ...' if rest[3:] else ''}"
    return f"made anew as {form} has it, of what came from {cached.facts.format}{left if rest else ''}"


def write(target: Path, cached: CachedFile, latents: RawTensor, force: bool) -> int:
    """Write a trainer's file; gives its bytes. It appears only when it is complete."""
    with output_of_many(target, force) as file:
        for part in cached.whole(latents):
            file.write(part)
        return file.tell()


def _info(header: Header, path: Path) -> tuple[LatentsInfo, tuple[int, ...]]:
    """What a .lat file says of its latents, and their shape (C, F, H, W)."""
    with path.open("rb") as file:
        summary = scan(file)
    info = LatentsInfo.of(header, summary.frames)
    return info, (header.channels, summary.latent_frames, *header.grid)


def _latents(path: Path, found: CachedFile) -> RawTensor:
    """The latents of a .lat file for a file that is made anew."""
    values, _ = decode_latents(path)
    video = RawTensor.from_float32(np.asarray(values, np.float32).reshape(values.shape[-4:]), found.dtype)
    return found.facts.layout.tensor([video], found.shape)


def _first_of(path: Path, cached: CachedFile) -> bool:
    """Whether the .lat file of the first video of a batch stands beside that of a further one."""
    mark = f".{cached.part:04d}{LAT}"
    return path.name.endswith(mark) and path.with_name(f"{path.name.removesuffix(mark)}.0000{LAT}").is_file()


def _without_first(path: Path, cached: CachedFile) -> CacheOutcome:
    error = DamagedFileError(
        f"{path} is video {cached.part + 1} of {cached.parts} of {cached.name}, and the first is not beside it"
    )
    return CacheOutcome(str(path), None, FAILED, error)


def _is_there(target: Path, cached: CachedFile, lat: Path) -> bool:
    """Whether a trainer's file is there, whole and no older than the .lat file."""
    if not target.is_file() or target.stat().st_mtime_ns < lat.stat().st_mtime_ns:
        return False
    if cached.container != SAFETENSORS:
        return zipfile.is_zipfile(target)
    try:
        return list(safetensors_file.read(target)[0]) != []
    except NotACacheError:
        return False


def _facts(cached: CachedFile, info: LatentsInfo) -> dict[str, Any]:
    return {
        "format": cached.facts.format,
        "space": info.space,
        "estimator": cached.facts.estimator or info.estimator,
        "layout": cached.facts.layout.name,
        "dtype": cached.dtype,
        "architecture": info.architecture,
        "shape": list(cached.shape),
    }
