"""What a user gets from each clip: the default setting, the best one, and the cost of quantising against exact latents.

Every row is measured through files: encoded, decoded to a video and read again for the round trip, compared for the
quality."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.codec.decode import decode, decode_frames
from latcomp.codec.encode import encode
from latcomp.metrics.comparison import VideoComparison
from latcomp.video import AudioPacket, Frame, VideoInfo, open_video

EXACT_QUALITY = 9.0  # the quality whose files are set against the exact latents


@dataclass(frozen=True)
class SummaryRow:
    """One clip."""

    clip: str
    frames: int
    bpp: float
    """Default settings, bits per pixel, audio aside."""
    keep_ratio: float
    psnr_y: float
    """Default settings, dB, mean of frames."""
    psnr_rgb: float
    ms_ssim_y: float
    best_psnr_y: float
    """Quality 10, all tokens kept."""
    best_bpp: float
    exact_psnr_y: float
    """Latents as the tokenizer made them, all kept, bit for bit."""
    fine_psnr_y: float
    """Quality 9 with its own threshold."""
    fine_ratio_to_raw: float
    """Raw fp16 latents over the file of quality 9."""
    round_trip: bool
    """Frame count, size, times and audio packets of the decoded video are those of the source."""
    repeats: bool
    """A second encoding gave the same bytes."""
    encode_seconds: float
    decode_seconds: float


def _streams(source: Any) -> tuple[VideoInfo, list[Frame], list[AudioPacket]]:
    """A video's facts, frames and audio packets."""
    frames: list[Frame] = []
    packets: list[AudioPacket] = []
    with open_video(source) as reader:
        for item in reader:
            if isinstance(item, Frame):
                frames.append(item)
            else:
                packets.append(item)
        return reader.info, frames, packets


def _seconds(info: VideoInfo, frames: list[Frame]) -> np.ndarray:
    """Presentation times in seconds, from the first frame's on."""
    times = np.array([float(frame.pts * info.time_base) for frame in frames])
    found: np.ndarray = times - times[0]
    return found


def same_streams(source: Path, decoded: Path) -> bool:
    """True when frame count, size, times (to a tenth of a millisecond) and audio packets of two videos agree."""
    one, frames, packets = _streams(source)
    two, others, copies = _streams(decoded)
    return (
        len(frames) == len(others)
        and (one.width, one.height) == (two.width, two.height)
        and bool(np.allclose(_seconds(one, frames), _seconds(two, others), atol=1e-4))
        and [packet.data for packet in packets] == [packet.data for packet in copies]
    )


class _Clip:
    """One clip: its frames, and the measures of what encodings of it decode to."""

    def __init__(self, path: Path, device: str) -> None:
        self.path, self.device = path, device
        self.info, self.frames, _ = _streams(path)

    def encode(self, **settings: Any) -> tuple[bytes, dict[str, Any], float]:
        """(file, statistics, seconds) at some settings."""
        out = io.BytesIO()
        result = encode(self.path, out, device=self.device, **settings)
        return out.getvalue(), result.stats, result.encode_seconds

    def compare(self, lat: bytes) -> dict[str, Any]:
        """What `latcomp compare` says of a file."""
        comparison = VideoComparison(self.info.color.matrix)
        for reference, test in zip(self.frames, decode_frames(io.BytesIO(lat), device=self.device), strict=True):
            comparison.add(reference.pixels, test.pixels)
        return comparison.result()


def summarise(path: Path, device: str = "auto") -> SummaryRow:
    """The row of one clip."""
    clip = _Clip(path, device)
    lat, stats, encode_seconds = clip.encode()
    again, _, _ = clip.encode()
    with tempfile.TemporaryDirectory(prefix="latcomp-") as folder:
        video = Path(folder) / "decoded.mp4"
        decoded = decode(io.BytesIO(lat), video, device=device)
        round_trip = same_streams(path, video)
    default = clip.compare(lat)
    best, best_stats, _ = clip.encode(quality=10, keep=1.0, audio=False)
    exact, _, _ = clip.encode(lossless=True, keep=1.0, audio=False)
    fine, fine_stats, _ = clip.encode(quality=EXACT_QUALITY, audio=False)
    return SummaryRow(
        clip=path.stem,
        frames=len(clip.frames),
        bpp=stats["bpp"],
        keep_ratio=stats["keep_ratio"],
        psnr_y=default["psnr_y"],
        psnr_rgb=default["psnr_rgb"],
        ms_ssim_y=default["ms_ssim_y"],
        best_psnr_y=clip.compare(best)["psnr_y"],
        best_bpp=best_stats["bpp"],
        exact_psnr_y=clip.compare(exact)["psnr_y"],
        fine_psnr_y=clip.compare(fine)["psnr_y"],
        fine_ratio_to_raw=fine_stats["ratio_to_raw_latents"],
        round_trip=round_trip,
        repeats=hashlib.sha256(lat).digest() == hashlib.sha256(again).digest(),
        encode_seconds=encode_seconds,
        decode_seconds=decoded.decode_seconds,
    )


def bench_summary(clips: Sequence[Path], device: str = "auto") -> dict[str, Any]:
    """`{"rows": [...], "mean": {...}}`: a row a clip, and the mean of every number."""
    rows = [asdict(summarise(clip, device)) for clip in clips]
    mean = {
        name: float(np.mean([row[name] for row in rows])) for name, value in rows[0].items() if isinstance(value, float)
    }
    return {"rows": rows, "mean": mean}
