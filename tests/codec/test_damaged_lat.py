"""A damaged file opened in Python never reads as a shorter whole one: it is refused, or what is lost is held in its
place.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import latcomp
from latcomp.codec.decode import decode_frames
from latcomp.codec.lat_file import LatFile
from latcomp.container import Limits, LostGroups, Reader
from latcomp.container.format import GROUP_CHUNK
from latcomp.errors import DamagedFileError, LimitError, UsageError
from latcomp.models import prior_finder
from tests.container.test_damage import chunks
from tests.video.make import write

HEAD = -1
Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def lat(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """110 frames of two scenes, 72 and 38 long: groups of 8, 8, 2 and 8, 2 latent frames, the last of which stands for
    two frames.
    """
    rng = np.random.default_rng(4)
    scenes = [np.kron(rng.integers(0, 255, (4, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8) for _ in range(2)]
    frames = np.stack([scenes[int(i >= 72)] for i in range(110)])
    for i, frame in enumerate(frames):
        frame[8:16, i // 4 : i // 4 + 8] = 255 * (i // 8 % 2)  # something to keep
    path = tmp_path_factory.mktemp("damaged") / "in.mkv"
    write(path, list(frames))
    out = io.BytesIO()
    latcomp.encode(path, out, device="cpu", audio=False)
    with LatFile(io.BytesIO(out.getvalue())) as file:
        assert [(group.key, len(group.mask)) for group in file] == [
            (True, 8),
            (False, 8),
            (False, 2),
            (True, 8),
            (False, 2),
        ]
    return out.getvalue()


def group_places(data: bytes) -> list[tuple[int, int]]:
    """(start, end) of each group's chunk."""
    front, found = chunks(data)
    places, at = [], len(front)
    for chunk in found:
        if chunk[:4] == GROUP_CHUNK:
            places.append((at, at + len(chunk)))
        at += len(chunk)
    return places


def flipped(data: bytes, group: int, from_end: int = 20) -> bytes:
    """The file with a byte of a group's tokens changed, or of its head."""
    start, end = group_places(data)[group]
    at = start + 10 if from_end == HEAD else end - from_end
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def cut(data: bytes, group: int) -> bytes:
    """The file up to the middle of a group."""
    start, end = group_places(data)[group]
    return data[: (start + end) // 2]


# what was done, and the latent frames that it takes
CASES: dict[str, tuple[Damage, list[int]]] = {
    "flipped in group 1": (lambda data: flipped(data, 1), list(range(8, 18))),
    "flipped in the first group": (lambda data: flipped(data, 0), list(range(18))),
    "flipped in the last group": (lambda data: flipped(data, 4), [26, 27]),
    "flipped in the head of group 1": (lambda data: flipped(data, 1, HEAD), list(range(8, 18))),
    "flipped in both scenes": (lambda data: flipped(flipped(data, 2), 3), list(range(16, 28))),
}


@pytest.mark.parametrize("case", [*CASES, "cut in group 1", "cut in the last group", "without its end"])
def test_a_damaged_file_is_refused(lat: bytes, case: str) -> None:
    damages: dict[str, Damage] = {name: damage for name, (damage, _) in CASES.items()} | {
        "cut in group 1": lambda data: cut(data, 1),
        "cut in the last group": lambda data: cut(data, 4),
        "without its end": lambda data: data[:-1],
    }
    with latcomp.open(io.BytesIO(damages[case](lat)), device="cpu") as file:
        for read in (lambda: file.mask, file.latents, lambda: list(file)):
            with pytest.raises(DamagedFileError, match="damaged='hold'"):
                read()
        assert file.damage and all(isinstance(line, str) for line in file.damage)


@pytest.mark.parametrize("case", CASES)
def test_what_is_lost_is_held_in_its_place(lat: bytes, case: str) -> None:
    damage, lost = CASES[case]
    with latcomp.open(io.BytesIO(lat), device="cpu") as file:
        mask, latents, whole_times = file.mask, file.latents(), times_of(file)
        assert file.damage == []
    with latcomp.open(io.BytesIO(damage(lat)), device="cpu", damaged="hold") as file:
        held_mask, held = file.mask, file.latents()
        assert times_of(file) == whole_times
        assert file.damage == list(dict.fromkeys(file.damage)) != []
    assert held_mask.shape == mask.shape and held.shape == latents.shape
    good = [t for t in range(28) if t not in lost]
    assert not held_mask[lost].any() and np.array_equal(held_mask[good], mask[good])
    assert torch.equal(held[:, :, good], latents[:, :, good])
    for before, t in pairwise(range(-1, 28)):
        if t in lost:
            assert torch.equal(held[:, :, t], held[:, :, before] if before >= 0 else torch.zeros_like(held[:, :, 0]))


def times_of(file: LatFile) -> list[int]:
    return [time for group in file for time in group.pts.tolist()]


@pytest.mark.parametrize("group", [1, 3, 4])
def test_of_a_cut_file_what_its_groups_say_comes_back(lat: bytes, group: int) -> None:
    """Nothing says how long a file was that has no end; what stands before the cut is whole."""
    ends = np.cumsum([0, 8, 8, 2, 8, 2])
    with latcomp.open(io.BytesIO(cut(lat, group)), device="cpu", damaged="hold") as file:
        assert len(file.mask) == file.latents().shape[2] == ends[group]
        assert file.damage


def test_a_part_before_the_damage_is_read_and_one_behind_it_too(lat: bytes) -> None:
    """Only what is read counts: a segment that the index leads to is whole, whatever happened to another."""
    with (
        latcomp.open(io.BytesIO(lat), device="cpu") as whole,
        latcomp.open(io.BytesIO(flipped(lat, 1)), device="cpu") as file,
    ):
        assert torch.equal(file.latents(3.0, 1.0), whole.latents(3.0, 1.0))
        with pytest.raises(DamagedFileError):
            file.latents(0.0, 2.0)


def test_a_part_inside_the_damage_is_held(lat: bytes) -> None:
    with latcomp.open(io.BytesIO(flipped(lat, 1)), device="cpu", damaged="hold") as file:
        found = file.latents(40 / 25, 24 / 25)
        assert found.shape[2] == 6
        assert torch.equal(found, file.latents()[:, :, 7:8].expand_as(found))


def test_nothing_is_refused_either_way(lat: bytes) -> None:
    """With no group left there is nothing to hold."""
    broken = lat
    for group in range(5):
        broken = flipped(broken, group)
    for damaged in ("error", "hold"):
        with latcomp.open(io.BytesIO(broken), device="cpu", damaged=damaged) as file, pytest.raises(DamagedFileError):
            _ = file.mask
    with pytest.raises(UsageError, match="choose error or hold"):
        latcomp.open(io.BytesIO(lat), damaged="skip")


def test_lost_latent_frames_add_up(lat: bytes) -> None:
    for damage, lost in CASES.values():
        items = [
            item
            for item in Reader(io.BytesIO(damage(lat)), find_prior=prior_finder(None))
            if isinstance(item, LostGroups)
        ]
        assert sum(len(item.latent_frames) for item in items) == len(lost)
        assert all(sum(item.latent_frames) == item.frames for item in items)


def test_frames_end_at_the_first_damage(lat: bytes) -> None:
    """`decode_frames` gives what is whole and then raises; nothing that is held comes out as a frame."""
    whole = [frame.pixels for frame in decode_frames(io.BytesIO(lat), device="cpu")]
    found = []
    with pytest.raises(DamagedFileError):
        for frame in decode_frames(io.BytesIO(flipped(lat, 1)), device="cpu"):
            found.append(frame.pixels)
    assert len(found) == 32 and all(map(np.array_equal, found, whole))


def test_figures_honour_the_limits_that_a_file_was_opened_with(lat: bytes) -> None:
    with latcomp.open(io.BytesIO(lat), limits=Limits(max_frames=5)) as file:
        for read in (file.stats, lambda: list(file)):
            with pytest.raises(LimitError):
                read()
    with latcomp.open(io.BytesIO(lat)) as file:
        assert file.stats()["frames"] == 110


def test_figures_do_not_import_torch(lat: bytes, tmp_path: Path) -> None:
    """Nor do groups and masks."""
    (tmp_path / "in.lat").write_bytes(lat)
    code = """
import sys, latcomp
with latcomp.open(sys.argv[1]) as file:
    assert file.stats()["frames"] == 110 and len(list(file)) == 5 and file.mask.shape == (28, 4, 6)
sys.exit(bool({"torch", "av"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "in.lat")], check=False).returncode == 0


def test_a_pipe_is_read_as_a_file(lat: bytes) -> None:
    """What cannot go back is copied first; so is a file object that does not stand at its beginning."""
    inside = io.BytesIO(b"something else" + lat)
    inside.seek(len(b"something else"))
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"],
        stdin=subprocess.PIPE,
        stdout=writing,
    ) as cat:
        os.close(writing)
        assert cat.stdin is not None
        cat.stdin.write(lat)
        cat.stdin.close()
        with open(reading, "rb") as pipe, latcomp.open(pipe) as file, latcomp.open(inside) as other:  # noqa: PTH123
            assert file.stats() == other.stats()
            assert np.array_equal(file.mask, other.mask) and len(file.mask) == 28
            assert not pipe.closed
