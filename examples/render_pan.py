"""Writes a clip whose camera pans: the garden of render_example.py, seen through a narrower lens that moves across it.

It comes out the same every time. The background passes by at six pixels a frame, not in whole ones, with a tremble as
of a hand; the car, the ball, the bird and the windmill move by themselves.

    python examples/render_pan.py [OUT.mp4]
"""

import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from render_example import NOISE_LEVELS, RATE, Array, background, ball, bird, car, lantern, windmill

WIDTH, HEIGHT, FRAMES = 320, 192, 48
LEFT, TOP = 60.0, 130.0  # where the lens is at first, in pixels of the garden
SPEED = 6.15  # pixels a frame


def lens(index: int) -> tuple[float, float]:
    """Row and column of the upper left corner of frame `index` in the garden, in pixels."""
    tremble = np.random.default_rng(2000).normal(0, 0.5, (FRAMES, 2)).cumsum(0)
    tremble -= np.linspace(tremble[0], tremble[-1], FRAMES)
    return TOP + tremble[index, 0], LEFT + SPEED * index + np.clip(tremble[index, 1], -2, 2)


def render(still: Array, index: int) -> Array:
    """Frame `index` of the clip, (H, W, 3) uint8: the garden at that time between the pixels that the lens falls on."""
    garden = still.copy()
    for thing in (windmill, bird, lantern, car, ball):
        thing(garden, index / RATE)
    y, x = lens(index)
    top, left = int(y), int(x)
    down, right = np.float32(y - top), np.float32(x - left)
    seen = garden[top : top + HEIGHT + 1, left : left + WIDTH + 1]
    seen = seen[:-1] * (1 - down) + seen[1:] * down
    seen = seen[:, :-1] * (1 - right) + seen[:, 1:] * right
    noise = np.random.default_rng(3000 + index).normal(0, NOISE_LEVELS, (HEIGHT, WIDTH, 1))
    return np.clip(np.round(seen + noise), 0, 255).astype(np.uint8)


def write(target: Path) -> None:
    """Render and write the clip: H.264 in mp4, tagged BT.601."""
    with av.open(str(target), "w") as container:
        container.flags |= 0x0400  # bit-exact: no dates and versions in the file
        video = container.add_stream("libx264", rate=RATE, options={"crf": "14", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = video.codec_context
        context.time_base = Fraction(1, RATE)
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 6, 6, 6, 1
        still = background()
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(render(still, index), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=5, src_color_range=2, dst_color_range=1)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("pan.mp4"))
