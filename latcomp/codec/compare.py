"""How close a video or .lat file comes to its original, measured frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from latcomp.checks import check_word
from latcomp.codec.arguments import checks_arguments
from latcomp.codec.decode import decode_frames
from latcomp.codec.progress import Progress, ProgressCallback
from latcomp.container import MAGIC, Limits, scan
from latcomp.errors import DamagedFileError, NotAVideoError, UsageError
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.metrics.choice import DEFAULT_METRICS, DEFAULT_ST_LPIPS_FRAMES, metrics_of
from latcomp.metrics.comparison import VideoComparison
from latcomp.metrics.meter import check_at_hand
from latcomp.output import is_stream, output_target
from latcomp.report.compare_video import DEFAULT_AMPLIFY, MODES, ComparisonVideo
from latcomp.sources import open_seekable, source_name
from latcomp.suffixes import LAT
from latcomp.video import Frame, VideoInfo, format_of_path, open_video
from latcomp.video.coded_bytes import coded_bytes


@dataclass(frozen=True)
class Comparison:
    """The distance of two videos: means over frames, PSNR in dB with peak 255; None for what was not asked for."""

    frames: int
    psnr_rgb: float | None
    """Mean of the frames' PSNR; equal frames count as 100 dB."""
    psnr_y: float | None
    ssim_y: float | None
    ms_ssim_y: float | None
    bpp: float | None
    """Bits per pixel of what was measured: a .lat file without its audio, a video's coded pictures."""
    psnr_rgb_pooled: float | None
    """PSNR of the mean squared error over all frames."""
    psnr_y_pooled: float | None
    vmaf: float | None
    """VMAF v0.6.1, 0 to 100, the mean of the frames'."""
    xpsnr: float | None
    """XPSNR of luma in dB as FFmpeg gives it for a whole video: of the mean root error, at most 100."""
    st_lpips: float | None
    """ST-LPIPS with AlexNet, 0 for equal pictures: the mean of the frames it was measured on."""
    per_frame: dict[str, list[float | None]]
    """psnr_rgb, psnr_y, ssim_y, ms_ssim_y, vmaf, xpsnr and st_lpips of every frame, as far as they were asked for; None
    for a frame that ST-LPIPS was not measured on.
    """
    seconds: tuple[float, ...]
    """Time of every frame in the reference."""
    notes: tuple[str, ...] = ()
    """What the video that shows both does not keep, one line each."""
    shown_size: tuple[int, int] | None = None
    """(width, height) of that video; None when none was asked for."""

    def to_json(self) -> dict[str, Any]:
        """The object of `latcomp compare --json`."""
        names = [field.name for field in fields(self) if field.name not in ("seconds", "notes", "shown_size")]
        return {name: getattr(self, name) for name in names}


@checks_arguments
def compare(
    reference: str | Path | BinaryIO,
    test: str | Path | BinaryIO,
    *,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    st_lpips_frames: int = DEFAULT_ST_LPIPS_FRAMES,
    fill: str = "auto",
    device: str = "auto",
    tokenizer: str | Path | None = None,
    deinterlace: bool = False,
    video_track: int | None = None,
    keep_going: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    video: str | Path | BinaryIO | None = None,
    mode: str = "side",
    amplify: float = DEFAULT_AMPLIFY,
    force: bool = False,
    progress: ProgressCallback | None = None,
) -> Comparison:
    """Measure a video or .lat file against the video it was made of.

    reference: a video; test: a video or a .lat file, told apart by their first bytes. metrics: what to measure, names
    or a text with commas: psnr, ssim, ms-ssim, vmaf, xpsnr, st-lpips; the last three may need `latcomp[metrics]`.
    st_lpips_frames: on how many frames, spread evenly, st-lpips is measured, 0 for all. fill, device, tokenizer,
    limits: how a .lat file is decoded, as for `decode`; device: where ST-LPIPS runs, too. deinterlace, video_track,
    keep_going: how the reference is read, as for `encode`. max_pixels: largest frame of either to accept. video: where
    to write a video that shows both, an existing file only with `force`; mode: 'side', both side by side, or
    'difference', test less reference around mid grey, times `amplify`.

    Raises `UsageError` naming both when frame counts or sizes differ, and where a metric is unknown or what it needs is
    not there, `NotAVideoError` for what cannot be read,
    `DamagedFileError` for a damaged .lat file, and what `encode` and `decode` raise of their inputs."""
    check_word("mode", mode, MODES)
    chosen = metrics_of(metrics)
    check_at_hand(chosen)
    limits = limits or Limits(max_pixels=max_pixels)
    with ExitStack() as stack:
        file = stack.enter_context(_opened(test))
        if _is_lat(file, test):
            summary = scan(file, limits)
            size = summary.bytes_total - summary.bytes_audio
            file.seek(0)
            frames = decode_frames(file, limits=limits, fill=fill, device=device, tokenizer=tokenizer)
        else:
            size = coded_bytes(file, source_name(test))
            file.seek(0)
            frames = _frames_of(file, max_pixels)
        reader = stack.enter_context(
            open_video(
                reference,
                audio=False,
                max_pixels=max_pixels,
                deinterlace=deinterlace,
                video_track=video_track,
                keep_going=keep_going,
            )
        )
        info, seconds = reader.info, []
        comparison = stack.enter_context(
            VideoComparison(
                info.color.matrix,
                metrics=chosen,
                rate=info.average_rate,
                st_lpips_frames=st_lpips_frames,
                device=device,
            )
        )
        shown = None if video is None else _open_shown(video, info, mode, amplify, force, stack)
        originals = (item for item in reader if isinstance(item, Frame))
        for wanted, found in _pairs(originals, frames):
            comparison.add(wanted.pixels, found.pixels)
            seconds.append(float(wanted.pts * info.time_base))
            if shown is not None:
                shown.add(wanted, found)
            if progress is not None:
                progress(Progress(comparison.frames, info.frames_estimate, 0, 0))
        figures = comparison.result(size)
    if shown is None:
        return Comparison(**figures, seconds=tuple(seconds))
    return Comparison(
        **figures, seconds=tuple(seconds), notes=tuple(shown.notes), shown_size=(shown.info.width, shown.info.height)
    )


def _opened(test: str | Path | BinaryIO) -> Any:
    """The bytes of the test, which go back; a path that is no file, and no .lat by name, is reported as a video."""
    if isinstance(test, str | Path):
        path = Path(test)
        if path.suffix.lower() != LAT and not path.is_file() and not is_stream(path):
            raise NotAVideoError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    return open_seekable(test)


def _is_lat(file: BinaryIO, source: str | Path | BinaryIO) -> bool:
    """Whether a file begins as a .lat file; its place stays. Raises `DamagedFileError` for one by name alone."""
    start = file.read(len(MAGIC))
    file.seek(0)
    if start != MAGIC and isinstance(source, str | Path) and Path(source).suffix.lower() == LAT:
        raise DamagedFileError(f"{source} is not a .lat file: it does not begin like one")
    return start == MAGIC


def _frames_of(file: BinaryIO, max_pixels: int) -> Iterator[Frame]:
    """The frames of a video, its audio left out."""
    with open_video(file, audio=False, max_pixels=max_pixels) as reader:
        for item in reader:
            if isinstance(item, Frame):
                yield item


def _pairs(reference: Iterator[Frame], test: Iterator[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """Frames of both, one by one. Raises `UsageError` naming both where sizes differ, and at the end for the counts."""
    counts = [0, 0]
    for wanted, found in zip_longest(reference, test):
        counts[0] += wanted is not None
        counts[1] += found is not None
        if wanted is None or found is None:
            continue  # one of them is longer: go on to its end, so that the message can say by how much
        if wanted.pixels.shape != found.pixels.shape:
            raise UsageError(f"the reference is {_size(wanted)} and the test {_size(found)}: they cannot be compared")
        yield wanted, found
    if counts[0] != counts[1]:
        raise UsageError(f"the reference has {counts[0]} frames and the test {counts[1]}: they cannot be compared")


def _size(frame: Frame) -> str:
    height, width = frame.pixels.shape[:2]
    return f"{width}x{height}"


def _open_shown(
    target: str | Path | BinaryIO, info: VideoInfo, mode: str, amplify: float, force: bool, stack: ExitStack
) -> ComparisonVideo:
    """What the pairs of frames go to, closed by `stack`."""
    place, format = target, None
    if isinstance(target, str | Path):
        format = None if is_stream(target) else format_of_path(target)
        place = stack.enter_context(output_target(target, force))
    return stack.enter_context(ComparisonVideo(place, info, mode, amplify, format))
