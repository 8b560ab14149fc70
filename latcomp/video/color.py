"""Pixels to RGB and back with a matrix and a range that are chosen here, never by a default of the scaler.

Untagged YUV is BT.601 below 720 lines and BT.709 from there on. FFmpeg's scaler would take BT.601 for all of it.
"""

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from latcomp.video.info import RANGE_FULL, RANGE_LIMITED, RANGE_UNSPECIFIED, UNSPECIFIED, ColorTags, default_matrix

MATRIX_RGB = 0

# FFmpeg's number of a matrix -> the scaler's. What is not here (YCgCo, ICtCp, ...) cannot be converted exactly.
SCALER_MATRIX = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

# Without full chroma and accurate rounding the scaler's shortcut makes luma about 1 grey level too dark, which alone
# bounds PSNR near 46 dB. These cost 1.3 ms a frame at 854x480 more.
TO_RGB_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
FROM_RGB_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


def resolve_tags(tags: ColorTags, height: int, *, rgb: bool = False) -> ColorTags:
    """Return `tags` with matrix and range said: as tagged where that can be converted, else the convention.

    `rgb` says that the source has no matrix at all; a matrix and the limited range are then chosen for later YUV.
    """
    matrix = tags.matrix if tags.matrix in SCALER_MATRIX and not rgb else default_matrix(height)
    range_ = RANGE_LIMITED if rgb or tags.range not in (RANGE_LIMITED, RANGE_FULL) else tags.range
    return ColorTags(tags.primaries, tags.transfer, matrix, range_)


def frame_tags(frame: av.VideoFrame, context: av.VideoCodecContext) -> ColorTags:
    """Return the tags of a decoded frame; what the frame does not say is taken from its stream."""

    def said(of_frame: int, of_stream: int, silent: int) -> int:
        return int(of_frame) if int(of_frame) != silent else int(of_stream)

    return ColorTags(
        primaries=said(frame.color_primaries, context.color_primaries, UNSPECIFIED),
        transfer=said(frame.color_trc, context.color_trc, UNSPECIFIED),
        matrix=said(frame.colorspace, context.colorspace, UNSPECIFIED),
        range=RANGE_FULL
        if frame.format.name.startswith("yuvj")
        else said(frame.color_range, context.color_range, RANGE_UNSPECIFIED),
    )


def is_rgb(pixel_format: av.VideoFormat) -> bool:
    """Tell whether pixels of this format are RGB already, so that no matrix applies."""
    return pixel_format.is_rgb or pixel_format.name == "pal8"


class ToRgb:
    """Turns decoded frames into uint8 RGB arrays (H, W, 3) of one fixed size, with one matrix and range."""

    def __init__(self, width: int, height: int, tags: ColorTags) -> None:
        self._width, self._height = width, height
        self._matrix = SCALER_MATRIX[tags.matrix]
        self._range = ColorRange.JPEG if tags.range == RANGE_FULL else ColorRange.MPEG
        self._scaler = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Return the pixels of `frame`; a frame of another size is scaled to the fixed one."""
        yuv = not is_rgb(frame.format)
        converted = self._scaler.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="rgb24",
            src_colorspace=self._matrix if yuv else None,
            src_color_range=self._range if yuv else None,
            dst_color_range=ColorRange.JPEG,
            interpolation=TO_RGB_FLAGS,
            threads=1,  # the conversion is too short for threads to pay, and decoding keeps the cores busy
        )
        return np.ascontiguousarray(converted.to_ndarray())


class FromRgb:
    """Turns uint8 RGB arrays (H, W, 3) into frames of an encoder's pixel format, tagged as they were converted."""

    def __init__(self, pixel_format: str, tags: ColorTags) -> None:
        self._format = av.VideoFormat(pixel_format, 16, 16)
        self._tags = tags
        self._scaler = VideoReformatter()

    def __call__(self, pixels: np.ndarray) -> av.VideoFrame:
        """Return a new frame that shares no memory with `pixels`."""
        source = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        if self._format.is_rgb:
            frame = self._scaler.reformat(source, format=self._format.name, threads=1)
        else:
            frame = self._scaler.reformat(
                source,
                format=self._format.name,
                dst_colorspace=SCALER_MATRIX[self._tags.matrix],
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.JPEG if self._tags.range == RANGE_FULL else ColorRange.MPEG,
                interpolation=FROM_RGB_FLAGS,
                threads=1,
            )
        frame.colorspace = self._tags.matrix
        frame.color_range = self._tags.range
        frame.color_primaries = self._tags.primaries
        frame.color_trc = self._tags.transfer
        return frame
