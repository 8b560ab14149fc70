"""Random crops of clips: drawn on the host, cut where the clips lie, which on a GPU is the GPU's own memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latcomp.training.clips import Clip

BT601 = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
FOLLOWED = 0.8
"""Chance that a crop of a clip whose camera moves is taken as the codec sees it when it follows the camera."""
SHRUNK, STILL = 0.2, 0.05
"""Chances that a crop is taken at twice its size and averaged down, and that it pans over a picture that stands still.
"""
TONED, NOISY = 0.5, 0.06  # shares of crops that get another contrast and brightness, and noise
MOST_NOISE = 5.0  # grey levels, standard deviation
FASTEST_PAN = 6.0  # pixels a frame, each way
RESIDENT_SHARE = 0.5  # of a device's free memory that clips may take there


@dataclass(frozen=True)
class Crop:
    """Where a crop lies in its clip, and how it is turned; lengths in frames and pixels, places of a clip in the list
    of clips.
    """

    clip: int
    first: int
    stride: int
    top: int
    left: int
    mirrored: bool = False
    backwards: bool = False
    path: tuple[tuple[int, int], ...] = ()
    """(top, left) in each frame, where it moves; empty: the same in all."""
    shrink: int = 1
    """So many times as large in the clip as it comes out."""
    still: bool = False
    """Only the first frame is shown, in all of them."""

    def rows(self, frames: int) -> slice:
        """The clip's frames that are shown; of a still, the one."""
        return slice(self.first, self.first + (1 if self.still else frames * self.stride), self.stride)

    def place(self, frame: int) -> tuple[int, int]:
        """(top, left) in a frame, counted from the first one of the crop."""
        return self.path[frame] if self.path else (self.top, self.left)


def cut(clip: Clip, first: int, frames: int, top: int, left: int, side: int, stride: int = 1) -> np.ndarray:
    """A crop (frames, 3, side, side) uint8 YCbCr, chroma repeated to full size as a fast converter would.

    top, left, side: multiples of 2, in pixels.
    """
    height, width = clip.height, clip.width
    rows = clip.planes[first : first + frames * stride : stride]
    luma = rows[:, : height * width].reshape(-1, height, width)[:, top : top + side, left : left + side]
    chroma = rows[:, height * width :].reshape(-1, 2, height // 2, width // 2)
    half = side // 2
    chroma = chroma[:, :, top // 2 : top // 2 + half, left // 2 : left // 2 + half]
    chroma = chroma.repeat(2, axis=2).repeat(2, axis=3)
    return np.concatenate([luma[:, None], chroma], axis=1)


def cut_at(planes: np.ndarray, height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    """A crop (3, side, side) uint8 YCbCr of one frame's planes; top, left: any whole pixels."""
    luma = planes[: height * width].reshape(height, width)[top : top + side, left : left + side]
    chroma = planes[height * width :].reshape(2, height // 2, width // 2)
    near = chroma[:, top // 2 : (top + side + 1) // 2, left // 2 : (left + side + 1) // 2]
    full = near.repeat(2, axis=1).repeat(2, axis=2)[:, top % 2 : top % 2 + side, left % 2 : left % 2 + side]
    return np.concatenate([luma[None], full])


def follow(offsets: np.ndarray, clip: Clip, side: int, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """(top, left) of a crop in each frame that stays where it is in the world; empty where none stays in the picture.

    offsets: (frames, 3) camera offsets (dy, dx) of the crop's frames, and where a world begins."""
    if offsets[1:, 2].any() or not np.ptp(offsets[:, :2], axis=0).any():
        return ()
    steps = offsets[0, :2] - offsets[:, :2]
    low, room = np.maximum(0, -steps.min(0)), np.array([clip.height - side, clip.width - side]) - steps.max(0)
    if (low > room).any():
        return ()
    corner = [int(rng.integers(least, most + 1)) for least, most in zip(low, room, strict=True)]
    return tuple((corner[0] + int(down), corner[1] + int(right)) for down, right in steps)


def pan(clip: Clip, frames: int, side: int, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """(top, left) in each frame of a crop that moves steadily over one picture; slower where there is no room."""
    room = np.array([clip.height - side, clip.width - side])
    way = np.trunc(rng.uniform(-FASTEST_PAN, FASTEST_PAN, 2)[None] * np.arange(frames)[:, None])
    way = np.clip(way, -room, room)
    low = -way.min(0)
    start = low + np.floor(rng.random(2) * (room - np.ptp(way, axis=0) + 1))
    return tuple((int(down), int(right)) for down, right in start + way)


def size_weights(sizes: Sequence[int]) -> np.ndarray:
    """Chances with which clips of these sizes are drawn: with the square root of their size."""
    roots = np.sqrt(sizes)
    found: np.ndarray = roots / roots.sum()
    return found


def draw_crop(
    clips: list[Clip],
    chances: np.ndarray,
    seed: int,
    step: int,
    item: int,
    frames: int,
    side: int,
    offsets: Sequence[np.ndarray] | None = None,
) -> Crop:
    """The crop that belongs to (seed, step, item): mirrored half of the time, played backwards a quarter of the time,
    at double speed an eighth of the time, now and then shrunk or panning over a still. chances: as `size_weights` gives
    them for the clips' pixels; offsets: of each clip's frames, (frames, 3) as `cached_offsets` gives them, which crops
    then mostly follow."""
    rng = np.random.default_rng([seed, step, item])
    number = int(rng.choice(len(clips), p=chances))
    clip = clips[number]
    shrink = 2 if rng.random() < SHRUNK and min(clip.height, clip.width) >= 2 * side else 1
    wide = shrink * side
    mirrored, backwards, still = bool(rng.random() < 0.5), bool(rng.random() < 0.25), bool(rng.random() < STILL)
    if still:
        first = int(rng.integers(clip.frames))
        path = pan(clip, frames, wide, rng)
        return Crop(number, first, 1, *path[0], mirrored, backwards, path, shrink, still)
    stride = 2 if rng.random() < 0.125 and clip.frames >= 2 * frames else 1
    first = int(rng.integers(clip.frames - frames * stride + 1))
    top = 2 * int(rng.integers((clip.height - wide) // 2 + 1))
    left = 2 * int(rng.integers((clip.width - wide) // 2 + 1))
    path = ()
    if offsets is not None and rng.random() < FOLLOWED:
        path = follow(offsets[number][first : first + frames * stride : stride], clip, wide, rng)
    return Crop(number, first, stride, top, left, mirrored, backwards, path, shrink)


def pixel_weights(clips: list[Clip]) -> np.ndarray:
    """Chances with which clips are drawn, by their number of pixels."""
    return size_weights([clip.frames * clip.height * clip.width for clip in clips])


def random_crop(clips: list[Clip], seed: int, step: int, item: int, frames: int, side: int) -> np.ndarray:
    """The crop that belongs to (seed, step, item): (frames, 3, side, side) uint8 YCbCr."""
    return taken(clips, draw_crop(clips, pixel_weights(clips), seed, step, item, frames, side), frames, side)


def taken(clips: list[Clip], crop: Crop, frames: int, side: int) -> np.ndarray:
    """A crop that was drawn: (frames, 3, side, side) uint8 YCbCr."""
    clip, wide = clips[crop.clip], crop.shrink * side
    if crop.path:
        rows = clip.planes[crop.rows(frames)]
        found = np.stack(
            [cut_at(rows[0 if crop.still else t], clip.height, clip.width, *crop.place(t), wide) for t in range(frames)]
        )
    else:
        found = cut(clip, crop.first, frames, crop.top, crop.left, wide, crop.stride)
    if crop.shrink > 1:
        found = shrunk(torch.from_numpy(found), crop.shrink).numpy()
    if crop.mirrored:
        found = found[..., ::-1]
    if crop.backwards:
        found = found[::-1]
    return np.ascontiguousarray(found)


def shrunk(frames: Tensor, factor: int) -> Tensor:
    """uint8 frames (T, 3, H, W), each pixel the mean of factor x factor."""
    return F.avg_pool2d(frames.float(), factor).add_(0.5).to(torch.uint8)


class Footage:
    """Clips to cut crops from: planes in the device's memory where it is a GPU with room for them, else on the host by
    memory map.
    """

    def __init__(
        self,
        clips: list[Clip],
        device: torch.device,
        most_bytes: int | None = None,
        offsets: Sequence[np.ndarray] | None = None,
    ) -> None:
        """most_bytes: bytes of clips that the device may hold; None is `RESIDENT_SHARE` of what is free there, and none
        on a CPU. offsets: of each clip's frames where crops are to follow the camera, see `draw_crop`.
        """
        self.clips, self.device, self.offsets = clips, device, offsets
        self.chances = pixel_weights(clips)
        total = sum(clip.planes.size for clip in clips)
        self.resident = total <= (_room(device) if most_bytes is None else most_bytes)
        self._planes = [torch.from_numpy(np.array(clip.planes)).to(device) for clip in clips] if self.resident else []

    def draw(self, seed: int, step: int, count: int, frames: int, side: int) -> list[Crop]:
        """The `count` crops of a step."""
        return [
            draw_crop(self.clips, self.chances, seed, step, item, frames, side, self.offsets) for item in range(count)
        ]

    def take(self, crops: list[Crop], frames: int, side: int) -> Tensor:
        """The crops (B, frames, 3, side, side) uint8 YCbCr: on the device where the clips are, else on the host."""
        if not self.resident:
            return torch.from_numpy(np.stack([taken(self.clips, crop, frames, side) for crop in crops]))
        found = torch.empty((len(crops), frames, 3, side, side), dtype=torch.uint8, device=self.device)
        for crop, place in zip(crops, found, strict=True):
            self._cut(crop, place)
        return found

    def _cut(self, crop: Crop, place: Tensor) -> None:
        """Copy a crop into `place` (frames, 3, side, side): views, copies and means alone, which a GPU queues without
        waiting.
        """
        frames, _, side, _ = place.shape
        wide = crop.shrink * side
        found = place if crop.shrink == 1 else place.new_empty((frames, 3, wide, wide))
        clip, rows = self.clips[crop.clip], self._planes[crop.clip][crop.rows(frames)]
        height, width = clip.height, clip.width
        luma = rows[:, : height * width].unflatten(1, (height, width))
        chroma = rows[:, height * width :].unflatten(1, (2, height // 2, width // 2))
        if crop.path:
            for t, here in enumerate(found):
                (top, left), row = crop.place(t), 0 if crop.still else t
                here[0].copy_(luma[row, top : top + wide, left : left + wide])
                near = chroma[row, :, top // 2 : (top + wide + 1) // 2, left // 2 : (left + wide + 1) // 2]
                full = near.repeat_interleave(2, 1).repeat_interleave(2, 2)
                here[1:].copy_(full[:, top % 2 : top % 2 + wide, left % 2 : left % 2 + wide])
        else:
            half = wide // 2
            c = chroma[:, :, crop.top // 2 : crop.top // 2 + half, crop.left // 2 : crop.left // 2 + half]
            c = c[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)  # each sample for 2 x 2 pixels
            found[:, 0].copy_(luma[:, crop.top : crop.top + wide, crop.left : crop.left + wide])
            found[:, 1:].unflatten(2, (half, 2)).unflatten(4, (half, 2)).copy_(c)
        if crop.shrink > 1:
            found = shrunk(found, crop.shrink)
        axes = [axis for axis, turned in ((0, crop.backwards), (3, crop.mirrored)) if turned]
        if axes:
            found = found.flip(axes)
        if found is not place:
            place.copy_(found)


def _room(device: torch.device) -> int:
    return int(torch.cuda.mem_get_info(device)[0] * RESIDENT_SHARE) if device.type == "cuda" else 0


def full_chroma(planes: Tensor, height: int, width: int) -> Tensor:
    """(T, 3, H, W) uint8 YCbCr of a clip's planes (T, H*3/2*W), chroma repeated to full size."""
    luma = planes[:, : height * width].unflatten(1, (1, height, width))
    chroma = planes[:, height * width :].unflatten(1, (2, height // 2, width // 2))
    return torch.cat([luma, chroma.repeat_interleave(2, 2).repeat_interleave(2, 3)], dim=1)


def to_rgb(ycbcr: np.ndarray | Tensor) -> Tensor:
    """RGB in [-1, 1], (B, 3, T, H, W), of limited-range BT.601 YCbCr uint8 (B, T, 3, H, W), on its device."""
    planes = torch.as_tensor(ycbcr).float()
    y = (planes[:, :, 0] - 16) * (255 / 219)
    cb = (planes[:, :, 1] - 128) * (255 / 224)
    cr = (planes[:, :, 2] - 128) * (255 / 224)
    rgb = torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], dim=1)
    return rgb.clamp(0, 255) / 127.5 - 1


def uniform_noise(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform noise in [-1/2, 1/2]: on a GPU drawn there, since so many numbers would take the host longer than a
    step. generator: of the CPU.
    """
    if device.type == "cuda":
        seed = int(torch.randint(2**62, (1,), generator=generator))
        return torch.rand(shape, generator=torch.Generator(device).manual_seed(seed), device=device) - 0.5
    return torch.rand(shape, generator=generator) - 0.5


def toned(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """RGB (B, 3, T, H, W) in [-1, 1] with a contrast and brightness of its own in half of the crops, and the noise of a
    camera in a few. generator: of the CPU.
    """
    count, device = len(pixels), pixels.device
    changed, noisy, gain, shift, level = torch.rand((5, count), generator=generator).view(5, count, 1, 1, 1, 1)
    gain = torch.where(changed < TONED, torch.exp2(gain - 0.6), 1.0)  # 0.66 to 1.32
    shift = torch.where(changed < TONED, 0.4 * shift - 0.2, 0.0)
    level = torch.where(noisy < NOISY, MOST_NOISE / 127.5 * level, 0.0)
    found = pixels * gain.to(device, non_blocking=True) + shift.to(device, non_blocking=True)
    if level.any():
        noise = uniform_noise(pixels.shape, generator, device) * 12**0.5
        found = found + level.to(device, non_blocking=True) * noise
    return found.clamp(-1, 1)
