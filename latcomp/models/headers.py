"""Whether what a header says of its models is so; needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.errors import DamagedFileError, UnsupportedFileError, UsageError
from latcomp.models.folders import CONFIG, KINDS, config_of, is_complete
from latcomp.models.identity import fingerprint_of
from latcomp.models.integrity import refuse_other
from latcomp.models.places import holds
from latcomp.models.public import kept_probe, load_published, published
from latcomp.models.registry import beside, find_model, folders_with_weights

if TYPE_CHECKING:
    from latcomp.container.header import Header
    from latcomp.tokenizer.base import TokenizerSpec
    from latcomp.tokenizer.public.probe import Probe


def spec_of(folder: Path) -> TokenizerSpec:
    """The specification of the tokenizer in a folder, by its configuration alone; of a published one, what was measured
    before or, with torch, is now. Raises `UsageError` when that is none of this version, `UnsupportedFileError` for an
    architecture that is not known.
    """
    from latcomp.tokenizer.architectures import architecture_of  # what it needs imports numpy

    source = None if is_complete(folder) else published(folder)
    if source is not None:
        return probe_of(folder).spec
    try:
        config = config_of(folder)
        return architecture_of(config).spec(config)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder / CONFIG} is no tokenizer's of this version: {error}") from None


def known_spec(folder: Path) -> TokenizerSpec | None:
    """The same without torch: None for a published tokenizer that nothing was measured of."""
    if is_complete(folder) or published(folder) is None:
        return spec_of(folder)
    kept = kept_probe(fingerprint_of(folder))
    return None if kept is None else kept.spec


def probe_of(folder: Path) -> Probe:
    """What running a published tokenizer shows, kept from before or measured now. Raises `UsageError` for a folder that
    holds none."""
    source, fingerprint = published(folder), fingerprint_of(folder)
    if source is None:
        raise UsageError(f"{folder} is no published tokenizer")
    kept = kept_probe(fingerprint)
    if kept is None:
        found: list[Probe] = []
        load_published(source, fingerprint, found.append)
        kept = found[0]
    return replace(kept, spec=replace(kept.spec, name=source.name))


def header_faults(
    header: Mapping[str, Any], spec: TokenizerSpec | None, configs: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """What a header says of its models that is not so, one line each.

    header: with the members `tokenizer`, `lit` and `prior`; spec: of the tokenizer, if it was found; configs: of those
    of LIT and prior that were found, by member.
    """
    said = header["tokenizer"]
    if spec is not None:
        said = {"first_frames": spec.temporal, **said}  # what a missing one means
        for name in ("channels", "spatial", "temporal", "first_frames"):
            true = getattr(spec, name)
            if said[name] != true:
                yield f"the header says {name} {said[name]} of the tokenizer {said['name']!r}, which has {true}"
    for member, kind in (("lit", "LIT"), ("prior", "prior")):
        config = configs.get(member)
        if config is None or header[member] is None:
            continue
        if "sha256" in said and config.get("tokenizer_sha256") != said["sha256"]:
            yield f"the header names the {kind} {header[member]['name']!r}, which was made for another tokenizer"
        elif config.get("channels") != said["channels"]:
            model = f"the {kind} {header[member]['name']!r}"
            yield f"the header says channels {said['channels']}, {model} has {config.get('channels')}"


def faults_of(header: Header, tokenizer: str | Path | None = None) -> list[str]:
    """What a header says of its models that is not so of those found, one line each.

    tokenizer: folder to look into first. Raises `UnsupportedFileError` for a model whose weights were found with
    another configuration, and for a tokenizer that does not fit latents which only name theirs."""
    members = {kind: getattr(header, kind) for kind in KINDS}
    _check_latents(header, beside(tokenizer, "tokenizer"))
    spec, configs = None, {}
    for kind, record in members.items():
        first = beside(tokenizer, kind)
        if record is None or "sha256" not in record:
            continue  # a tokenizer that latents only name is the one that is given
        if any(folders_with_weights(record["sha256"], kind, first)):
            folder = find_model(record, kind, first)
            if is_complete(folder):
                refuse_other(folder / CONFIG, (folder / CONFIG).read_bytes())
            if kind == "tokenizer":
                spec = known_spec(folder)
            else:
                configs[kind] = config_of(folder)
    return list(header_faults(members, spec, configs))


def check_header(header: Header, tokenizer: str | Path | None = None) -> None:
    """Raise `DamagedFileError` when a header contradicts the models it names, and what `faults_of` raises."""
    for fault in faults_of(header, tokenizer):
        raise DamagedFileError(f"the header does not fit its models: {fault}")


def _check_latents(header: Header, folder: Path | None) -> None:
    """Raise `UnsupportedFileError` when the tokenizer that was given, in a folder or a file, cannot decode the latents
    that a file was made of."""
    latents = header.latents
    spec = None if latents is None or folder is None or not holds(folder, "tokenizer") else known_spec(folder)
    if latents is None or spec is None:
        return
    if "sha256" not in header.tokenizer:
        members = {kind: getattr(header, kind) for kind in KINDS}
        for fault in header_faults(members, spec, {}):
            raise UnsupportedFileError(f"{folder} is not the tokenizer of these latents: {fault}")
    if spec.space not in (None, latents["space"]):
        raise UnsupportedFileError(f"the latents of this file are {latents['space']}, those of {folder} {spec.space}")
