"""Encoding and decoding one clip at several lengths, sizes and shares of kept tokens, with models that are loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import torch

from latcomp import __version__
from latcomp.bench.speed.once import decode_once, decoder_for, encode_once, seconds_of
from latcomp.codec.encode import Encoder
from latcomp.codec.settings import DEFAULT_QUALITY, EncodeSettings
from latcomp.errors import UsageError
from latcomp.report.stats import stats_dict
from latcomp.video import Frame, open_video

LENGTHS, SIZES, SHARES = (0.25, 0.5, 0.75, 1.0), (0.25, 0.5, 0.75, 1.0), (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the clip's time, of its sides, and of its tokens that are kept."""
Watcher = Callable[[str], None]


@dataclass(frozen=True)
class GrowthSettings:
    """What to measure. Raises `UsageError` for values out of range."""

    quality: float = DEFAULT_QUALITY
    repeats: int = 3
    """Runs of each point; the median counts."""
    camera: str = "auto"
    tokenizer: str | Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        EncodeSettings(quality=self.quality, camera=self.camera)
        if self.repeats < 1:
            raise UsageError(f"{self.repeats} runs: choose 1 or more")


def measure(clip: Path, settings: GrowthSettings, watch: Watcher | None = None) -> dict[str, Any]:
    """Figures of a clip.

    - `version`, `device`, `threads`, `quality`, `camera`, `repeats`, `clip`
    - `points`: of each `by` ('length', 'size', 'kept'), `frames, width, height, keep_ratio`, `encode_seconds` and
      `decode_seconds` (to H.264 in Matroska), each the median of the runs

    Raises what encoding and decoding raise."""
    say = watch or (lambda text: None)

    def encoder(share: float | None) -> Encoder:
        chosen = EncodeSettings(quality=settings.quality, camera=settings.camera, keep=share)
        return Encoder(chosen, settings.tokenizer, settings.device)

    plain = encoder(None)
    with open_video(clip, audio=False) as reader:
        times = [item.pts for item in reader if isinstance(item, Frame)]
        seconds = float((times[-1] - times[0]) * reader.info.time_base)
    points = []
    with tempfile.TemporaryDirectory(prefix="latcomp-growth-") as name:
        folder = Path(name)
        for share in LENGTHS:
            say(f"{share:.0%} of the time")
            duration = None if share == 1 else share * seconds
            points.append({"by": "length", **_point(plain, clip, duration, folder, settings.repeats)})
        for share in SIZES:
            say(f"{share:.0%} of the sides")
            part = clip if share == 1 else _scaled(clip, folder / "part.mkv", share)
            points.append({"by": "size", **_point(plain, part, None, folder, settings.repeats)})
        for share in SHARES:
            say(f"{share:.0%} of the tokens kept")
            points.append({"by": "kept", **_point(encoder(share), clip, None, folder, settings.repeats)})
    return {
        "version": __version__,
        "device": str(plain.device),
        "threads": torch.get_num_threads(),
        "quality": settings.quality,
        "camera": settings.camera,
        "repeats": settings.repeats,
        "clip": clip.stem,
        "points": points,
    }


def _point(encoder: Encoder, clip: Path, duration: float | None, folder: Path, repeats: int) -> dict[str, Any]:
    """One point, after a run of each direction to warm up."""
    lat, out = folder / "part.lat", folder / "out.mkv"
    stats = stats_dict(encode_once(encoder, clip, duration, lat))
    decoder = decoder_for(encoder, lat)
    decode_once(encoder, lat, decoder, out)
    return {
        **{name: stats[name] for name in ("frames", "width", "height", "keep_ratio")},
        "encode_seconds": median(seconds_of(lambda: encode_once(encoder, clip, duration, lat)) for _ in range(repeats)),
        "decode_seconds": median(seconds_of(lambda: decode_once(encoder, lat, decoder, out)) for _ in range(repeats)),
    }


def _scaled(clip: Path, target: Path, share: float) -> Path:
    """A lossless copy of a clip without its sound, its sides scaled to even numbers."""
    import av

    with open_video(clip, audio=False) as reader:
        info = reader.info
    width, height = (max(round(length * share / 2) * 2, 16) for length in (info.width, info.height))
    with av.open(f"file:{clip}") as source, av.open(f"file:{target}", "w") as container:
        rate = info.average_rate or Fraction(25)
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            made = frame.reformat(width, height, "yuv420p")
            made.pts, made.time_base = number, 1 / rate
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    return target
