"""Protects: a .lat is read with the very models it was written with, and `check` says so where `decode` does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from latcomp import models
from latcomp.container import AudioChunk, Group, Header, Reader, Writer, check
from latcomp.container.header import pack_header
from latcomp.models import folders
from tests.container.make import prior_arrays

from .conftest import Latcomp, assert_refused

TINY = Path(__file__).parents[1] / "codec" / "golden" / "tokenizer"


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tiny tokenizer with a prior of its own."""
    folder = tmp_path / "tiny"
    shutil.copytree(TINY, folder)
    config = json.loads((folder / models.CONFIG).read_text(encoding="utf-8"))
    (folder / "prior").mkdir()
    save_file(prior_arrays(config["channels"]), folder / "prior" / models.WEIGHTS)
    sha256 = models.sha256_of(folder / models.WEIGHTS)
    own = {"name": "tiny-prior", "channels": config["channels"], "embed": 8, "tokenizer_sha256": sha256}
    (folder / "prior" / models.CONFIG).write_text(json.dumps(own), encoding="utf-8")
    return folder


def edit(folder: Path, **changes: Any) -> None:
    """Another configuration in a folder, as it is for a process that comes later."""
    path = folder / models.CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    models.sha256_of.cache_clear()
    models.fingerprint_of.cache_clear()
    models.load_prior.cache_clear()


def calls(source: Path, folder: Path, *options: object) -> list[tuple[object, ...]]:
    """Every command that needs the models of a file."""
    return [
        ("check", source, *options),
        ("check", source, "--repair", folder / "repaired.lat", *options),
        ("decode", source, folder / "out.mkv", *options),
        ("tokens", source, folder / "out.npz", *options),
    ]


def test_check_finds_a_prior_beside_the_tokenizer(
    tokenizer: Path, clip: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """A file of a tokenizer of one's own: everything is read with --tokenizer, nothing without."""
    source = tmp_path / "own.lat"
    assert latcomp("encode", clip, source, "--tokenizer", tokenizer).code == 0
    figures = json.loads(latcomp("stats", source, "--json").out)
    assert figures["tokenizer"]["fingerprint"] == models.fingerprint_of(tokenizer) != figures["tokenizer"]["sha256"]
    with source.open("rb") as file:
        header = Reader(file).header
    assert header.prior == models.model_record(tokenizer / "prior", "tiny-prior")
    for arguments in calls(source, tmp_path):
        assert_refused(latcomp(*arguments), 5)
    for arguments in calls(source, tmp_path, "--tokenizer", tokenizer):
        ran = latcomp(*arguments)
        assert ran.code == 0, ran.err
    assert (tmp_path / "repaired.lat").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("part", ["", "prior"])
def test_another_configuration_is_another_model(
    part: str, tokenizer: Path, clip: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """The same weights under a changed configuration are refused with code 5 by every command; another name changes
    nothing.
    """
    source = tmp_path / "own.lat"
    assert latcomp("encode", clip, source, "--tokenizer", tokenizer).code == 0
    edit(tokenizer / part, name="renamed")
    assert latcomp("check", source, "--tokenizer", tokenizer).code == 0
    steps = json.loads((tokenizer / models.CONFIG).read_text(encoding="utf-8"))["channel_step"]
    edit(tokenizer / part, **({"embed": 9} if part else {"channel_step": [4 * step for step in steps]}))
    for arguments in calls(source, tmp_path, "--tokenizer", tokenizer):
        ran = latcomp(*arguments)
        assert_refused(ran, 5)
        assert "configuration" in ran.err


def test_a_shipped_model_whose_configuration_was_edited(
    lat: Path, latcomp: Latcomp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a file of before there were fingerprints: the shipped list has the configuration too."""
    folder = tmp_path / "weights"
    shutil.copytree(models.weights_folder(), folder)
    monkeypatch.setattr(folders, "weights_folder", lambda: folder)
    source = tmp_path / "old.lat"
    source.write_bytes(with_header(lat, lambda header: header_without_fingerprints(header)))
    assert latcomp("decode", source, tmp_path / "out.mkv").code == 0
    edit(folder / models.DEFAULT_TOKENIZER, channel_step=[1.0] * 96)
    for ran in (latcomp("decode", source, tmp_path / "other.mkv"), latcomp("check", source)):
        assert_refused(ran, 5)
        assert "config.json is damaged, or was replaced" in ran.err
    assert_refused(latcomp("decode", lat, tmp_path / "other.mkv"), 5)
    assert_refused(latcomp("check", lat), 5)
    edit(folder / models.DEFAULT_TOKENIZER)  # leaves nothing of it in memory


def header_without_fingerprints(header: Header) -> Header:
    def old(record: dict[str, Any] | None) -> dict[str, Any] | None:
        return record and {name: value for name, value in record.items() if name != "fingerprint"}

    return replace(header, tokenizer=old(header.tokenizer), lit=old(header.lit), prior=old(header.prior))


def with_header(lat: Path, change: Any) -> bytes:
    """A file with another header before the same chunks, which its index still fits."""
    from latcomp.container.index import load_index, pack_end, pack_index
    from latcomp.container.limits import Limits
    from tests.fuzz.seal import sealed, split_chunks, split_front

    with lat.open("rb") as file:
        reader = Reader(file)
        found = load_index(file, Limits())
    assert found is not None
    end, entries = found
    front = pack_header(change(reader.header))
    more = len(front) - len(reader.front)
    body = split_chunks(split_front(lat.read_bytes())[1])[:-2]
    index = pack_index([replace(entry, offset=entry.offset + more) for entry in entries])
    return front + b"".join(
        sealed(*chunk)
        for chunk in [*body, (b"INDX", index), (b"ENDF", pack_end(replace(end, index_offset=end.index_offset + more)))]
    )


def forged(lat: Path, target: Path, **changes: Any) -> None:
    """A file whose groups are right under a header that is not: of four frames, or as many as a latent frame has
    then.
    """
    with lat.open("rb") as file:
        header = Reader(file).header
    header = replace(header, prior=None, units=1, audio=[], tokenizer={**header.tokenizer, **changes})
    import numpy as np

    rows, columns = header.grid
    mask = np.ones((1, rows, columns), bool)
    group = Group(
        0, True, 0, np.arange(header.temporal) * 512, mask, np.zeros((mask.size, header.channels), np.int32), "hold"
    )
    with target.open("wb") as out, Writer(out, header) as writer:
        writer.write_group(group)
    with target.open("rb") as file:
        assert check(file) == []  # as far as the container goes


@pytest.mark.parametrize(
    "changes", [{"channels": 1}, {"channels": 95}, {"temporal": 2}, {"temporal": 8}, {"spatial": 16}], ids=str
)
def test_a_header_that_is_not_its_models(changes: dict[str, int], lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Channels and factors must be the tokenizer's: damage, in one line, from every command that has the model at
    hand.
    """
    source = tmp_path / "forged.lat"
    forged(lat, source, **changes)
    for arguments in calls(source, tmp_path):
        ran = latcomp(*arguments)
        assert_refused(ran, 4)
        assert next(iter(changes)) in ran.err
    assert json.loads(latcomp("check", source, "--json").out)["ok"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["forged.lat"]


def test_a_lit_or_prior_of_another_tokenizer(tokenizer: Path, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """The shipped ones beside a tokenizer that they were not made for: damage; a prior that is none: not at hand."""
    with lat.open("rb") as file:
        header = Reader(file).header
    sha256 = {"sha256": models.sha256_of(tokenizer / models.WEIGHTS), "fingerprint": models.fingerprint_of(tokenizer)}
    other = {**header.tokenizer, **sha256, "channels": folders.config_of(tokenizer)["channels"]}
    source = tmp_path / "mixed.lat"
    for members in ({"prior": None, "units": 1}, {"lit": None}):
        source.write_bytes(
            with_header(lat, lambda header, members=members: replace(header, tokenizer=other, **members))
        )
        for command in ("check", "decode"):
            outputs = [tmp_path / "out.mkv"] if command == "decode" else []
            ran = latcomp(command, source, *outputs, "--tokenizer", tokenizer)
            assert ran.code == 4 and "another tokenizer" in ran.err, ran.err
    named = {"name": "x", "sha256": header.tokenizer["sha256"]}
    source.write_bytes(with_header(lat, lambda header: replace(header, prior=named)))
    for arguments in calls(source, tmp_path):
        ran = latcomp(*arguments)
        assert_refused(ran, 5)
        assert "prior 'x'" in ran.err


def test_a_file_of_before_fingerprints_reads_as_it_did(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Every command works, and the figures say that the fingerprint is not known."""
    source = tmp_path / "old.lat"
    source.write_bytes(with_header(lat, header_without_fingerprints))
    for arguments in calls(source, tmp_path):
        ran = latcomp(*arguments)
        assert ran.code == 0, ran.err
    assert json.loads(latcomp("stats", source, "--json").out)["tokenizer"]["fingerprint"] is None
    with source.open("rb") as file:
        assert any(isinstance(item, AudioChunk) for item in Reader(file, find_prior=models.prior_finder()))


def test_a_tokenizer_that_is_not_there_is_told_by_every_reader(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """A slip in `--tokenizer` is exit 2 also for a file that could be read without; a name of a shipped one is as good
    as its folder.
    """
    (tmp_path / "empty").mkdir()
    for given, told in (
        ("nosuch", "no tokenizer 'nosuch' was found"),
        (tmp_path / "empty", "is no tokenizer: give"),
        (models.weights_folder() / "lit-cv8x8x4", "is no tokenizer: it holds a LIT"),
    ):
        for arguments in calls(lat, tmp_path, "--tokenizer", given):
            ran = latcomp(*arguments)
            assert_refused(ran, 2)
            assert told in ran.err
    for arguments in calls(lat, tmp_path, "--tokenizer", models.DEFAULT_TOKENIZER):
        ran = latcomp(*arguments)
        assert ran.code == 0, ran.err
