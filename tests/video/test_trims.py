"""The audible part of the sound: what a codec begins with and what fills up its last packet is heard in no output, as
far as it can say so.

Measured as a player does it, with FFmpeg's decoders, which throw away what a container tells them to.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

import latcomp
from latcomp.container import AudioPacketBytes, audio_flags
from latcomp.video import open_video, trims
from tests.video import make

SOURCES = {"aac": "a.mp4", "libmp3lame": "a.mp4", "libopus": "a.webm", "flac": "a.mkv", "pcm_s16le": "a.mov"}
VIDEO = {
    "a.webm": {
        "codec": "libvpx-vp9",
        "options": {"deadline": "realtime", "cpu-used": "8"},
        "time_base": Fraction(1, 1000),
    }
}
OUTPUTS = {
    "aac": ("mp4", "mov", "mkv", "avi"),
    "libmp3lame": ("mp4", "mov", "mkv", "avi"),
    "libopus": ("mkv", "webm", "mp4"),
    "flac": ("mkv", "mp4", "avi"),
    "pcm_s16le": ("mov", "mkv", "mp4", "avi"),
}
TINY = Path(__file__).parents[1] / "codec" / "golden" / "tokenizer"


def heard(path: Path) -> tuple[float, int]:
    """(seconds from the first frame to the first sound, samples that are heard)."""
    with av.open(str(path)) as container:
        sound = list(container.decode(audio=0))
    with open_video(path, audio=False) as reader:  # avi: its frames at the times that latcomp knows them to have
        first = next(iter(reader)).pts * reader.info.time_base
    return float(sound[0].pts * sound[0].time_base - first), sum(frame.samples for frame in sound)


def made(folder: Path, codec: str) -> Path:
    path = folder / SOURCES[codec]
    if not path.exists():
        make.write(path, make.pictures(25), audio=codec, **VIDEO.get(path.name, {}))
    return path


@pytest.mark.parametrize(("codec", "name"), [(codec, name) for codec, names in OUTPUTS.items() for name in names])
def test_what_is_heard_is_heard_in_every_format(tmp_path: Path, codec: str, name: str) -> None:
    source, path = made(tmp_path, codec), tmp_path / f"out.{name}"
    make.copy(source, path)
    begin, samples = heard(source)
    begin_after, samples_after = heard(path)
    # avi has whole packets only; mp4 says how long the last one is, which FFmpeg does not heed
    packet = {"aac": 1024, "libmp3lame": 1152, "libopus": 960}.get(codec, 1)
    tolerance = packet if name == "avi" or (name == "mp4" and codec == "libopus") else 0
    assert abs(samples_after - samples) <= tolerance
    assert begin_after == pytest.approx(begin, abs=0.0011 + (packet / 48000 if name == "avi" else 0))


def test_the_end_that_is_not_heard_goes_through_a_file(tmp_path: Path) -> None:
    source, lat = made(tmp_path, "libopus"), io.BytesIO()
    latcomp.encode(source, lat, tokenizer=TINY, device="cpu")
    latcomp.decode(io.BytesIO(lat.getvalue()), tmp_path / "b.mkv", tokenizer=TINY, device="cpu")
    assert heard(tmp_path / "b.mkv")[1] == heard(source)[1]
    latcomp.decode(io.BytesIO(lat.getvalue()), tmp_path / "b.mp4", tokenizer=TINY, device="cpu")
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.audio[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(heard(source)[1] / 48000, abs=0.008)


def test_flags_of_packets() -> None:
    for key, unheard in ((True, 0), (False, 904), (True, 2**32 - 1)):
        flags = audio_flags(key, unheard)
        packet = AudioPacketBytes(0, 0, 1, flags, b"")
        assert (packet.is_keyframe, packet.unheard_samples) == (key, unheard)
    assert audio_flags(True) == 1
    assert AudioPacketBytes(0, 0, 1, 2**64 - 1, b"").unheard_samples == 2**32 - 1


def test_side_data_is_made_from_numbers() -> None:
    packets = [av.Packet(b"abc") for _ in range(2)]
    for packet, samples in zip(packets, (904, 7), strict=True):
        trims.set_unheard_at_end(packet, samples)
    assert [trims.unheard_at_end(packet) for packet in packets] == [904, 7]
    assert trims.unheard_at_start(packets[0]) == 0


def setup_of(source: Path) -> Any:
    with open_video(source) as reader:
        return reader.info.audio[0]


def test_the_delay_is_put_into_the_parameters_once(tmp_path: Path) -> None:
    info = setup_of(made(tmp_path, "aac"))
    assert info.setup.count(bytes.fromhex("56AA01")) == 1
    assert trims.with_delay(info.setup, 999, 48000) == info.setup
    assert trims.with_delay(b"RIFF of a wave", 999, 48000) == b"RIFF of a wave"
    for length in range(len(info.setup)):  # whatever the head is, nothing breaks
        trims.with_delay(info.setup[:length].replace(bytes.fromhex("56AA01"), bytes.fromhex("56AB01")), 999, 48000)


def test_a_part_from_the_middle_begins_with_what_is_heard(tmp_path: Path) -> None:
    source = made(tmp_path, "aac")
    with open_video(source, start_seconds=0.4) as reader:
        assert bytes.fromhex("56AA01") not in reader.info.audio[0].setup
