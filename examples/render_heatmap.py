"""Writes heatmap.jpg: frames of example.mp4, where their tokens went, and what comes back.

python examples/render_heatmap.py [OUT.jpg]

Needs the extra `report` (matplotlib).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import latcomp
from latcomp.codec.decode import decode_frames
from latcomp.video import Frame, open_video

HERE = Path(__file__).parent
SHOWN_FRAMES = (18, 62)  # hardly anything moves; a ball, a bus, a mill and a bird do
FADE = 0.6  # of what was kept one latent frame ago
FRAMES_A_TOKEN = 4
SIDE = 8  # pixels per side of a token


def heat(mask: np.ndarray, latent_frame: int) -> np.ndarray:
    """(h, w) 0 to 1: 1 where a token is kept in this latent frame of mask (T, h, w), less where that was some time
    ago.
    """
    found = np.zeros(mask.shape[1:], np.float32)
    for t in range(1, latent_frame + 1):  # in the first latent frame everything is kept
        found = np.where(mask[t], 1, FADE * found)
    return found


def laid_over(frame: np.ndarray, warmth: np.ndarray) -> np.ndarray:
    """The frame (H, W, 3) in dark grey with the warmth (h, w) of its positions over it, (H, W, 3) uint8."""
    height, width = frame.shape[:2]
    grey = 0.55 * frame.mean(2, keepdims=True) / 255 * np.ones(3)
    cells = np.kron(warmth, np.ones((SIDE, SIDE)))[:height, :width, None]
    colours = plt.get_cmap("inferno")(0.35 + 0.6 * cells[..., 0])[..., :3]
    share = 0.85 * np.minimum(1, 1.4 * cells)
    return (255 * ((1 - share) * grey + share * colours)).astype(np.uint8)


def main(out: Path) -> None:
    """Encode, decode and draw."""
    source = HERE / "example.mp4"
    file = io.BytesIO()
    stats = latcomp.encode(source, file, audio=False).stats
    with latcomp.open(io.BytesIO(file.getvalue())) as lat:
        mask = lat.mask
    with open_video(source, audio=False) as reader:
        originals = [item.pixels for item in reader if isinstance(item, Frame)]
    decoded = [frame.pixels for frame in decode_frames(io.BytesIO(file.getvalue()))]
    figure, axes = plt.subplots(len(SHOWN_FRAMES), 3, figsize=(12.8, 2.55 * len(SHOWN_FRAMES)), facecolor="white")
    for row, number in zip(axes, SHOWN_FRAMES, strict=True):
        latent_frame = number // FRAMES_A_TOKEN
        pictures = (originals[number], laid_over(originals[number], heat(mask, latent_frame)), decoded[number])
        titles = (
            f"{number / 24:.1f} s: the video",
            f"tokens kept: {mask[latent_frame].mean():.1%} of {mask[latent_frame].size:,}",
            f"decoded; the whole file: {stats['bpp']:.3f} bits per pixel",
        )
        for axis, picture, title in zip(row, pictures, titles, strict=True):
            axis.imshow(picture, interpolation="antialiased")
            axis.set_title(title, fontsize=10, loc="left", pad=3)
            axis.axis("off")
    figure.subplots_adjust(0.004, 0.004, 0.996, 0.95, wspace=0.015, hspace=0.12)
    figure.savefig(out, dpi=110, pil_kwargs={"quality": 88} if out.suffix in {".jpg", ".jpeg"} else {})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "heatmap.jpg")
