"""Keep masks in few bytes: packed bits under zstd, as they are or as changes from the latent frame before."""

from __future__ import annotations

import numpy as np

from latcomp.container.format import MASK_ALL, MASK_BITS, MASK_CHANGES
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError, UnsupportedFileError

WHAT = "keep mask"


def encode_mask(mask: np.ndarray, key: bool) -> tuple[int, bytes]:
    """(coding id, bytes) of a keep mask (T, h, w) bool. A key group's first latent frame is all kept and not stored."""
    if mask.all():
        return MASK_ALL, b""
    stored = mask[1:] if key else mask
    changes = stored.copy()
    changes[1:] ^= stored[:-1]
    tried = [(MASK_BITS, compress(np.packbits(stored).tobytes())), (MASK_CHANGES, compress(np.packbits(changes).tobytes()))]
    return min(tried, key=lambda pair: len(pair[1]))


def decode_mask(coding: int, data: bytes | memoryview, shape: tuple[int, int, int], key: bool) -> np.ndarray:
    """bool (T, h, w). Raises `DamagedFileError` when the bytes do not give exactly that many bits."""
    if coding == MASK_ALL:
        if len(data):
            raise DamagedFileError(f"{WHAT}: bytes where none belong")
        return np.ones(shape, bool)
    if coding not in (MASK_BITS, MASK_CHANGES):
        raise UnsupportedFileError(f"{WHAT}: coding {coding} is not known: use a newer latcomp")
    steps = shape[0] - key
    count = steps * shape[1] * shape[2]
    packed = np.frombuffer(decompress(data, -(-count // 8), WHAT, exactly=-(-count // 8)), np.uint8)
    bits = np.unpackbits(packed)
    if bits[count:].any():
        raise DamagedFileError(f"{WHAT}: bits after the last position")
    stored = bits[:count].reshape(steps, *shape[1:])
    if coding == MASK_CHANGES:
        stored = np.bitwise_xor.accumulate(stored, axis=0)
    mask = np.ones(shape, bool)
    mask[int(key) :] = stored
    return mask
