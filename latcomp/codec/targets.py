"""Steps for a target instead of a quality: bits per pixel, or a PSNR, found segment by segment from latents that are at
hand.

The tokenizer's encoder runs once. For a rate, selection and coding are replayed; for a PSNR also fill and the
tokenizer's decoder. Both grow with finer steps, so a bracketed secant finds the adjustment in a few replays."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from latcomp.codec.groups import EncodedGroup
from latcomp.codec.segments import SegmentCoder
from latcomp.codec.settings import SEGMENT_BYTES, SEGMENT_GROUPS
from latcomp.container import Group, Header, Writer
from latcomp.container.header import pack_header
from latcomp.errors import UsageError
from latcomp.latents import ADJUST_PER_OCTAVE
from latcomp.latents.profile import CodingProfile
from latcomp.metrics.luma import luma, psnr
from latcomp.selection import Selection
from latcomp.tokenizer.base import TokenizerSpec

RATE_CLOSE = 0.006  # share of the budget within which a search stops
DECIBELS_CLOSE = 0.05
SECANT_PROBES = 10  # after so many a search halves what is left
LATENT_BYTES = 4  # of a number of a latent in memory
CARRY_MOST = 0.5  # share of a segment's budget by which what earlier ones left over may change it


def segment_groups_for(
    height: int, width: int, spec: TokenizerSpec, group_latent_frames: int, with_pixels: bool
) -> int:
    """Groups a segment may have so that its latents, and frames where they are needed, fit into `SEGMENT_BYTES`."""
    latents = LATENT_BYTES * spec.channels * group_latent_frames * math.prod(spec.grid(height, width))
    one = latents + (3 * height * width * spec.temporal * group_latent_frames if with_pixels else 0)
    return int(max(1, min(SEGMENT_GROUPS, SEGMENT_BYTES // one)))


def search(
    probe: Callable[[int], float],
    goal: float,
    guess: int,
    slope: float,
    close: float,
    least: bool,
    profile: CodingProfile,
) -> int:
    """The adjustment whose figure is nearest to `goal`, or with `least` the coarsest that reaches it.

    probe: figure of an adjustment, falling as steps get coarser; slope: by how much a 32nd of an octave lowers it, at a
    guess; close: distance to the goal that is good enough. Gives the profile's finest or coarsest where it
    lies beyond."""
    finest, coarsest = profile.finest_adjust, profile.coarsest_adjust
    fine, coarse = finest - 1, coarsest + 1  # known to reach the goal, known not to; not probed yet
    found: dict[int, float] = {}
    at = min(max(guess, finest), coarsest)
    while True:
        figure = found[at] = probe(at)
        if 0 <= figure - goal <= close or (not least and abs(figure - goal) <= close):
            return at
        if figure >= goal:
            fine = at
        else:
            coarse = at
        if coarse - fine == 1:
            break
        if fine in found and coarse in found and found[fine] > found[coarse]:
            slope = max((found[fine] - found[coarse]) / (coarse - fine), 1e-9)
        at += round((figure - goal) / slope)
        # a figure that hardly moves with the steps, as where symbols are clipped, leads the secant along one by one
        at = min(max(at, fine + 1), coarse - 1) if len(found) < SECANT_PROBES else (fine + coarse) // 2
    if fine < finest:
        return finest
    if coarse > coarsest or least:
        return fine
    return min((fine, coarse), key=lambda a: abs(found[a] - goal))


class RateTarget:
    """Chooses each segment's steps so that the file has so many bits per pixel; what one segment leaves over, the next
    may use.
    """

    def __init__(self, coder: SegmentCoder, header: Header, bpp: float) -> None:
        self.coder, self.header, self.bpp = coder, header, bpp
        self.notes: list[str] = []
        self._spent = len(pack_header(header)) + 64  # index and end marker take about as much
        self._pixels = 0
        self._guess: int | None = None

    def choose(self, segment: list[EncodedGroup]) -> list[Group]:
        """The groups of the next segment. Raises `UsageError` when the first one cannot be as small as the target
        asks.
        """
        pixels = sum(len(group.pts) for group in segment) * self.header.width * self.header.height
        share = self.bpp * pixels / 8
        carry = self.bpp * self._pixels / 8 - self._spent
        first = self._pixels == 0
        budget = share + (carry if first else max(-CARRY_MOST * share, min(CARRY_MOST * share, carry)))
        sizes: dict[int, int] = {}
        latest: dict[int, list[Selection]] = {}  # of the last probe alone: a segment's selections are large

        def bits(adjust: int) -> float:
            latest.clear()
            scale = self.coder.base.adjusted(adjust)
            latest[adjust] = self.coder.selected(segment, scale)
            groups = self.coder.groups(segment, latest[adjust], scale, fill=False)
            sizes[adjust] = Writer.segment_bytes(groups, self.header, self.coder.prior, self.coder.settings.coding)
            return math.log(sizes[adjust])

        guess = self.coder.scale_for(segment[0]).adjust if self._guess is None else self._guess
        goal = math.log(max(budget, 1.0))
        profile = self.coder.profile
        slope = profile.octaves_of_bits * math.log(2) / ADJUST_PER_OCTAVE
        adjust = search(bits, goal, guess, slope, RATE_CLOSE, False, profile)
        size = sizes[adjust]
        if first and adjust == profile.coarsest_adjust and size > 1.03 * budget:
            smallest = 8 * (self._spent + size) / pixels
            raise UsageError(
                f"target_bpp {self.bpp:g} is out of reach: the smallest file of this video has about {smallest:.3g} "
                "bits per pixel; ask for that or more",
                settings=("target_bpp",),
            )
        if adjust == profile.finest_adjust and size < 0.97 * budget and not self.notes:
            self.notes.append(f"the finest quality needs less than {self.bpp:g} bits per pixel here")
        self._guess, self._spent, self._pixels = adjust, self._spent + size, self._pixels + pixels
        scale = self.coder.base.adjusted(adjust)
        return self.coder.groups(segment, latest.get(adjust) or self.coder.selected(segment, scale), scale)


class PsnrTarget:
    """Chooses each segment's steps so that its decoded frames have a PSNR-Y of so many dB on the mean, and no more than
    they must.
    """

    def __init__(
        self, coder: SegmentCoder, decode: Callable[[Group], list[np.ndarray]], matrix: int | None, decibels: float
    ) -> None:
        """decode: the frames (H, W, 3) uint8 that a reader makes of the next group; matrix: of the luma, FFmpeg's
        number.
        """
        self.coder, self.decode, self.matrix, self.decibels = coder, decode, matrix, decibels
        self._guess: int | None = None

    def choose(self, segment: list[EncodedGroup]) -> list[Group]:
        """The groups of the next segment. Raises `UsageError` when not even the finest steps reach the target."""
        reached: dict[int, float] = {}
        best: dict[
            int, list[Group]
        ] = {}  # of the coarsest probe that reaches the target alone: that is what a search ends at
        profile = self.coder.profile
        truth = [[luma(frame, self.matrix) for frame in group.pixels] for group in segment]

        def decibels(adjust: int) -> float:
            scale = self.coder.base.adjusted(adjust)
            groups = self.coder.groups(segment, self.coder.selected(segment, scale), scale)
            found = [
                psnr(wanted, luma(frame, self.matrix))
                for group, frames in zip(groups, truth, strict=True)
                for wanted, frame in zip(frames, self.decode(group), strict=True)
            ]
            reached[adjust] = float(np.mean(found))
            if reached[adjust] >= self.decibels and adjust > max(best, default=profile.finest_adjust - 1):
                best.clear()
                best[adjust] = groups
            return reached[adjust]

        guess = self.coder.scale_for(segment[0]).adjust if self._guess is None else self._guess
        slope = profile.decibels_per_octave / ADJUST_PER_OCTAVE
        adjust = search(decibels, self.decibels, guess, slope, DECIBELS_CLOSE, True, profile)
        if reached[adjust] < self.decibels:
            raise UsageError(
                f"min_psnr {self.decibels:g} is out of reach: at its finest steps this tokenizer reaches "
                f"{reached[adjust]:.2f} dB from frame {segment[0].first_frame} on; ask for less",
                settings=("min_psnr",),
            )
        self._guess = adjust
        return best[adjust]
