"""A reader that was written from FORMAT.md alone finds in every file what the program finds: golden ones, every coding,
a real one.

The second reader shares nothing with the product, so a fault in the code that the page does not have, or one in the
page, shows here."""

from __future__ import annotations

import ast
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from latcomp.codec.decode_latents import decode_latents
from latcomp.codec.encode import encode
from latcomp.codec.encode_latents import encode_latents
from latcomp.container import Attachment, AudioChunk, Group, PackedAttachment, Reader, Writer
from latcomp.container.coding import PriorCoder, masks
from latcomp.container.format import ATTACHMENT_DTYPES
from latcomp.models import WEIGHTS, find_prior, find_tokenizer, prior_finder
from tests.container import reference_adaptive, reference_decoder, reference_file
from tests.container.make import groups, in_units, prior, sized, under, written
from tests.container.make_camera import PATHS, camera_groups, moving
from tests.container.test_golden import FOLDER, NAMES, PRIOR
from tests.container.test_golden import find_prior as golden_prior

MakeVideo = Callable[..., Path]
CAMERA = {
    "one position": (1, 1, 1, "int", False),
    "odd": (5, 7, 3, "int", False),
    "wide": (22, 27, 1, "int", False),
    "dense": (6, 8, 2, "int", True),
    "lossless": (4, 6, 2, "lossless", False),
    "lossless, dense": (3, 5, 1, "lossless", True),
}
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


def _carried(item: object) -> TypeGuard[PackedAttachment]:
    return isinstance(item, PackedAttachment)


def _said(one: Attachment) -> tuple[str, int, list[int], bytes]:
    """What the second reader says of an attachment."""
    ids = {name: number for number, (name, _) in ATTACHMENT_DTYPES.items()}
    return one.name, ids[one.dtype], list(one.shape), one.data


def numbers(group: Group) -> list[list[int]]:
    """Symbols, or the bits of float32 latents."""
    return (group.tokens.view(np.uint32) if group.tokens.dtype == np.float32 else group.tokens).tolist()


def bits(group: Group) -> list[list[int]]:
    """Of each latent frame one for each visible position."""
    return [group.view.take(group.mask, t).astype(int).tolist() for t in range(len(group.mask))]


def assert_same(data: bytes, find: Callable[..., object] | None, prior: bytes | None) -> set[tuple[int, int]]:
    """Both readers find the same in a file; gives the (mask coding, token layout) pairs that it has."""
    reader, wanted, sound = read_by_program(data, find)
    file = reference_file.pieces(data)
    payloads = [payload for _, kind, payload in file.chunks if kind == "GRUP"]
    pairs: set[tuple[int, int]] = set()
    if prior is None:
        plain = reference_file.read_plain(data)
        for group, found in zip(wanted, plain, strict=True):
            assert found.mask == bits(group)
            assert found.tokens == numbers(group)
            pairs.add((found.mask_coding, found.token_layout))
    else:
        for group, (coding, layout, mask, tokens, halvings) in zip(
            wanted, reference_decoder.read_under_prior(data, prior), strict=True
        ):
            assert mask == bits(group)
            assert tokens == group.tokens.tolist() and halvings == group.halvings.tolist()
            pairs.add((coding, layout))
    assert [reference_file.times(payload) for payload in payloads] == [group.pts.tolist() for group in wanted]
    frames = [reference_file.frames_of_latents(file.header, payload) for payload in payloads]
    assert frames == [reader.header.rule_of(group.key).counts(len(group.pts)) for group in wanted]
    found_offsets = [offsets for _, offsets, _, _ in reference_decoder.groups(data)]
    zeros = [np.zeros((len(group.pts), 2), int) if group.offsets is None else group.offsets for group in wanted]
    assert found_offsets == [[tuple(offset) for offset in offsets.tolist()] for offsets in zeros]
    carried = [reference_file.attachment(payload) for _, kind, payload in file.chunks if kind == "atch"]
    assert carried == [_said(item.unpack()) for item in Reader(io.BytesIO(data), find_prior=find) if _carried(item)]  # type: ignore[arg-type]
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
    for module in (reference_decoder, reference_adaptive, reference_file):
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not [name for name in names if name.split(".")[0] in ("latcomp", "numpy", "torch", "constriction")]
        own = {f"tests.container.{name}" for name in ("reference_decoder", "reference_adaptive")}
        assert {name for name in names if name.startswith("tests")} <= own


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


def test_every_coding_without_a_prior_under_camera_motion() -> None:
    """Pans, shakes, jumps and a camera that comes back, in every mask coding and token layout, beside groups without
    offsets and in a segment far away."""
    pairs: set[tuple[int, int]] = set()
    for number, (rows, columns, channels, coding, dense) in enumerate(CAMERA.values()):
        few = 2 if rows > 20 else 4
        of = moving(
            rows, columns, channels, coding=coding, first_frames=1 if number == 1 else None, group_latent_frames=few
        )
        for name in [*PATHS, *PATHS][number : number + 2]:
            without = (1,) if name == "shake" else ()
            made = camera_groups(of, 4, PATHS[name], number, 3, dense, without, origin=(-70_000, 9_001))
            pairs |= assert_same(written(of, made), None, None)
    assert {coding for coding, _ in pairs} >= {0, 1, 3}
    assert {layout for _, layout in pairs} == {0, 1, 2, 16, 17}


def larger(made: list[Group], rng: np.random.Generator) -> list[Group]:
    """The same groups with values of every size: small, beyond what tables reach, and at the ends of 16 bits."""
    found = []
    for number, group in enumerate(made):
        factor = (1, 40, 4000)[number % 3]
        tokens = np.clip(group.tokens * factor + rng.integers(-1, 2, group.tokens.shape), -(2**15), 2**15 - 1)
        found.append(replace(group, tokens=tokens.astype(np.int32)))
    return found


@pytest.mark.parametrize("name", [name for name in SIZES if "lossless" not in name])
def test_a_coding_that_learns(name: str) -> None:
    """Layout 6: the same weights, classes and tables, for values of any size, kept few or all, over two segments."""
    rows, columns, channels, _, dense = SIZES[name]
    of = sized(rows, columns, channels, requires=("adaptive",), group_latent_frames=3)
    made = larger(groups(of, 3, last_frames=10, dense=dense), np.random.default_rng(0))
    assert {layout for _, layout in assert_same(written(of, made), None, None)} == {6}


@pytest.mark.parametrize("path", PATHS)
def test_a_coding_that_learns_under_camera_motion(path: str) -> None:
    """What it remembers of a position moves with the world and is forgotten out of sight."""
    of = moving(5, 6, 2, group_latent_frames=3, segment_groups=3)
    of = replace(of, requires=(*of.requires, "adaptive"))
    made = larger(camera_groups(of, 3, PATHS[path], 3, 7, origin=(1, 1)), np.random.default_rng(1))
    assert {layout for _, layout in assert_same(written(of, made), None, None)} == {6}


@pytest.mark.parametrize("coding", [1, 2, 3])
@pytest.mark.parametrize("path", PATHS)
def test_every_mask_coding_under_camera_motion(path: str, coding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another one is shorter; of the mask of changed tokens too."""
    monkeypatch.setattr(masks, "min", lambda tried, key: next(one for one in tried if one[0] == coding), raising=False)
    of = moving(5, 6, 2, group_latent_frames=3, segment_groups=3)
    pairs = assert_same(written(of, camera_groups(of, 4, PATHS[path], 3, 7, origin=(1, 1))), None, None)
    assert {mask for mask, _ in pairs} <= {0, coding}


@pytest.mark.parametrize("coding", ["context", "zstd"])
@pytest.mark.parametrize("path", PATHS)
def test_a_prior_under_camera_motion(path: str, coding: str) -> None:
    """Masks, modes and values of what comes into view and back again."""
    by = prior(3)
    of = under(moving(3, 4, 3, step_scale=0.8, group_latent_frames=4), by, 2 if path == "pan" else 4)
    made = in_units(
        of, camera_groups(of, 4, PATHS[path], 1, 6, without=(1,) if path == "jumps" else (), origin=(8, -3))
    )
    data = written(of, made, prior=by, coding=coding)
    pairs = assert_same(data, lambda name, sha256: by, save(by.arrays))
    assert {layout for _, layout in pairs} <= ({3} if coding == "context" else {4, 5})
    assert coding == "zstd" or {of_mask for of_mask, _ in pairs} == {4}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-60, 60), st.integers(-60, 60)), min_size=1, max_size=24), st.data())
def test_any_way_of_the_camera(corners: list[tuple[int, int]], data: st.DataObject) -> None:
    """From one frame to several groups, wherever each frame is; without a prior and under one."""
    by, seed = prior(1), data.draw(st.integers(0, 1000))
    first_frames = data.draw(st.sampled_from([None, 1, 3]))
    of = moving(2, 3, 1, first_frames=first_frames, group_latent_frames=2, segment_groups=9)
    key, other = of.rule_of(True).frames(2), of.rule_of(False).frames(2)
    count = 1 + max(-(-(len(corners) - key) // other), 0)
    last = len(corners) - (key + (count - 2) * other if count > 1 else 0)
    made = camera_groups(of, count, lambda frames, rng: np.array(corners[:frames]), seed, last)
    assert_same(written(of, made, sound=False), None, None)
    of = under(of, by)
    coding = data.draw(st.sampled_from(["context", "zstd"]))
    packed = written(of, in_units(of, made, seed), sound=False, prior=by, coding=coding)
    assert_same(packed, lambda name, sha256: by, save(by.arrays))


def test_masks_without_a_prior_behind_masks_under_it() -> None:
    """A file with a prior may have every mask coding; each knows what the others left behind."""
    by = prior(2)
    of = under(moving(3, 4, 2, group_latent_frames=3, segment_groups=6), by)
    made = in_units(of, camera_groups(of, 6, PATHS["there_and_back"], 2))
    out = io.BytesIO()
    with Writer(out, of, by) as writer:
        for group in made:
            assert writer._coder is None or isinstance(writer._coder, PriorCoder)
            if writer._coder is not None:
                writer._coder._planes_alone = group.index % 3 != 0
            writer.write_group(group)
    pairs = assert_same(out.getvalue(), lambda name, sha256: by, save(by.arrays))
    assert {coding for coding, _ in pairs} > {4} and {layout for _, layout in pairs} > {3}


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


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("how", [{"quality": 6.0}, {"keep": 0.5}, {"lossless": True}], ids=str)
def test_latents(dtype: str, how: dict[str, float | bool]) -> None:
    """Latents that are read by the page alone are those that the program gives back, but for the last bit of
    float32."""
    rng = np.random.default_rng(5)
    field = rng.normal(0, 1, (3, 1, 4, 5)) + np.cumsum(rng.normal(0, 0.1, (3, 11, 4, 5)), 1)
    if dtype == "bfloat16":
        values = ((np.float32(field).view(np.uint32) >> 16) << 16).view(np.float32)
    else:
        values = field.astype(dtype)
    out = io.BytesIO()
    tokenizer = {"name": "t", "spatial": 8, "temporal": 4, "first_frames": 1, "transient": 1}
    encode_latents(values, out, tokenizer=tokenizer, dtype=dtype, **how)
    data = out.getvalue()
    assert_same(data, None, None)
    program, _ = decode_latents(io.BytesIO(data))
    by_page = np.array(reference_file.latents(data)).reshape(11, 4, 5, 3).transpose(3, 0, 1, 2)
    if how.get("lossless"):
        assert np.array_equal(program, values) and np.array_equal(by_page, values)
    else:
        assert np.allclose(
            program, by_page, rtol={"float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}[dtype], atol=1e-7
        )
        exact = np.array([reference_file.nearest(value, dtype) for value in by_page.ravel()])
        assert np.mean(exact == program.ravel()) > (0.5 if dtype == "float32" else 0.999)
