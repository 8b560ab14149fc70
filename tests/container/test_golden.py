"""Files written by earlier versions of the program read the same for ever.

`python -m tests.container.test_golden` writes files that are not there yet; existing ones are never replaced. What is
compared is what the files hold, not the bytes that a writer of today would give."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from latcomp.container import Attachment, AudioChunk, Group, PackedAttachment, Prior, Reader, check
from tests.container.make import groups, in_units, of_latents, prior_arrays, sized, under, written
from tests.container.make_camera import camera_groups, joined, jumps, moving, pan, there_and_back

FOLDER = Path(__file__).parent / "golden"
NAMES = (
    "version-1-int",
    "version-1-lossless",
    "version-1-dense",
    "version-1-prior",
    "version-1-prior-zstd",
    "version-2-first-frames",
    "version-2-camera",
    "version-2-camera-lossless",
    "version-2-camera-prior",
    "version-2-camera-prior-zstd",
    "version-1-attachments",
    "version-2-steps",
    "version-2-steps-prior",
    "version-2-latents",
    "version-2-latents-lossless",
    "version-2-adaptive",
)
PRIOR = FOLDER / "version-1-prior.safetensors"


@lru_cache
def golden_prior() -> Prior:
    """The prior that stands beside the files."""
    data = PRIOR.read_bytes()
    return Prior(load(data), hashlib.sha256(data).hexdigest(), "golden")


def find_prior(name: str, sha256: str) -> Prior:
    """The prior beside the files, if it is the one asked for."""
    assert (name, sha256) == (golden_prior().name, golden_prior().sha256)
    return golden_prior()


def digest(path: Path) -> dict[str, object]:
    """What a file holds, as text and hashes."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        reader = Reader(file, find_prior=find_prior)
        items = list(reader)
    for item in items:
        if isinstance(item, Group):
            facts = (
                item.index,
                item.key,
                item.first_frame,
                item.fill,
                item.pts.tolist(),
                item.mask.shape,
                item.step_adjust,
            )
            found.update(repr(facts).encode())
            if item.offsets is not None:
                found.update(repr((item.offsets.tolist(), item.view.window)).encode())
            found.update(
                item.mask.tobytes()
                + item.tokens.tobytes()
                + (b"" if item.halvings is None else item.halvings.tobytes())
            )
        elif isinstance(item, PackedAttachment):
            one = item.unpack()
            found.update(repr((one.name, one.dtype, one.shape)).encode() + one.data)
        else:
            assert isinstance(item, AudioChunk)
            found.update(repr(item).encode())
    return {"header": json.loads(json.dumps(reader.header.to_dict())), "items": len(items), "sha256": found.hexdigest()}


@pytest.mark.parametrize("name", NAMES)
def test_golden_files(name: str) -> None:
    """Header, times, masks, tokens and audio of a committed file are what they were when it was written."""
    path = FOLDER / f"{name}.lat"
    wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    later = {
        "prior": None,
        "units": 1,
        "target_bpp": None,
        "min_psnr": None,
    }  # and what files without these members mean
    wanted["header"] = {**later, **wanted["header"]}
    assert digest(path) == wanted
    with path.open("rb") as file:
        assert check(file, find_prior=find_prior) == []


def golden(name: str) -> bytes:
    """A new file of that name."""
    if name.startswith("version-2-camera"):
        return golden_camera(name)
    if name == "version-1-attachments":
        of = sized(4, 5, 3)
        return written(of, groups(of, 2, last_frames=6), attachments=attached())
    if name.startswith("version-2-latents"):
        of = of_latents(6, 7, 5, lossless=name.endswith("lossless"))
        return written(of, groups(of, 3, last_frames=5), sound=False, attachments=attached())
    if name == "version-2-first-frames":
        of = sized(5, 7, 4, first_frames=1)
        return written(of, groups(of, 3, last_frames=2))
    if name == "version-2-adaptive":
        of = sized(7, 9, 5, requires=("adaptive",), group_latent_frames=4)
        made = groups(of, 4, last_frames=6)
        made[2].tokens[::7, ::2] += 4000  # values that no table reaches
        return written(of, made)
    if "prior" not in name:
        if name == "version-2-steps":
            steps = of_latents(1, 1, 5).steps
            of = sized(9, 8, 5, requires=("steps",), steps=steps, step_scale=0.9375)
            return written(of, groups(of, 3, last_frames=6))
        of = sized(16, 20, 5, coding="lossless" if name.endswith("lossless") else "int")
        return written(of, groups(of, 3, last_frames=6, dense=name.endswith("dense")))
    of = under(sized(9, 12, 6, step_scale=0.6), golden_prior())
    if name == "version-2-steps-prior":
        of = replace(of, requires=("steps",), steps=of_latents(1, 1, 6).steps)
    made = in_units(of, groups(of, 4, last_frames=6))
    made[2].tokens[::7, ::2] += 4000  # values that no table reaches
    return written(of, made, prior=golden_prior(), coding="zstd" if name.endswith("zstd") else "context")


def attached() -> list[Attachment]:
    """Attachments of several types and shapes."""
    rng = np.random.default_rng(3)
    return [
        Attachment.of("text", rng.normal(size=(7, 12)).astype(np.float16)),
        Attachment("mask/bits", "bfloat16", (2, 3), rng.bytes(12)),
        Attachment.of("count", np.array(41, np.int64)),
        Attachment.of("nothing", np.zeros((0, 4), np.uint8)),
    ]


def golden_camera(name: str) -> bytes:
    """A new file of four segments: a pan, jumps, and twice a camera that comes back, with a group without offsets and
    far away. Without a prior the first latent frame of each is a short one."""
    under_prior = "prior" in name
    first_frames, coding = None if under_prior else 1, "lossless" if name.endswith("lossless") else "int"
    of = moving(5, 7, 6 if under_prior else 3, first_frames=first_frames, coding=coding, group_latent_frames=4)
    back = camera_groups(of, 4, there_and_back, 2, 3, without=(1,), origin=(3000, -70_001))
    made = joined(camera_groups(of, 2, pan), camera_groups(of, 2, jumps, 1), back)
    if not under_prior:
        return written(of, made)
    of = under(of, golden_prior())
    return written(of, in_units(of, made), prior=golden_prior(), coding="zstd" if name.endswith("zstd") else "context")


if __name__ == "__main__":
    if not PRIOR.exists():
        PRIOR.write_bytes(save(prior_arrays(seed=1)))
    for missing in (FOLDER / f"{name}.lat" for name in NAMES):
        if not missing.exists():
            missing.write_bytes(golden(missing.stem))
            missing.with_suffix(".json").write_text(json.dumps(digest(missing), indent=1) + "\n", encoding="utf-8")
