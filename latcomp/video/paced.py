"""Audio in avi, which counts packets: FFmpeg must know how long one is before there is any, and learns it only from the
codec's own stream.

So the stream is described by a few packets of silence in the codec's own format.
"""

import functools
import io
from fractions import Fraction
from typing import cast

import av
from av.audio.stream import AudioStream

_PACED, _OWN_FORMAT = "aac", "adts"  # the others that avi holds have packets of a length that FFmpeg knows
_VARYING = ("vorbis", "eac3")  # the second only as FFmpeg reckons it
_SBR = (5, 29)  # object types of AAC whose packets last twice as long as the sample rate of their core says
_PACKETS, _SAMPLES = 6, 1024


def varies(codec: str) -> bool:
    """Tell whether counting packets of this codec tells no time."""
    return codec in _VARYING


def is_needed(codec: str) -> bool:
    """Tell whether FFmpeg needs to be told how long packets of this codec last."""
    return codec == _PACED


@functools.lru_cache(maxsize=16)
def silence(rate: int, layout: str, extradata: bytes) -> bytes | None:
    """Return some silence of these parameters as ADTS; None where there is no encoder for them."""
    if extradata and extradata[0] >> 3 in _SBR:
        rate //= 2
    sink = io.BytesIO()
    try:
        with av.open(sink, "w", format=_OWN_FORMAT) as container:
            stream = cast(AudioStream, container.add_stream(_PACED, rate=rate, layout=layout))
            for number in range(_PACKETS):
                frame = av.AudioFrame(format=stream.codec_context.format.name, layout=layout, samples=_SAMPLES)
                frame.sample_rate, frame.pts, frame.time_base = rate, number * _SAMPLES, Fraction(1, rate)
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (ValueError, av.FFmpegError):
        return None
    return sink.getvalue()
