"""Writes example.mp4: five seconds of a made-up garden, filmed by a camera that does not move.

Everything is computed from fixed seeds, so the clip carries no rights but the project's own and comes out the same
every time. A static scene with natural textures, a little sensor noise and a few things that move is what latcomp is
good at; the first second is nearly still, so the number of tokens can be seen to follow what happens.

    python examples/render_example.py [OUT.mp4]
"""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT, RATE, SECONDS = 854, 480, 24, 5
FRAMES = RATE * SECONDS
SAMPLE_RATE = 48000
HORIZON, LAWN = 205, 238  # rows where the hills and the lawn begin
MILL_X, MILL_Y = 186.0, 138.0
NOISE_LEVELS = 1.0  # standard deviation of the sensor noise, in grey levels

Array = np.ndarray
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


# -- textures ---------------------------------------------------------------------------------------------------------


def value_noise(y: Array, x: Array, seed: int) -> Array:
    """Smooth noise in -1..1 with features of size 1, at any coordinates."""
    table = np.random.default_rng(seed).uniform(-1, 1, (256, 256)).astype(np.float32)
    yi, xi = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = y - yi, x - xi
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    top = table[yi % 256, xi % 256] * (1 - fx) + table[yi % 256, (xi + 1) % 256] * fx
    bottom = table[(yi + 1) % 256, xi % 256] * (1 - fx) + table[(yi + 1) % 256, (xi + 1) % 256] * fx
    return top * (1 - fy) + bottom * fy


def fractal(y: Array, x: Array, size: float, octaves: int, seed: int, falloff: float = 0.55) -> Array:
    """A sum of noises, each half the size of the one before, in about -1..1."""
    total, weight, strength = np.zeros(np.broadcast(y, x).shape, np.float32), 0.0, 1.0
    for octave in range(octaves):
        total += strength * value_noise(y / size, x / size, seed + octave)
        weight += strength
        strength, size = strength * falloff, size / 2
    return total / weight


def mix(a: Array, b: Array, amount: Array | float) -> Array:
    """Colours (.., 3) between `a` and `b`."""
    amount = np.asarray(amount, np.float32)[..., None]
    return np.asarray(a, np.float32) * (1 - amount) + np.asarray(b, np.float32) * amount


def shade(color: tuple[int, int, int], light: Array) -> Array:
    """A colour under a field of brightness, 1 being unchanged."""
    return np.asarray(color, np.float32) * light[..., None]


def smooth(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def sky() -> Array:
    """Blue that pales towards the horizon, with clouds."""
    blue = mix(np.array([92, 142, 205]), np.array([196, 214, 228]), smooth(0, HORIZON, Y))
    clouds = fractal(Y * 2.1, X, 150, 6, 10) + 0.25 * fractal(Y * 2.1, X, 420, 2, 30)
    lit = fractal(Y * 2.1 - 14, X - 10, 150, 5, 10)  # the same clouds seen from the light: their bright side
    cover = smooth(-0.02, 0.34, clouds) * smooth(HORIZON + 40, 60, Y)
    white = shade((250, 248, 244), 0.93 + 0.16 * np.clip(clouds - lit, -0.6, 0.6))
    return mix(blue, white, 0.88 * cover)


def hills(picture: Array) -> None:
    """Two wooded ridges behind the lawn, and between them the tower of the mill."""
    for base, height, size, color, seed in (
        (HORIZON - 8, 26, 190.0, (118, 142, 138), 40),
        (HORIZON + 14, 22, 110.0, (70, 104, 66), 50),
    ):
        ridge = base - height * fractal(np.zeros_like(X[0]), X[0], size, 5, seed)
        woods = 1 + 0.30 * fractal(Y * 1.4, X, 16, 4, seed + 7) + 0.05 * (Y - base) / 30
        blend(picture, shade(color, woods), np.clip(Y - ridge, 0, 1))
        if seed == 40:
            wide = 9 + (Y - MILL_Y) * 0.11
            tower = np.clip(0.5 + wide - np.abs(X - MILL_X), 0, 1) * np.clip(Y - MILL_Y + 4, 0, 1)
            tower *= np.clip(MILL_Y + 110 - Y, 0, 1)
            rough = 1 + 0.05 * fractal(Y, X, 9, 3, 58)
            blend(picture, shade((214, 206, 192), rough - 0.012 * (X - MILL_X)), tower)
            blend(
                picture,
                np.array([70, 62, 58], np.float32),
                box(X, Y, MILL_X - 3, MILL_Y + 26, MILL_X + 3, MILL_Y + 36, 1),
            )


def lawn(picture: Array) -> None:
    """Grass whose blades grow towards the camera."""
    near = np.clip((Y - LAWN) / (HEIGHT - LAWN), 0.001, 1)
    depth = 1 / (0.14 + near)  # rows near the horizon are far away
    across = (X - WIDTH / 2) * depth
    blades = fractal(depth * 90, across * 3.0, 9, 4, 60, 0.75)
    patches = fractal(depth * 60, across * 0.6, 60, 4, 70)
    light = 0.90 + 0.30 * blades * (0.35 + 0.65 * near) + 0.16 * patches
    green = mix(np.array([112, 138, 62]), np.array([74, 118, 46]), smooth(-0.5, 0.6, patches))
    blend(picture, green * light[..., None], np.clip(Y - LAWN, 0, 1))


def path_across(picture: Array) -> None:
    """The gravel path that the car drives on."""
    edge = 5 * fractal(Y, X, 40, 3, 80)
    inside = smooth(292, 297, Y + edge) * smooth(338, 332, Y + edge)
    gravel = 1 + 0.16 * fractal(Y * 1.8, X, 5, 3, 90, 0.8) + 0.06 * fractal(Y * 2, X, 60, 3, 95)
    blend(picture, shade((168, 152, 128), gravel), inside)


def brick_house(picture: Array) -> None:
    """A wall of bricks with a window, at the right."""
    left, top, bottom = 596, 66, 284
    row = np.floor((Y - top) / 11)
    column = (X - left + 13 * (row % 2)) / 26
    in_row, in_column = (Y - top) / 11 - row, column - np.floor(column)
    each = (
        np.random.default_rng(100)
        .uniform(-1, 1, (64, 64))
        .astype(np.float32)[row.astype(int) % 64, np.floor(column).astype(int) % 64]
    )
    rough = fractal(Y, X, 7, 3, 110)
    brick = shade((158, 84, 64), 0.96 + 0.15 * each + 0.14 * rough + 0.10 * (0.5 - in_row))
    mortar = shade((176, 166, 152), 1 + 0.10 * rough)
    joint = np.maximum(smooth(0.86, 0.93, in_row), smooth(0.93, 0.965, in_column))
    wall = mix(brick, mortar, joint) * (0.90 + 0.10 * smooth(top, bottom, Y))[..., None]
    blend(picture, wall, box(X, Y, left, top, WIDTH + 9, bottom))
    blend(
        picture,
        shade((74, 66, 62), 1 + 0.15 * fractal(Y * 3, X, 9, 3, 120)),
        box(X, Y, left - 14, top - 16, WIDTH + 9, top),
    )
    blend(picture, np.array([232, 228, 218], np.float32), box(X, Y, 676, 112, 776, 208))
    glass = mix(
        np.array([58, 76, 92]), np.array([150, 172, 188]), smooth(-0.2, 0.9, fractal(Y + X * 0.6, X * 0.2, 50, 3, 130))
    )
    for x in (682, 728):
        for y in (118, 162):
            blend(picture, glass, box(X, Y, x, y, x + 42, y + 40))
    blend(picture, np.array([206, 200, 188], np.float32), box(X, Y, 668, 208, 784, 216))


def planks(picture: Array) -> None:
    """A wooden table along the lower left, near the camera."""
    top = 404 + 0.03 * X
    board = np.floor((Y - top) / 27)
    within = (Y - top) / 27 - board
    grain = fractal((Y + 9 * fractal(Y, X, 120, 3, 140)) * 5, X * 0.35 + 313 * board, 34, 5, 150, 0.7)
    rings = np.sin(24 * fractal(Y * 2.2 + 91 * board, X * 0.3, 120, 2, 160))
    light = 0.94 + 0.22 * grain + 0.06 * rings - 0.35 * smooth(0.93, 0.99, within) + 0.10 * smooth(0.12, 0.0, within)
    wood = shade((164, 118, 74), light)
    blend(picture, wood, np.clip(Y - top, 0, 1) * np.clip(396 - X - 0.5 * (Y - top), 0, 1))


# -- shapes: each gives coverage 0..1 over the coordinates it is handed ------------------------------------------------


def box(x: Array, y: Array, left: float, top: float, right: float, bottom: float, corner: float = 0.0) -> Array:
    """A rectangle, with round corners if wanted."""
    dx = np.abs(x - (left + right) / 2) - (right - left) / 2 + corner
    dy = np.abs(y - (top + bottom) / 2) - (bottom - top) / 2 + corner
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - corner
    return np.clip(0.5 - outside, 0, 1)


def disc(x: Array, y: Array, cx: float, cy: float, radius: float, squash: float = 1.0) -> Array:
    """A disc, or an ellipse flattened by `squash`."""
    return np.clip(0.5 + radius - np.hypot(x - cx, (y - cy) * squash), 0, 1)


def line(x: Array, y: Array, x0: float, y0: float, x1: float, y1: float, width: float) -> Array:
    """A stroke with round ends."""
    along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
    t = np.clip(along, 0, 1)
    return np.clip(0.5 + width / 2 - np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)), 0, 1)


def blend(picture: Array, color: Array, coverage: Array) -> None:
    """Paint `color` over `picture` where `coverage` is."""
    picture += coverage[..., None] * (np.asarray(color, np.float32) - picture)


class Patch:
    """The part of the picture around a moving thing: painting costs only its area."""

    def __init__(self, picture: Array, cx: float, cy: float, reach: float) -> None:
        rows = slice(max(0, int(cy - reach)), max(0, int(cy + reach) + 1))
        columns = slice(max(0, int(cx - reach)), max(0, int(cx + reach) + 1))
        self.picture, self.x, self.y = picture[rows, columns], X[rows, columns], Y[rows, columns]

    def paint(
        self, color: Array | tuple[int, int, int], shape: Callable[..., Array], *args: float, opacity: float = 1.0
    ) -> None:
        """Paint a shape; `opacity` below 1 lets the picture show through."""
        blend(self.picture, np.asarray(color, np.float32), opacity * shape(self.x, self.y, *args))


# -- things that move -------------------------------------------------------------------------------------------------

BALL_START, BALL_SPEED, BALL_RADIUS, BALL_GROUND = 0.9, 205.0, 25.0, 388.0
BOUNCE_SECONDS, BOUNCE_HEIGHT = 0.75, 118.0


def ball(picture: Array, t: float) -> None:
    """A striped ball that bounces across the lawn and turns as it goes."""
    if t < BALL_START:
        return
    x = (t - BALL_START) * BALL_SPEED - 30
    phase = ((t - BALL_START) % BOUNCE_SECONDS) / BOUNCE_SECONDS
    height = BOUNCE_HEIGHT * 4 * phase * (1 - phase) * 0.93 ** ((t - BALL_START) // BOUNCE_SECONDS)
    y = BALL_GROUND - BALL_RADIUS - height
    patch = Patch(picture, x, BALL_GROUND, 60)
    patch.paint(
        (30, 44, 22), disc, x + height * 0.12, BALL_GROUND - 1, 25 - height * 0.05, 3.4, opacity=0.5 - height * 0.002
    )
    patch = Patch(picture, x, y, BALL_RADIUS + 3)
    dx, dy = (patch.x - x) / BALL_RADIUS, (patch.y - y) / BALL_RADIUS
    angle = np.arctan2(dy, dx) - (t - BALL_START) * BALL_SPEED / BALL_RADIUS
    stripes = smooth(-0.12, 0.12, np.sin(3 * angle))
    hub = np.clip((0.26 - np.hypot(dx, dy)) * 20, 0, 1)
    color = mix(mix(np.array([206, 44, 40]), np.array([238, 232, 220]), stripes), np.array([44, 84, 160]), hub)
    depth = np.sqrt(np.clip(1 - dx * dx - dy * dy, 0, 1))
    light = 0.45 + 0.62 * np.clip(0.62 * depth - 0.38 * dx - 0.55 * dy, 0, 1.1)
    blend(patch.picture, color * light[..., None], disc(patch.x, patch.y, x, y, BALL_RADIUS))


def car(picture: Array, t: float) -> None:
    """A small van that drives from right to left along the path."""
    x, y = 980 - 268 * (t - 1.4), 322.0
    if not -90 < x < WIDTH + 90:
        return
    y += 0.7 * np.sin(t * 19)
    patch = Patch(picture, x, y - 24, 96)
    patch.paint((40, 40, 34), disc, x, 327, 78, 9.0, opacity=0.5)
    body = shade((222, 170, 48), 1.12 - 0.007 * (patch.y - (y - 62)))
    patch.paint(body, box, x - 70, y - 60, x + 68, y - 6, 11)
    patch.paint(shade((206, 206, 198), 1.05 - 0.004 * (patch.y - (y - 62))), box, x - 64, y - 60, x + 66, y - 47, 7)
    for left, right in ((-62, -34), (-28, 8), (14, 56)):
        patch.paint(
            shade((84, 112, 130), 1.3 - 0.02 * (patch.y - (y - 48))), box, x + left, y - 50, x + right, y - 29, 4
        )
    patch.paint((150, 104, 26), box, x - 70, y - 24, x + 68, y - 21, 1)
    patch.paint((250, 244, 206), disc, x - 66, y - 16, 4.5)
    patch.paint((176, 32, 26), box, x + 63, y - 20, x + 68, y - 11, 2)
    for wheel in (-42, 40):
        patch.paint((32, 32, 34), disc, x + wheel, y - 6, 13.5)
        patch.paint((176, 178, 180), disc, x + wheel, y - 6, 7.5)
        for spoke in range(3):
            a = x / 13.5 + spoke * np.pi / 3
            dx, dy = 7 * np.cos(a), 7 * np.sin(a)
            patch.paint((70, 72, 76), line, x + wheel - dx, y - 6 - dy, x + wheel + dx, y - 6 + dy, 1.6)


def lantern(picture: Array, t: float) -> None:
    """A lantern that swings from a bracket on the house."""
    angle = 0.30 * np.sin(2 * np.pi * t / 1.9 + 0.6)
    x0, y0, length = 574.0, 98.0, 58.0
    x, y = x0 + length * np.sin(angle), y0 + length * np.cos(angle)
    patch = Patch(picture, x0, y0 + 40, 72)
    patch.paint((44, 40, 40), line, 598, 94, x0, 94, 4)
    patch.paint((58, 52, 48), line, x0, 95, x, y - 14, 1.8)
    patch.paint((52, 48, 46), box, x - 12, y - 16, x + 12, y + 19, 4)
    glow = mix(
        np.array([255, 226, 150]), np.array([236, 160, 70]), np.clip(np.hypot(patch.x - x, patch.y - y) / 16, 0, 1)
    )
    patch.paint(glow, box, x - 8, y - 11, x + 8, y + 14, 2)
    patch.paint((52, 48, 46), line, x, y - 12, x, y + 15, 1.6)


def windmill(picture: Array, t: float) -> None:
    """The sails of the mill, which turn slowly."""
    cx, cy = MILL_X, MILL_Y
    patch = Patch(picture, cx, cy, 54)
    patch.paint((120, 72, 58), disc, cx, cy - 3, 11, 1.2)
    for sail in range(4):
        a = 1.15 * t + sail * np.pi / 2
        dx, dy = np.cos(a), np.sin(a)
        patch.paint((104, 88, 74), line, cx, cy, cx + 46 * dx, cy + 46 * dy, 2.2)
        ox, oy = -4.0 * dy, 4.0 * dx
        patch.paint(
            (238, 232, 220),
            line,
            cx + 14 * dx + ox,
            cy + 14 * dy + oy,
            cx + 44 * dx + ox,
            cy + 44 * dy + oy,
            6.5,
            opacity=0.9,
        )
    patch.paint((70, 60, 54), disc, cx, cy, 3.4)


def bird(picture: Array, t: float) -> None:
    """A bird that crosses the sky."""
    x, y = -40 + 150 * t, 84 + 8 * np.sin(1.7 * t) - 12 * t
    flap = np.sin(2 * np.pi * 2.6 * t)
    patch = Patch(picture, x, y, 34)
    tip = -11 * flap
    for side in (-1, 1):
        patch.paint((56, 54, 58), line, x, y, x + side * 11 - 2, y + 0.45 * tip - 2, 3.8)
        patch.paint((66, 64, 68), line, x + side * 11 - 2, y + 0.45 * tip - 2, x + side * 22 - 6, y + tip, 2.4)
    patch.paint((48, 46, 50), line, x - 8, y + 1, x + 8, y, 5.0)
    patch.paint((196, 130, 40), line, x + 11, y, x + 13, y + 0.5, 1.8)


# -- the clip ---------------------------------------------------------------------------------------------------------


def background() -> Array:
    """Everything that stands still, (H, W, 3) float32."""
    picture = sky()
    for paint in (hills, lawn, path_across, brick_house, planks):
        paint(picture)
    return picture


def render(still: Array, index: int) -> Array:
    """Frame `index` of the clip, (H, W, 3) uint8."""
    picture, t = still.copy(), index / RATE
    for thing in (windmill, bird, lantern, car, ball):
        thing(picture, t)
    random = np.random.default_rng(1000 + index)
    # Most of a sensor's noise is in brightness: colour differences are smoothed by the camera.
    grey = random.normal(0, NOISE_LEVELS, (HEIGHT, WIDTH, 1))
    color = random.normal(0, NOISE_LEVELS / 3, (HEIGHT, WIDTH, 3))
    return np.clip(np.round(picture + grey + color), 0, 255).astype(np.uint8)


def sound() -> Array:
    """A quiet chord, and a thud whenever the ball meets the ground: (samples,) int16."""
    t = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * f * t) / (n + 1) for n, f in enumerate((220.0, 277.18, 329.63)))
    tone = 0.07 * chord * np.minimum(1, np.minimum(t, SECONDS - t) / 0.4)
    bounce = BALL_START + BOUNCE_SECONDS
    while bounce < SECONDS:
        since = np.clip(t - bounce, 0, None)
        tone += (t >= bounce) * 0.45 * np.exp(-since * 26) * np.sin(2 * np.pi * 92 * since)
        bounce += BOUNCE_SECONDS
    return np.round(32767 * np.clip(tone, -1, 1)).astype(np.int16)


def write(target: Path) -> None:
    """Render and write the clip: H.264 and AAC in mp4, tagged BT.601, index first."""
    with av.open(str(target), "w", container_options={"movflags": "+faststart"}) as container:
        container.flags |= 0x0400  # bit-exact: no dates and versions in the file
        video = container.add_stream("libx264", rate=RATE, options={"crf": "17", "preset": "veryslow", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = video.codec_context
        context.time_base = Fraction(1, RATE)
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 6, 6, 6, 1
        audio = container.add_stream("aac", rate=SAMPLE_RATE, bit_rate=64000)
        audio.codec_context.layout = "mono"
        samples = sound()
        still = background()
        step = SAMPLE_RATE // RATE
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(render(still, index), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=5, src_color_range=2, dst_color_range=1)
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(video.encode(frame))
            chunk = av.AudioFrame.from_ndarray(
                samples[None, index * step : (index + 1) * step], format="s16", layout="mono"
            )
            chunk.sample_rate, chunk.pts, chunk.time_base = SAMPLE_RATE, index * step, Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(chunk))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("example.mp4"))
