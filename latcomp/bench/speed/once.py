"""One encoding and one decoding with models that are loaded, from file to file, and the time that one takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latcomp.codec.decode import priors_on, write_stream
from latcomp.codec.decode_stream import DecodeStream
from latcomp.codec.decoder import Decoder
from latcomp.codec.encode import Encoder
from latcomp.container import FileSummary, Limits, Reader
from latcomp.devices import memory_errors
from latcomp.latents.time_window import TimeWindow
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.stages import stage
from latcomp.video import VideoInfo, open_video, open_writer


def seconds_of(once: Callable[[], Any]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    once()
    return time.perf_counter() - began


def encode_once(encoder: Encoder, clip: Path, duration: float | None, lat: Path) -> FileSummary:
    """Encode a clip, or its first seconds, into `lat`."""
    opened = open_video(clip, duration_seconds=duration, max_pixels=DEFAULT_MAX_PIXELS, deinterlace=None)
    with opened as reader, lat.open("wb") as file, memory_errors(encoder.device):
        return encoder.run(reader, file)


def decoder_for(encoder: Encoder, lat: Path) -> Decoder:
    """A decoder with the models of a file that `encoder` wrote."""
    with lat.open("rb") as file, memory_errors(encoder.device):
        return Decoder(Reader(file).header, str(encoder.device), tokenizer=encoder.folder)


def decode_once(encoder: Encoder, lat: Path, decoder: Decoder, out: Path) -> None:
    """Decode `lat` into a video as `latcomp decode` does."""
    with lat.open("rb") as file:
        reader = Reader(file, Limits(max_pixels=DEFAULT_MAX_PIXELS), priors_on(str(encoder.device), encoder.folder))
        with stage("writing"):
            writer = open_writer(out, VideoInfo.from_header_fields(reader.header.video_fields()))
        with writer:
            write_stream(DecodeStream(reader, decoder, TimeWindow.of(None, None), reads_ahead=True), writer)
            with stage("writing"):
                writer.close()
