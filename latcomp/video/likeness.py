"""Whether two frames show the same scene: scene cuts, other light, and frames that show nothing at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latcomp.video.displacement import Picture, Place, nearest
from latcomp.video.planes import ONE, Plane, mean_difference, pair

Pattern = npt.NDArray[np.int32] | npt.NDArray[np.int64]
_BLOCK = 4  # side of the blocks whose own mean is taken off, in places of the coarse plane
_CLIP = 20  # levels
# A cut passes all of these. Measured on joined clips, which all do, against fast pans, handheld cameras and flashes.
_DIFFERENCE = 10 * ONE  # levels, of 20
_STRUCTURE = ONE * 33 // 100  # of the whole picture: 0 for the same, about 2/3 where nothing agrees
_DETAIL = ONE // 2  # the same of each block by itself
_TONES = ONE * 17 // 100  # share of places with other tones, or
_TONES_SUDDEN, _SUDDEN = ONE * 5 // 100, 2  # fewer where frames differed half as much before
_FLAT = ONE // 2  # levels of detail below which a frame shows nothing to follow
_LIGHT = 3  # levels; less changes from noise, or from what comes into view


def _detail(plane: Plane) -> npt.NDArray[np.int32]:
    """Return what differs from the mean of its block, times the block's area, int32 (blocks down, across, 4, 4)."""
    height, width = (side // _BLOCK * _BLOCK for side in plane.shape)
    blocks = plane[:height, :width].astype(np.int32).reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    sums: npt.NDArray[np.int32] = blocks.sum((1, 3), keepdims=True, dtype=np.int32)
    return blocks * (_BLOCK * _BLOCK) - sums


def is_flat(picture: Picture) -> bool:
    """Tell whether a frame shows nothing that could be followed: black, a flash, a plain colour."""
    planes = [picture.coarse[1], picture.pools.get(4, picture.plane)]  # fine patterns may not show in the coarse plane
    return all(_mean_detail(plane) <= _FLAT for plane in planes)


def _mean_detail(plane: Plane) -> int:
    """Return how far places are from the mean of their block, in 256ths of a level."""
    detail = np.abs(_detail(plane))
    return int(detail.sum(dtype=np.int64)) * ONE // (_BLOCK * _BLOCK * max(1, detail.size))


def change_of_light(here: Picture, there: Picture) -> int:
    """Return by how many levels a frame is lighter than the one before as a whole; 0 where that explains little."""
    one, other = here.coarse[1], there.coarse[1]
    if abs(int(one.sum(dtype=np.int64)) - int(other.sum(dtype=np.int64))) < (_LIGHT - 1) * one.size:
        return 0
    apart = one.astype(np.int16) - other
    counts = np.bincount((apart + 255).ravel(), minlength=511)
    middle = int(np.searchsorted(np.cumsum(counts), (one.size + 1) // 2)) - 255
    if abs(middle) < _LIGHT:
        return 0
    before, after = (int(np.minimum(np.abs(d), _CLIP).sum(dtype=np.int64)) for d in (apart, apart - np.int16(middle)))
    return middle if after * 4 <= before * 3 else 0


def relit(plane: Plane, levels: int) -> Plane:
    """Return a plane made darker by some levels, within 0 to 255."""
    result: Plane = np.clip(plane.astype(np.int16) - np.int16(levels), 0, 255).astype(np.uint8)
    return result


def _unlike(one: Pattern, other: Pattern) -> int:
    """Return how unlike two patterns are that have a mean of nothing, in 256ths: |a - b| over |a| + |b|."""
    both = int(np.abs(one).sum(dtype=np.int64) + np.abs(other).sum(dtype=np.int64))
    return int(np.abs(one - other).sum(dtype=np.int64)) * ONE // both if both else 0


def difference(here: Picture, there: Picture, move: Place) -> int:
    """Return the mean difference of two frames at a displacement in pixels, as `is_cut` takes it, in 256ths."""
    return mean_difference(*_pair(here, there, move), _CLIP)


def _pair(here: Picture, there: Picture, move: Place) -> tuple[Plane, Plane]:
    factor, plane = here.coarse
    return pair(plane, there.coarse[1], nearest(move[0], factor), nearest(move[1], factor))


def is_cut(here: Picture, there: Picture, move: Place, apart: int, usual: int) -> bool:
    """Tell whether a frame has so little in common with the one before that it shows another scene.

    move: the displacement at which they agree best, pixels; apart: their `difference` there; usual: that of the
    frame before, or before the last cut. Other light alone is no cut, since patterns stay; a pan too fast to follow is
    none, since the tones stay."""
    if apart < _DIFFERENCE:
        return False
    plane, before = here.coarse[1], there.coarse[1]
    tones, tones_before = (np.bincount(p.ravel() >> 3, minlength=32) for p in (plane, before))
    changed = int(np.abs(tones - tones_before).sum()) * ONE // (2 * plane.size)
    if changed < (_TONES_SUDDEN if apart >= _SUDDEN * usual else _TONES):
        return False
    one, other = _pair(here, there, move)
    if _unlike(_detail(one), _detail(other)) < _DETAIL:
        return False
    wide, wide_before = (p.astype(np.int64) - int(p.sum(dtype=np.int64)) // p.size for p in (one, other))
    return _unlike(wide, wide_before) >= _STRUCTURE
