"""The memory a reader takes stays within the bound that FORMAT.md states, for files made to take as much as they can:
measured as what the process really occupied at its peak."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latcomp import container
from latcomp.container import AudioChunk, AudioPacketBytes, Group, Header
from latcomp.container.audio import pack_audio
from latcomp.container.format import GROUP_HEAD, INDEX_HEAD
from latcomp.container.header import pack_header
from latcomp.latents import Box, GroupView
from tests.container.make import groups, in_units, prior, sized, under, written
from tests.container.make_camera import camera_groups, moving
from tests.container.test_attachments import OF, bomb, with_payload
from tests.fuzz.seal import sealed

STATUS = Path("/proc/self/status")
pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="the peak of a process's memory is read from /proc")

FORMAT = Path(container.__file__).with_name("FORMAT.md").read_text(encoding="utf-8")
(
    IN_ANY_CASE,
    ATTACHED,
    A_BYTE,
    A_POSITION,
    A_CHANNEL,
    A_TOKEN,
    A_NUMBER,
    A_LEARNED_VALUE,
    A_LEARNED_CHANNEL,
    A_BOX,
    A_BOX_OF_A_GROUP,
    A_WORLD,
    A_WORLD_CHANNEL,
) = (
    int(number)
    for number in re.findall(r"^\| (?:any|each) .*\| (\d+) \|$", FORMAT.split("bytes of memory")[1], re.MULTILINE)
)

MEASURE = """
import sys
from contextlib import suppress
import numpy
from latcomp.container import check, scan
from latcomp.errors import LatcompError
from tests.container.make import prior

def kib(name):
    return int(open("/proc/self/status").read().split(name + ":")[1].split()[0])

with open(sys.argv[1], "rb") as file:
    known = prior(int(sys.argv[2])) if int(sys.argv[2]) else None
    if known: known.value_tables, known.mode_tables, known.mask_tables
    before = kib("VmRSS")
    with suppress(LatcompError):
        if sys.argv[3] == "scan":
            scan(file)
        else:
            check(file, find_prior=lambda name, sha: known)
    print((kib("VmHWM") - before) * 1024)
"""


def peak_bytes(path: Path, data: bytes, channels: int = 0, what: str = "check") -> int:
    """Bytes that a process of its own took at most to read a file; channels: of the prior it has at hand, 0 for
    none.
    """
    path.write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(path), str(channels), what]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, cwd=Path(__file__).parents[2]
    )
    return int(done.stdout)


def bound(of: Header, size: int) -> int:
    """Bytes that FORMAT.md allows for a file of `size` bytes."""
    positions, channels = of.grid[0] * of.grid[1], of.channels
    tokens = positions * of.group_latent_frames
    learned = positions * channels * A_LEARNED_VALUE + channels * A_LEARNED_CHANNEL
    return (
        IN_ANY_CASE
        + ("adaptive" in of.requires) * learned
        + A_BYTE * size
        + positions * (A_POSITION + A_CHANNEL * channels)
        + tokens * (A_TOKEN + A_NUMBER * channels)
    )


@pytest.mark.parametrize("latent_frames", [1, 8])
@pytest.mark.parametrize("coding", ["planes", "context", "lossless", "kinds", "prior", "adaptive"])
def test_a_group_of_few_bytes(coding: str, latent_frames: int, tmp_path: Path) -> None:
    """A few hundred bytes that claim a large group; in coding `context` the tokens are noise, so that this layout is
    chosen.
    """
    requires = ("adaptive",) if coding == "adaptive" else ()
    plain = "lossless" if coding == "lossless" else "int"
    of = sized(96, 96, 12, coding=plain, group_latent_frames=latent_frames, requires=requires)
    known = prior(of.channels) if coding in ("kinds", "prior") else None
    of = under(of, known) if known else of
    mask = np.ones((latent_frames, *of.grid), bool)
    if coding == "prior":
        mask[1:, ::2] = False  # so that masks are coded under the prior too
    tokens = np.zeros((int(mask.sum()), of.channels), np.float32 if coding == "lossless" else np.int32)
    if coding == "context":
        tokens[:] = np.rint(np.random.default_rng(1).laplace(0, 2, tokens.shape))
    group = Group(
        0,
        True,
        0,
        np.arange(4 * latent_frames),
        mask,
        tokens,
        "hold",
        0,
        np.zeros(len(tokens), np.uint8) if known else None,
    )
    data = written(of, [group], sound=False, prior=known, coding="zstd" if coding == "kinds" else "context")
    if coding in ("planes", "lossless", "kinds"):
        assert len(data) < 2000
    found = peak_bytes(tmp_path / "group.lat", data, of.channels if known else 0)
    assert tokens.nbytes < found < bound(of, len(data))  # it was decoded at all


@pytest.mark.parametrize("words", [0, 100])
def test_a_large_group_without_its_bytes(words: int, tmp_path: Path) -> None:
    """A key group of 8K that claims all its tokens and has next to no words for them under the prior: nothing is made
    for it.
    """
    known = prior(12)
    of = under(sized(540, 1024, 12, group_latent_frames=1), known)
    head = GROUP_HEAD.pack(
        index=0,
        first_frame=0,
        first_pts=0,
        frames=1,
        latent_frames=1,
        flags=1,
        mask_coding=0,
        token_layout=3,
        tokens_kept=540 * 1024,
        times_bytes=0,
        mask_bytes=0,
        step_adjust=0,
    )
    data = pack_header(of) + sealed(b"GRUP", head + bytes(4 * words))
    assert peak_bytes(tmp_path / "group.lat", data, of.channels) < IN_ANY_CASE + A_BYTE * len(data)


@pytest.mark.parametrize("what", ["check", "scan"])
def test_many_small_parts(what: str, tmp_path: Path) -> None:
    """8,000 segments of one token each, behind them half as many damaged chunks, and an index that claims a million."""
    of = sized(1, 1, 1, group_latent_frames=1)
    payload = written(of, groups(of, 1), sound=False)[len(pack_header(of)) + 8 :]
    head, body = GROUP_HEAD.unpack(payload), payload[GROUP_HEAD.size : payload.index(b"INDX") - 4]
    parts = [
        sealed(b"GRUP", GROUP_HEAD.pack(**{**head, "index": i, "first_frame": 4 * i}) + body) for i in range(8_000)
    ]
    data = (
        pack_header(of)
        + b"".join(parts)
        + sealed(b"AUDI", b"") * 4_000
        + sealed(b"INDX", INDEX_HEAD.pack(segments=1 << 20))
    )
    assert peak_bytes(tmp_path / "parts.lat", data, what=what) < bound(of, len(data))


@pytest.mark.parametrize("packets", [1, 65_536])
def test_a_long_chunk(packets: int, tmp_path: Path) -> None:
    """Eight megabytes of sound in one packet, or in as many as a chunk may have; and a damaged chunk that claims all
    that is left.
    """
    of = replace(sized(1, 1, 1), audio=[{}])
    packet = AudioPacketBytes(0, 0, 0, 0, bytes((8 << 20) // packets))
    data = pack_header(of) + sealed(b"AUDI", pack_audio(AudioChunk(0, (packet,) * packets)))
    data += b"GRUP" + (60 << 20).to_bytes(4, "little") + bytes(8 << 20)
    assert peak_bytes(tmp_path / "chunk.lat", data) < bound(of, len(data))


@pytest.mark.parametrize("what", ["check", "scan"])
def test_an_attachment_of_few_bytes(what: str, tmp_path: Path) -> None:
    """Its numbers are counted, not held."""
    data = with_payload(bomb(1 << 26))
    assert len(data) < 4000
    assert peak_bytes(tmp_path / "a.lat", data, what=what) <= ATTACHED + bound(OF, len(data))


def camera_bound(of: Header, size: int, views: list[GroupView]) -> int:
    """Bytes that FORMAT.md allows for a file of one segment that shows this."""
    shown = max(frame.count for view in views for frame in view.frames)
    tokens = max(view.count for view in views)
    box = max(frame.box.area for view in views for frame in view.frames)
    boxes = max(sum(frame.box.area for frame in view.frames) for view in views)
    world = Box.around(view.window for view in views).area
    return (
        IN_ANY_CASE
        + A_BYTE * size
        + shown * (A_POSITION + A_CHANNEL * of.channels)
        + tokens * (A_TOKEN + A_NUMBER * of.channels)
        + box * A_BOX
        + boxes * A_BOX_OF_A_GROUP
        + world * (A_WORLD + A_WORLD_CHANNEL * of.channels)
    )


@pytest.mark.parametrize("path", ["ends", "pan"])
@pytest.mark.parametrize("coding", ["planes", "context", "lossless", "kinds", "prior"])
def test_groups_that_show_the_ends_of_the_largest_world(coding: str, path: str, tmp_path: Path) -> None:
    """Every latent frame shows other positions than those before it, as far from each other as can be, or side by
    side."""
    of = moving(48, 48, 12, coding="lossless" if coding == "lossless" else "int", group_latent_frames=8)
    known = prior(of.channels) if coding in ("kinds", "prior") else None
    of = under(of, known) if known else of

    def ends(frames: int, rng: np.random.Generator) -> np.ndarray:
        corners = 8 * np.array([[0, 0], [80, 80], [0, 80], [80, 0]])
        return corners[np.arange(frames) % 4] + np.arange(frames)[:, None] // 4

    def along(frames: int, rng: np.random.Generator) -> np.ndarray:
        return np.arange(frames)[:, None] * np.array([2, 11])

    made = camera_groups(of, 3, ends if path == "ends" else along)
    made = [replace(group, key=group.index == 0, fill="hold") for group in made[:2]]
    if known:
        made = in_units(of, made)
    data = written(of, made, sound=False, prior=known, coding="zstd" if coding in ("planes", "kinds") else "context")
    found = peak_bytes(tmp_path / "groups.lat", data, of.channels if known else 0)
    most = camera_bound(of, len(data), [group.view for group in made])
    print(f"{coding} {path}: {found >> 20} of {most >> 20} MiB")
    assert max(group.tokens.nbytes for group in made) < found < most
