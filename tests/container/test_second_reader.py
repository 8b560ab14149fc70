"""A reader that was written from FORMAT.md alone finds in every file what the program finds: golden ones, every coding,
a real one.

The second reader shares nothing with the product, so a fault in the code that the page does not have, or one in the
page, shows here."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latcomp.codec.encode import encode
from latcomp.container import AudioChunk, Group, Reader
from latcomp.models import WEIGHTS, find_prior, find_tokenizer, prior_finder
from tests.container import reference_decoder, reference_file
from tests.container.make import groups, sized, written
from tests.container.test_golden import FOLDER, NAMES, PRIOR
from tests.container.test_golden import find_prior as golden_prior

MakeVideo = Callable[..., Path]
SIZES = {
    "one position": (1, 1, 1, "int", False),
    "sparse": (24, 31, 1, "int", False),
    "odd": (5, 7, 3, "int", False),
    "dense": (9, 10, 4, "int", True),
    "lossless": (5, 7, 4, "lossless", False),
    "lossless, dense": (5, 7, 4, "lossless", True),
}


def read_by_program(
    data: bytes, find: Callable[..., object] | None = None
) -> tuple[Reader, list[Group], list[AudioChunk]]:
    reader = Reader(io.BytesIO(data), find_prior=find)  # type: ignore[arg-type]
    items = list(reader)
    assert not reader.damage
    return reader, [i for i in items if isinstance(i, Group)], [i for i in items if isinstance(i, AudioChunk)]


def numbers(group: Group) -> list[list[int]]:
    """Symbols, or the bits of float32 latents."""
    return (group.tokens.view(np.uint32) if group.tokens.dtype == np.float32 else group.tokens).tolist()


def assert_same(data: bytes, find: Callable[..., object] | None, prior: bytes | None) -> set[tuple[int, int]]:
    """Both readers find the same in a file; gives the (mask coding, token layout) pairs that it has."""
    reader, wanted, sound = read_by_program(data, find)
    file = reference_file.pieces(data)
    payloads = [payload for _, kind, payload in file.chunks if kind == "GRUP"]
    pairs: set[tuple[int, int]] = set()
    if prior is None:
        plain = reference_file.read_plain(data)
        for group, found in zip(wanted, plain, strict=True):
            assert found.mask == group.mask.astype(int).tolist()
            assert found.tokens == numbers(group)
            pairs.add((found.mask_coding, found.token_layout))
    else:
        for group, (coding, layout, mask, tokens, halvings) in zip(
            wanted, reference_decoder.read_under_prior(data, prior), strict=True
        ):
            assert mask == group.mask.reshape(len(mask), -1).astype(int).tolist()
            assert tokens == group.tokens.tolist() and halvings == group.halvings.tolist()
            pairs.add((coding, layout))
    assert [reference_file.times(payload) for payload in payloads] == [group.pts.tolist() for group in wanted]
    frames = [reference_file.frames_of_latents(file.header, payload) for payload in payloads]
    assert frames == [reader.header.rule_of(group.key).counts(len(group.pts)) for group in wanted]
    packets = [tuple(reference_file.audio(payload)) for _, kind, payload in file.chunks if kind == "AUDI"]
    assert packets == [tuple((p.pts, p.dts, p.duration, p.flags, p.data) for p in chunk.packets) for chunk in sound]
    end, index = reference_file.end_and_index(data)
    assert end[:3] == (len(wanted), sum(len(group.pts) for group in wanted), sum(len(chunk.packets) for chunk in sound))
    assert [(e.group, e.first_frame, e.first_pts, e.offset) for e in reader.index or ()] == index
    starts = {offset for offset, _, _ in file.chunks}
    assert all(offset in starts for *_, offset in index) and file.chunks[-2][:2] == (end[3], "INDX")
    return pairs


def test_it_shares_no_code_with_the_program() -> None:
    """What it imports is Python's own, zstd, and itself."""
    for module in (reference_decoder, reference_file):
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not [name for name in names if name.split(".")[0] in ("latcomp", "numpy", "torch", "constriction")]
        assert [name for name in names if name.startswith("tests")] in ([], ["tests.container.reference_decoder"])


@pytest.mark.parametrize("name", NAMES)
def test_golden_files(name: str) -> None:
    data = (FOLDER / f"{name}.lat").read_bytes()
    assert_same(data, golden_prior, PRIOR.read_bytes() if "prior" in name else None)


def test_every_coding_without_a_prior() -> None:
    """Small and large grids, few and many channels, kept tokens few and all: every mask coding and token layout comes
    up.
    """
    pairs: set[tuple[int, int]] = set()
    for rows, columns, channels, coding, dense in SIZES.values():
        of = sized(rows, columns, channels, coding=coding)
        pairs |= assert_same(written(of, groups(of, 4, last_frames=30, dense=dense)), None, None)
    assert {coding for coding, _ in pairs} == {0, 1, 2, 3}
    assert {layout for _, layout in pairs} == {0, 1, 2, 16, 17}


@pytest.mark.parametrize("coding", ["context", "zstd"])
def test_a_file_of_the_models_that_are_shipped(coding: str, make_video: MakeVideo, tmp_path: Path) -> None:
    """All channels under the real prior, from a video to the tokens, read in plain Python."""
    folder = find_prior(find_tokenizer(None))
    if folder is None:
        pytest.skip("the default tokenizer has no prior")
    video = make_video(tmp_path / "in.mkv", frames=15, width=32, height=24, sound=True)
    encode(video, tmp_path / "out.lat", quality=4, coding=coding, device="cpu")
    pairs = assert_same((tmp_path / "out.lat").read_bytes(), prior_finder(), (folder / WEIGHTS).read_bytes())
    assert {layout for _, layout in pairs} == {3} if coding == "context" else {4, 5} >= {layout for _, layout in pairs}
