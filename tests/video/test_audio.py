"""Protects the copying of audio: packets come out byte for byte, at their times, in every container that can hold
them.
"""

import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from latcomp.errors import DamagedFileError, OutputError
from latcomp.video import AudioInfo, ColorTags, VideoInfo, adts, check_output, open_video, open_writer

from . import make

SOURCES = {
    "aac": ("in.mp4", "aac", 48000),
    "opus": ("in.mkv", "libopus", 48000),
    "flac": ("in.mkv", "flac", 44100),
    "mp3": ("in.mp4", "libmp3lame", 44100),
    "ac3": ("in.mkv", "ac3", 48000),
    "pcm_s16le": ("in.mov", "pcm_s16le", 48000),
    "pcm_s16be": ("in.mov", "pcm_s16be", 48000),
    "pcm_s24le": ("in.mkv", "pcm_s24le", 48000),
    "pcm_mulaw": ("in.mov", "pcm_mulaw", 8000),
    "mp2": ("in.mkv", "mp2", 48000),
    "pcm_alaw": ("in.mov", "pcm_alaw", 8000),
    "adpcm_ima_wav": ("in.avi", "adpcm_ima_wav", 44100),
    "aac-mpegts": ("in.ts", "aac", 48000),
    "aac_latm": ("in.latm.ts", "aac", 48000),
}
NAMED_BY_WAV = ("pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "aac_latm")  # Matroska holds them with WAV's description
HOLDS = {
    "mkv": {"aac", "opus", "flac", "mp3", "ac3", "pcm_s16le", "pcm_s16be", "pcm_s24le", *NAMED_BY_WAV},
    "mp4": {"aac", "opus", "flac", "mp3", "ac3", "pcm_s16le", "pcm_s24le"},
    "mov": {"aac", "mp3", "ac3", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_mulaw", "pcm_alaw"},
    "webm": {"opus"},
}


REFUSED = [("mp4", "pcm_mulaw"), ("mov", "opus"), ("mov", "flac"), ("webm", "aac"), ("mov", "adpcm_ima_wav")]


def make_source(folder: Path, kind: str) -> Path:
    name, codec, rate = SOURCES[kind]
    format = "mpegts" if name.endswith(".ts") else None
    options = {"mpegts_flags": "latm"} if kind == "aac_latm" else None
    settings = {"time_base": Fraction(1, 25), "options": {"bf": "0"}} if name.endswith(".avi") else {}
    make.write(
        folder / name,
        make.pictures(50),
        audio=codec,
        audio_rate=rate,
        format=format,
        container_options=options,
        **settings,
    )
    return folder / name


def through_json(info: VideoInfo) -> VideoInfo:
    """What a .lat header does to an info: only its JSON fields go on."""
    return VideoInfo.from_header_fields(json.loads(json.dumps(info.to_header_fields())))


def samples(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


@pytest.mark.parametrize(("target", "kind"), [(t, k) for t, kinds in HOLDS.items() for k in sorted(kinds)])
def test_packets_survive_without_their_file(tmp_path: Path, target: str, kind: str) -> None:
    source, out = make_source(tmp_path, kind), tmp_path / f"out.{target}"
    reader, frames, packets = make.read(source)
    assert check_output(target, None, through_json(reader.info)) == ()
    make.copy(source, out, info=through_json(reader.info))
    after, frames_after, packets_after = make.read(out)
    assert [p.data for p in packets_after] == [p.data for p in packets]
    before_audio, after_audio = reader.info.audio[0], after.info.audio[0]
    assert after_audio.codec == before_audio.codec
    assert after_audio.sample_rate == before_audio.sample_rate
    assert after_audio.channels == 2
    first = packets[0].pts * before_audio.time_base - frames[0].pts * reader.info.time_base
    first_after = packets_after[0].pts * after_audio.time_base - frames_after[0].pts * after.info.time_base
    assert abs(first - first_after) <= Fraction(1, 500)  # sound and picture stay together
    assert abs(samples(out) - samples(source)) <= 2048  # it can be decoded, to its end


@pytest.mark.parametrize("piped", [False, True])
def test_tracks_with_wavs_description_stand_beside_others(tmp_path: Path, piped: bool) -> None:
    """The name that Matroska's writer is given for them is that of a real codec, whose own tracks keep it."""
    kinds = ["mp2", "pcm_alaw", "mp2", "adpcm_ima_wav"]
    read = [make.read(make_source(tmp_path, kind)) for kind in kinds]
    info = replace(read[0][0].info, audio=tuple(reader.info.audio[0] for reader, _, _ in read))
    path, sink = tmp_path / "out.mkv", io.BytesIO()
    if piped:
        sink.seekable = lambda: False  # type: ignore[method-assign]
    with open_writer(sink if piped else path, through_json(info)) as writer:
        for frame in read[0][1]:
            writer.write_frame(frame.pixels, frame.pts)
        for number, (_, _, packets) in enumerate(read):
            for packet in packets:
                writer.write_audio(replace(packet, stream=number))
    if piped:
        path.write_bytes(sink.getvalue())
    after, _, packets_after = make.read(path)
    assert [stream.codec for stream in after.info.audio] == kinds
    for number, (_, _, packets) in enumerate(read):
        assert b"".join(p.data for p in packets_after if p.stream == number) == b"".join(p.data for p in packets)
    with av.open(str(path)) as container:  # they can be decoded
        assert all(next(iter(container.decode(stream))).samples for stream in container.streams.audio)


RARE = [("pcm_alaw", "mkv, mov and avi"), ("aac_latm", "mkv"), ("aac", None), ("aac-mpegts", None)]


@pytest.mark.parametrize(("kind", "formats"), RARE)
def test_few_formats_are_named_when_the_video_is_read(tmp_path: Path, kind: str, formats: str | None) -> None:
    """Who encodes learns then, and not from a refusal later, that an mp4 will not hold the sound."""
    notes = make.read(make_source(tmp_path, kind))[0].notes
    assert [note for note in notes if "audio" in note] == (
        [] if formats is None else [f"the {kind} audio is kept; only {formats} can hold it when it is decoded"]
    )


def test_audio_that_no_format_holds_is_left_out_with_a_note(tmp_path: Path) -> None:
    """A .lat of another build of FFmpeg may have such audio: its frames and the rest of its audio still come out."""
    reader, frames, packets = make.read(make_source(tmp_path, "aac"))
    known = reader.info.audio[0]
    info = replace(reader.info, audio=(replace(known, codec="of tomorrow"), known))
    with open_writer(tmp_path / "out.mp4", through_json(info)) as writer:
        for frame in frames:
            writer.write_frame(frame.pixels, frame.pts)
        for packet in packets:
            writer.write_audio(packet)
            writer.write_audio(replace(packet, stream=1))
    assert writer.notes == ["the of tomorrow audio is left out: no format can hold it"]
    after, _, packets_after = make.read(tmp_path / "out.mp4")
    assert len(after.info.audio) == 1
    assert [p.data for p in packets_after] == [p.data for p in packets]


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "avi", "pipe.mkv"])
def test_adts_audio_of_a_transport_stream_becomes_playable(tmp_path: Path, name: str) -> None:
    """Its packets begin with the codec's parameters, which other containers want once and before them."""
    source, path = make_source(tmp_path, "aac-mpegts"), tmp_path / f"out.{name}"
    sink = io.BytesIO()
    sink.seekable = lambda: False  # type: ignore[method-assign]
    make.copy(source, sink if name.startswith("pipe") else path, info=through_json(make.read(source)[0].info))
    if name.startswith("pipe"):
        path.write_bytes(sink.getvalue())
    assert abs(samples(path) - samples(source)) <= 2048
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1
        assert container.streams.audio[0].codec_context.extradata[:2] == bytes.fromhex("1190")  # AAC-LC, 48 kHz, stereo


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_the_parameters_in_adts_are_those_the_encoder_gives(tmp_path: Path, rate: int, layout: str) -> None:
    path = tmp_path / "a.aac"
    with av.open(str(path), "w", format="adts") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        frame = av.AudioFrame(format="fltp", layout=layout, samples=4096)
        frame.sample_rate, frame.pts = rate, 0
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        expected = bytes(stream.codec_context.extradata)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux() if packet.size]
    assert {adts.parameters(packet) for packet in packets} == {expected[:2]}
    assert all(len(packet) - len(adts.without_head(packet)) == 7 for packet in packets)
    assert adts.parameters(packets[0][7:] or b"") is None
    assert adts.without_head(packets[0][:-1]) == packets[0][:-1]  # no whole frame: not ours to cut


@pytest.mark.parametrize(("target", "kind"), REFUSED)
def test_audio_that_a_format_cannot_hold_is_told_before_the_work(tmp_path: Path, target: str, kind: str) -> None:
    info = through_json(make.read(make_source(tmp_path, kind))[0].info)
    with pytest.raises(OutputError, match=f"{target} cannot hold the {kind} audio") as caught:
        check_output(target, None, info)
    assert "\n" not in str(caught.value)
    assert check_output(target, None, info, audio=False) == ()


def test_y4m_leaves_audio_out_and_says_so(tmp_path: Path) -> None:
    source = make_source(tmp_path, "aac")
    writer = make.copy(source, tmp_path / "out.y4m")
    assert len(writer.notes) == 1
    assert "audio" in writer.notes[0]
    assert make.read(tmp_path / "out.y4m")[0].info.audio == ()


def test_audio_can_be_left_out_on_both_sides(tmp_path: Path) -> None:
    source = make_source(tmp_path, "aac")
    reader, _, packets = make.read(source, audio=False)
    assert (reader.info.audio, packets) == ((), [])
    make.copy(source, tmp_path / "out.mp4", audio=False)
    assert make.read(tmp_path / "out.mp4")[0].info.audio == ()


def test_two_streams_and_a_language(tmp_path: Path) -> None:
    source = tmp_path / "two.mkv"
    with av.open(str(make_source(tmp_path, "aac"))) as one, av.open(str(source), "w") as two:
        stream = one.streams.audio[0]
        video = two.add_stream_from_template(one.streams.video[0])
        copies = [two.add_stream_from_template(stream) for _ in range(2)]
        copies[1].metadata["language"] = "deu"
        for packet in one.demux():
            if packet.size == 0:
                continue
            for copy in [video] if packet.stream.type == "video" else copies:
                again = av.Packet(bytes(packet))
                again.pts, again.dts, again.duration = packet.pts, packet.dts, packet.duration
                again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, copy
                two.mux(again)
    reader, _, packets = make.read(source)
    make.copy(source, tmp_path / "out.mp4", info=through_json(reader.info))
    after, _, packets_after = make.read(tmp_path / "out.mp4")
    assert [a.language for a in after.info.audio] == [None, "deu"]
    for index in (0, 1):
        assert [p.data for p in packets_after if p.stream == index] == [p.data for p in packets if p.stream == index]


def test_the_description_is_the_same_every_time(tmp_path: Path) -> None:
    source = make_source(tmp_path, "opus")
    assert make.read(source)[0].info.audio == make.read(source)[0].info.audio
    assert len(make.read(source)[0].info.audio[0].setup) < 1000


@pytest.mark.parametrize("setup", [b"", b"rubbish" * 20, b"\x1aE\xdf\xa3" + b"\0" * 50, b"#EXTM3U\nother.mp4\n"])
def test_a_damaged_description_is_a_damaged_file(setup: bytes) -> None:
    audio = AudioInfo("aac", 48000, 2, "stereo", Fraction(1, 48000), None, setup)
    info = VideoInfo(64, 48, Fraction(1, 25), Fraction(25), Fraction(1), 0, ColorTags(), (audio,))
    with pytest.raises(DamagedFileError, match="audio"):
        check_output("mp4", None, info)


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    from latcomp.errors import NotAVideoError

    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        sound.codec_context.layout = "stereo"
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 16, 16, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.start_encoding()
        picture = av.VideoFrame.from_ndarray(make.flat((9, 9, 9), 16, 16), format="rgb24").reformat(format="yuvj420p")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        make._write_tone(container, sound, 0.3, 44100)
    with pytest.raises(NotAVideoError, match="only audio"):
        open_video(path)
