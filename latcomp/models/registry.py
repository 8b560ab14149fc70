"""The models found: shipped folders and folders given by path, by name or by what a header says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.models import folders
from latcomp.models.folders import (
    CONFIG,
    KINDS,
    WEIGHTS,
    config_of,
    is_complete,
    kind_of,
    readable_folders,
    shipped_folders,
)
from latcomp.models.identity import fingerprint_of, weights_sha256
from latcomp.models.places import holds
from latcomp.models.public import companions, published

DEFAULT_TOKENIZER = "cv8x8x4"


def tokenizer_names() -> list[str]:
    """Names of the shipped tokenizers, in order; reads their configurations alone and imports no numpy."""
    return [folder.name for folder in shipped_folders() if kind_of(folder) == "tokenizer"]


def find_tokenizer(name_or_path: str | Path | None) -> Path:
    """The folder or file of a tokenizer by name or path; None is the default one. Raises `UsageError` when there is
    none, `UnsupportedFileError` for a published one that cannot be used."""
    wanted = str(name_or_path or DEFAULT_TOKENIZER)
    for folder in (folders.weights_folder() / wanted, Path(wanted)):
        if is_complete(folder):
            _refuse_other_kinds(folder)
            return folder
    source = published(Path(wanted))
    if source is not None:
        return source.place
    if Path(wanted).exists():
        raise UsageError(
            f"{wanted} is no tokenizer: give a folder with {CONFIG} and {WEIGHTS}, a vae folder of diffusers, or a "
            "file of Wan, LTX or TAEHV"
        )
    names = ", ".join(tokenizer_names()) or "none"
    raise UsageError(
        f"no tokenizer {wanted!r} was found: there is no such folder or file, and those that are shipped are {names}"
    )


def _refuse_other_kinds(folder: Path) -> None:
    """Raise `UsageError` for a LIT or a prior in the place of a tokenizer; what cannot be read is told by who loads."""
    try:
        kind = kind_of(folder)
    except (OSError, ValueError):
        return
    if kind != "tokenizer":
        raise UsageError(f"{folder} is no tokenizer: it holds a {KINDS.get(kind, 'model of another kind')}")


def beside(tokenizer: str | Path | None, kind: str) -> Path | None:
    """Where a model of a kind is looked for first: the folder or file of the tokenizer that was given, by name or path,
    or a subfolder of what was trained for it. Raises what `find_tokenizer` does, so that a slip in a name is told also
    where the file could be read without."""
    if tokenizer is None:
        return None
    place = find_tokenizer(tokenizer)
    return place if kind == "tokenizer" else companions(place) / kind


def find_model(record: Mapping[str, Any], kind: str, beside: Path | None = None) -> Path:
    """The folder of the model that a header's record names (name, sha256 and, from files that know it, fingerprint),
    among the shipped ones and `beside`. kind: 'tokenizer', 'lit' or 'prior'.

    A record without a SHA-256, as files made of latents may have for their tokenizer, is that of any model `beside`.
    Raises `UnsupportedFileError` naming the missing model, or the folder whose weights are right and whose
    configuration is not."""
    if "sha256" not in record:
        return _given(record, kind, beside)
    word, wanted, changed = KINDS[kind], record.get("fingerprint"), None
    for folder in folders_with_weights(record["sha256"], kind, beside):
        if wanted is None or fingerprint_of(folder) == wanted:
            return folder
        changed = changed or folder
    if changed is not None:
        raise UnsupportedFileError(
            f"this file needs the {word} {record['name']!r} of fingerprint {str(wanted)[:12]}…; {changed} has its "
            f"weights and another configuration (fingerprint {fingerprint_of(changed)[:12]}…): give the {CONFIG} that "
            "the file was written with"
        )
    needed = f"this file needs the {word} {record['name']!r} (sha256 {record['sha256'][:12]}…)"
    if kind == "tokenizer" and beside is not None and holds(beside, kind):
        raise UnsupportedFileError(f"{needed}; {beside} is another one (sha256 {weights_sha256(beside)[:12]}…)")
    setting = "tokenizer='PATH'"
    given = f"give its folder or file as {setting}, or " if kind == "tokenizer" else ""
    raise UnsupportedFileError(
        f"{needed}, which was not found: {given}put the model's folder into {folders.weights_folder()}, or install the "
        "latcomp version that wrote the file",
        settings=(setting,),
    )


def _given(record: Mapping[str, Any], kind: str, beside: Path | None) -> Path:
    """The folder that is given for a model of which a file knows the name alone."""
    if beside is not None and holds(beside, kind):
        return beside
    where = "none was given" if beside is None else f"{beside} holds none"
    raise UnsupportedFileError(
        f"this file was made of latents of the {KINDS[kind]} {record['name']!r}, and {where}: frames can be made of "
        "them with tokenizer='PATH', the folder of that model; latents can be read without",
        settings=("tokenizer='PATH'",),
    )


def folders_with_weights(sha256: str, kind: str, beside: Path | None = None) -> Iterator[Path]:
    """The folders of a kind of model whose weights have this SHA-256: `beside`, the shipped ones, those of earlier
    versions.
    """
    for folder in [*([beside] if beside else []), *readable_folders()]:
        if holds(folder, kind) and weights_sha256(folder) == sha256:
            yield folder


def find_lit(tokenizer: Path) -> Path | None:
    """The folder of the LIT trained for this tokenizer: in its subfolder `lit`, or among the shipped models; None
    without one. Raises `UsageError` for a configuration that cannot be read.
    """
    return _made_for(tokenizer, "lit")


def find_prior(tokenizer: Path) -> Path | None:
    """The folder of the prior trained for this tokenizer: in its subfolder `prior`, or among the shipped models;
    None without one. Raises `UsageError` for a configuration that cannot be read.
    """
    return _made_for(tokenizer, "prior")


def _made_for(tokenizer: Path, kind: str) -> Path | None:
    sha256 = weights_sha256(tokenizer)
    for folder in [companions(tokenizer) / kind, *shipped_folders()]:
        if not (folder / CONFIG).is_file():
            continue
        try:
            if kind_of(folder) == kind and config_of(folder).get("tokenizer_sha256") == sha256:
                return folder
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder / CONFIG} cannot be read as the configuration of a model: {error}") from None
    return None
