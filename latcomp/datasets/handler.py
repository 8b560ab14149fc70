"""A handler that makes items of the .lat members of tar files, for WebDataset. No torch before its first call."""

from __future__ import annotations

import io
import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from latcomp.checks import check_whole
from latcomp.datasets.settings import ItemSettings
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.suffixes import LAT

if TYPE_CHECKING:
    from latcomp.datasets.items import Draw, ItemReader


class LatHandler:
    """For `webdataset.WebDataset(...).decode(LatHandler(...))`: called with a member's extension and bytes, it gives
    the item of a .lat, as `LatDataset` describes it with an empty `key`, and None for everything else, which other
    handlers take.

    Extensions may have parts, as in x.clip.lat. The sample's own `__key__` says which it is."""

    def __init__(
        self,
        *,
        latent_frames: int | None = None,
        starts: str = "any",
        seed: int | None = None,
        fill: str = "auto",
        dtype: Any = "bfloat16",
        damaged: str = "error",
        places: str = "frame",
        device: str = "cpu",
        tokenizer: str | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
    ) -> None:
        """Settings: see `ItemSettings`. seed: makes where a stretch begins a function of it and the file's bytes, the
        same in each epoch; None draws from PyTorch's generator. Files that are damaged or too short raise; WebDataset's
        `handler=wds.warn_and_continue` leaves their samples out. Raises `UsageError` for settings out of range."""
        self.settings = ItemSettings(
            latent_frames, starts, fill, str(dtype), places, damaged, device, tokenizer, max_pixels=max_pixels
        )
        if seed is not None:
            check_whole("seed", seed, 0, "choose 0 or more")
        self.seed = seed

    def __repr__(self) -> str:
        return f"LatHandler({self.settings}, seed={self.seed})"

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "seed": self.seed}

    @cached_property
    def _reader(self) -> ItemReader:
        from latcomp.datasets.items import ItemReader

        return ItemReader(self.settings)

    def __call__(self, key: str, data: Any) -> dict[str, Any] | None:
        """The item of a .lat's bytes; None where `key` does not end in .lat. Raises what reading a `LatDataset` item
        does."""
        if f".{key}".rpartition(".")[2].lower() != LAT[1:]:
            return None
        _in_worker()
        with self._reader.open(io.BytesIO(data)) as file:
            return self._reader.read(file, "", self._draw(data))

    def _draw(self, data: bytes) -> Draw:
        if self.seed is None:
            import torch

            return lambda many: int(torch.randint(many, ()))
        import numpy as np

        generator = np.random.default_rng((self.seed, zlib.crc32(data)))
        return lambda many: int(generator.integers(many))


def _in_worker() -> None:
    """Take one thread, where this is a worker of a DataLoader."""
    from torch.utils.data import get_worker_info

    if get_worker_info() is not None:
        from latcomp.datasets.threads import one_blas_thread

        one_blas_thread()


_WHOLE = LatHandler()


def lat_handler(key: str, data: Any) -> dict[str, Any] | None:
    """`LatHandler` with its defaults: whole files, bfloat16, filled as the encoder chose."""
    return _WHOLE(key, data)
