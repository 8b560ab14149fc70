"""Protects: a tokenizer whose first latent frame is unlike the others goes through the codec as ours does: every frame
comes back in its place, and each segment is a stream of its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp import models
from latcomp.codec import pieces as pieces_module
from latcomp.codec.decode import decode_frames
from latcomp.codec.decode_stream import DecodeStream
from latcomp.codec.decoder import Decoder
from latcomp.codec.encode import encode
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.codec.lat_file import LatFile
from latcomp.container import Reader, check
from latcomp.latents.time_window import TimeWindow
from latcomp.tokenizer.pixels import padded, to_pixels
from latcomp.video import Frame
from tests.tokenizer import made_up
from tests.tokenizer.made_up import Habits
from tests.video.make import write

SIDE = 32
CPU = torch.device("cpu")
HABITS = {
    "1 + 4k": Habits(),
    "1 + 4k with a transient": Habits(transient=True),
    "2 + 6k, 16x": Habits(spatial=16, temporal=6, first_frames=2, low=-1.0),
    "4k": Habits(first_frames=4),
    "1 + 4k, a group at a time": Habits(streams=False),
}


def pictures(count: int, cuts: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Frames (32, 32, 3) of flat squares of 16 pixels, whose brightness creeps; a new scene at each cut."""
    found = []
    for index in range(count):
        scene = sum(cut <= index for cut in cuts)
        squares = np.random.default_rng(scene).integers(20, 200, (2, 2, 3))
        found.append(np.kron(squares + abs(index % 48 - 24), np.ones((16, 16, 1))).astype(np.uint8))
    return found


@pytest.fixture(scope="module", params=HABITS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with made_up.known():
        yield made_up.write_made_up(tmp_path_factory.mktemp("made-up"), HABITS[request.param])


def streamed(folder: Path, frames: list[np.ndarray], segment_groups: int = 2) -> list[EncodedGroup]:
    """The groups of two latent frames that the encoder makes."""
    if not models.spec_of(folder).exact_streaming:
        segment_groups = 1
    stream = LatentStream(models.load_tokenizer(folder), CPU, 2, segment_groups, profile=made_up.PROFILE)
    items = stream.run(Frame(pixels, index) for index, pixels in enumerate(frames))
    return [item for item in items if isinstance(item, EncodedGroup)]


@pytest.mark.parametrize("pixels", [1, 6 * SIDE * SIDE, 2**22])
@pytest.mark.parametrize("count", [1, 2, 5, 26, 41])
def test_each_segment_is_what_its_frames_alone_give(
    folder: Path, count: int, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many frames go through the network at once, and whatever was encoded before the segment was found."""
    monkeypatch.setattr(pieces_module, "PIECE_PIXELS", pixels)
    tokenizer = models.load_tokenizer(folder)
    frames = pictures(count, cuts=(14,))
    found = streamed(folder, frames)
    assert [time for group in found for time in group.pts] == list(range(count))
    starts = [group.first_frame for group in found if group.key]
    if not tokenizer.spec.restarts:
        return
    for start, end in zip(starts, [*starts[1:], count], strict=True):
        alone, _ = tokenizer.encode(to_pixels(padded(frames[start:end], tokenizer.spec, CPU), tokenizer.spec))
        latents = [group.latents for group in found if start <= group.first_frame < end]
        np.testing.assert_allclose(np.concatenate(latents, axis=1), alone[0].numpy(), atol=1e-4)
        rule = tokenizer.spec.rule
        assert len(np.concatenate(latents, axis=1)[0]) == rule.latent_frames(end - start) <= 4


def test_a_scene_begins_a_segment(folder: Path) -> None:
    """With the latent frame in which it starts, or the next where most of that one is of the scene before."""
    spec = models.spec_of(folder)
    starts = [group.first_frame for group in streamed(folder, pictures(40, (14,)), 9) if group.key and group.index]
    (second,) = (start for start in starts if 14 <= start <= 14 + spec.temporal)
    if spec.exact_streaming:
        assert starts == [second] and second in {spec.frames(steps) for steps in range(9)}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 frames at 25 a second, a cut at 40."""
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    write(path, pictures(75, cuts=(40,)))
    return path


@pytest.fixture(scope="module")
def lat(folder: Path, video: Path) -> bytes:
    out = io.BytesIO()
    encode(video, out, tokenizer=folder, quality=8, device="cpu", audio=False)
    return out.getvalue()


def decoded(lat: bytes, folder: Path, **settings: float) -> np.ndarray:
    frames = decode_frames(io.BytesIO(lat), device="cpu", tokenizer=folder, **settings)
    return np.stack([frame.pixels for frame in frames]).astype(int)


def test_every_frame_comes_back(lat: bytes, folder: Path) -> None:
    spec = models.spec_of(folder)
    with LatFile(io.BytesIO(lat), tokenizer=folder, device="cpu") as file:
        header, found = file.header, list(file)
        assert file.latents().shape[2] == len(file.mask) == sum(len(group.mask) for group in found)
    assert header.requires == (("first_frames",) if spec.first_frames != spec.temporal else ())
    assert check(io.BytesIO(lat), faults_of=lambda header: models.faults_of(header, folder)) == []
    starts = [group.first_frame for group in found if group.key]
    assert len(starts) == (2 if spec.exact_streaming else len(found))
    assert sum(len(group.pts) for group in found) == 75
    frames, truth = decoded(lat, folder), np.stack(pictures(75, cuts=(40,))).astype(int)
    # the made-up latents hold the mean of some frames and the last of them: between them the brightness creeps
    inside = np.abs(frames - truth)[[i for i in range(75) if abs(i - 40) > spec.temporal]]
    assert inside.mean() < 4 and inside.max() <= 16


@pytest.mark.parametrize("first", [1, 17, 38, 45, 74])
def test_a_window_is_the_window_of_the_whole(lat: bytes, folder: Path, first: int) -> None:
    whole = decoded(lat, folder)
    part = decoded(lat, folder, start_seconds=first / 25, duration_seconds=10 / 25)
    assert np.array_equal(part, whole[first : first + 10])
    spec = models.spec_of(folder)
    with LatFile(io.BytesIO(lat), tokenizer=folder, device="cpu") as file:
        groups = list(file)
        here = file.latents(first / 25, 1 / 25)
        everything = file.latents()
    at = steps = 0
    for group in groups:
        for count in file.header.rule_of(group.key).counts(len(group.pts)):
            if at <= first < at + count:
                assert torch.equal(here[:, :, 0], everything[:, :, steps])
            at, steps = at + count, steps + 1
    assert here.shape[1:3] == (spec.channels, 1)


def test_what_was_lost_is_held(lat: bytes, folder: Path) -> None:
    """Damage in the last group: its frames are the last good one, after groups that were skipped or decoded."""
    with LatFile(io.BytesIO(lat), tokenizer=folder) as file:
        last = list(file)[-1]
    at = lat.rindex(b"GRUP") + 50
    data = lat[:at] + bytes([lat[at] ^ 1]) + lat[at + 1 :]
    whole = decoded(lat, folder)
    held = whole[last.first_frame - 1]
    for start in (0, last.first_frame):
        reader = Reader(io.BytesIO(data))
        stream = DecodeStream(
            reader, Decoder(reader.header, "cpu", tokenizer=folder), TimeWindow.of(Fraction(start, 25), None)
        )
        frames = [item.pixels for item in stream if isinstance(item, Frame)]
        assert reader.damage and len(frames) == 75 - start
        for pixels in frames[last.first_frame - start :]:
            assert np.array_equal(pixels, held) or (start and last.key and (pixels == 128).all())  # nothing before it
