"""Audio streams without their file: a stream's parameters as bytes, and the stream rebuilt from them in another
container.

PyAV can copy the parameters of an audio stream only from another stream, so the bytes are the smallest container that
has one: a Matroska header (WAV for what Matroska has no name for) with this stream alone and no packets, some 450
bytes."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, BinaryIO, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer

from latcomp.errors import DamagedFileError
from latcomp.video import acm, adts, ebml, paced, trims
from latcomp.video.info import AudioInfo, AudioPacket
from latcomp.video.streams import time_base_of

# A cluster of unknown size at time 0: FFmpeg's demuxer reads on until it has seen one.
_EMPTY_CLUSTER = bytes.fromhex("1F43B67501FFFFFFFFFFFFFFE78100")
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_HOLDERS = {
    "mkv": "matroska",
    "mov": "mov",
    "avi": "avi",
}  # formats that hold what another one does not, and FFmpeg's names of them
_BITEXACT = 0x0400  # AVFMT_FLAG_BITEXACT: no random ids, so that equal input gives an equal file


class AudioNotPortableError(Exception):
    """No container at hand can describe this audio stream; its message says which codec it is."""


def describe(stream: AudioStream, first_packet: bytes = b"", delay_samples: int = 0) -> AudioInfo:
    """Return what is needed to write `stream` again elsewhere; AudioNotPortableError when nothing can hold it.

    `first_packet` is needed where the stream has no parameters of its own because each packet begins with them (ADTS).
    `delay_samples` come before the first that is heard.
    """
    context = stream.codec_context
    if context is None:
        raise AudioNotPortableError("an audio stream of an unknown codec")
    info = AudioInfo(
        codec=_codec_name(stream),
        sample_rate=context.sample_rate,
        channels=context.layout.nb_channels,
        layout=context.layout.name,
        time_base=time_base_of(stream),
        language=stream.language if stream.language not in (None, "und") else None,
        setup=trims.with_delay(
            _setup(stream, adts.parameters(first_packet) if _codec_name(stream) == "aac" else None),
            delay_samples,
            context.sample_rate,
        ),
    )
    if not is_portable(info):
        raise AudioNotPortableError(f"{info.codec} audio")
    return info


def add_stream(container: OutputContainer, info: AudioInfo) -> AudioStream:
    """Return a new stream of `container` with the parameters of `info`, for packets to be muxed unchanged.

    Raises ValueError when the format does not know the codec (some formats say so only when their header is written),
    DamagedFileError when the parameters cannot be read.
    """
    if container.format.name == "avi" and paced.varies(info.codec):
        raise ValueError(f"packets of {info.codec} last differently long, and avi only counts them")
    setup = acm.stand_in(info.setup) if needs_stand_in(info, container.format.name) else info.setup
    with _open_setup(setup) as template_file:
        template = template_file.streams.audio[0]
        stream = _paced_stream(container, template, info) or container.add_stream_from_template(template)
    layout = _named_layout(info)
    if layout is not None and layout != stream.codec_context.layout.name:
        with contextlib.suppress(ValueError):  # an unusual one has a name that only describes it
            stream.codec_context.layout = layout  # the setup of PCM holds only the count
    stream.time_base = info.time_base
    if info.language is not None:
        stream.metadata["language"] = info.language
    return stream


def _paced_stream(container: OutputContainer, template: AudioStream, info: AudioInfo) -> AudioStream | None:
    """Return a new stream of an avi whose packets have their length; None where the parameters alone tell it."""
    if container.format.name != "avi" or not paced.is_needed(info.codec):
        return None
    extradata = bytes(template.codec_context.extradata or b"")
    silence = paced.silence(info.sample_rate, _named_layout(info) or info.layout, extradata)
    if silence is None:
        return None
    with av.open(io.BytesIO(silence), "r") as file:
        stream = container.add_stream_from_template(file.streams.audio[0])
    if extradata:
        stream.codec_context.extradata = extradata
    return stream


def needs_stand_in(info: AudioInfo, muxer: str) -> bool:
    """Tell whether a stream is written under the name of another codec, which `acm.NamedTarget` puts right."""
    return muxer == "matroska" and acm.is_wave(info.setup)


def named_target(file: BinaryIO, streams: Sequence[AudioInfo], muxer: str) -> acm.NamedTarget | None:
    """Return what a file with these streams must be written through; None where none of them needs a stand-in."""
    stand_ins = [needs_stand_in(info, muxer) for info in streams]
    if not any(stand_ins):
        return None
    return acm.NamedTarget(
        file, [by for by, info in zip(stand_ins, streams, strict=True) if by or info.codec == acm.STAND_IN_CODEC]
    )


def is_portable(info: AudioInfo) -> bool:
    """Tell whether any format can hold a stream. DamagedFileError as for `add_stream`."""
    return any(_comes_back(info, muxer) for muxer in _HOLDERS.values())


def is_rare(info: AudioInfo) -> bool:
    """Tell whether a stream is one that Matroska has no name of its own for: mp4 and webm hold none of these."""
    return acm.is_wave(info.setup)


def formats_for(streams: Sequence[AudioInfo]) -> list[str]:
    """Return the names of formats that can hold all of these streams, the one that takes most first."""
    return [name for name, muxer in _HOLDERS.items() if all(_comes_back(info, muxer) for info in streams)]


@functools.lru_cache(maxsize=256)
def _comes_back(info: AudioInfo, muxer: str) -> bool:
    """Tell whether what is written to a format is read from it as the same codec."""
    sink = io.BytesIO()
    target = named_target(sink, [info], muxer)
    try:
        container = av.open(cast(Any, target or sink), "w", format=muxer)
        with contextlib.closing(container):
            stream = add_stream(container, info)
            container.start_encoding()
            head = sink.getvalue() + (_EMPTY_CLUSTER if muxer == "matroska" else b"")
        if muxer != "matroska":  # its head alone is no file yet
            return _codec_name(stream) == info.codec
        with av.open(io.BytesIO(head), "r", format=muxer) as check:
            return [_codec_name(stream) for stream in check.streams.audio] == [info.codec]
    except (ValueError, av.FFmpegError):
        return False


def to_av_packet(
    packet: AudioPacket,
    info: AudioInfo,
    stream: AudioStream,
    earlier_seconds: Fraction | int = 0,
    *,
    counts_unheard: bool = True,
) -> av.Packet[Any]:
    """Return `packet` as a PyAV packet of `stream`, its times less `earlier_seconds`.

    counts_unheard: whether the container says how many samples at its end are not to be heard; else the packet ends
    before them."""
    units = round(earlier_seconds / info.time_base)
    pts = None if packet.pts is None else packet.pts - units
    copy = av.Packet(adts.without_head(packet.data) if info.codec == "aac" else packet.data)
    copy.stream = stream
    copy.time_base = info.time_base
    copy.pts = pts
    copy.dts = pts if packet.dts is None else packet.dts - units
    copy.duration = packet.duration
    copy.is_keyframe = packet.is_keyframe
    if packet.unheard_samples and counts_unheard:
        trims.set_unheard_at_end(copy, packet.unheard_samples)
    elif packet.unheard_samples and info.sample_rate > 0:
        copy.duration = max(1, packet.duration - round(packet.unheard_samples / info.sample_rate / info.time_base))
    return copy


def _named_layout(info: AudioInfo) -> str | None:
    """Return the layout to write. A bare count of channels (`2 channels`), which mp4 refuses for PCM, gets its usual
    name.
    """
    return _USUAL_LAYOUTS.get(info.channels) if info.layout.endswith("channels") else info.layout


def _codec_name(stream: AudioStream) -> str:
    """Return the codec's own name; the decoder's may differ (`mp3float` decodes `mp3`)."""
    return str(stream.codec_context.codec.canonical_name)


def _setup(stream: AudioStream, parameters: bytes | None) -> bytes:
    for format_name, tail in (("matroska", _EMPTY_CLUSTER), ("wav", b"")):
        sink = io.BytesIO()
        try:
            container = av.open(sink, "w", format=format_name)
            container.flags |= _BITEXACT
            copy = container.add_stream_from_template(stream)
            if parameters is not None and not copy.codec_context.extradata:
                copy.codec_context.extradata = parameters
            container.start_encoding()
            setup = sink.getvalue() + tail  # before close(), which would append a trailer
            container.close()
            with _open_setup(setup) as check:
                if _codec_name(check.streams.audio[0]) == _codec_name(stream):
                    return setup
        except (ValueError, av.FFmpegError, DamagedFileError):
            continue
    raise AudioNotPortableError(f"{_codec_name(stream)} audio")


def _open_setup(setup: bytes) -> InputContainer:
    # The bytes may come from a stranger's file: only these two formats are tried on them.
    format_name = "matroska" if setup.startswith(ebml.MAGIC) else "wav"
    try:
        container = av.open(io.BytesIO(setup), "r", format=format_name)
    except (av.FFmpegError, ValueError) as error:
        raise DamagedFileError(f"the parameters of an audio stream cannot be read: {error}") from error
    if not container.streams.audio or container.streams.audio[0].codec_context is None:
        container.close()
        raise DamagedFileError("the parameters of an audio stream describe no audio")
    return container
