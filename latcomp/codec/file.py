"""A .lat file opened for reading in Python: header, statistics, groups, latents and masks by time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from latcomp.codec.decode import Decoder, seek_to
from latcomp.codec.settings import DEFAULT_MAX_PIXELS, TimeWindow
from latcomp.container import Group, Header, Limits, Reader, scan
from latcomp.container.walk import NO_FRAMES
from latcomp.errors import DamagedFileError, UsageError
from latcomp.report.stats import stats_dict
from latcomp.tokenizer import registry


class LatFile:
    """Reader of a seekable .lat file; a context manager. Iterating yields its groups in order."""

    def __init__(
        self, source: str | Path | BinaryIO, fill: str = "auto", device: str = "auto", tokenizer: Path | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS, limits: Limits | None = None,
    ) -> None:  # fmt: skip
        """source: a path or a seekable binary file object; fill, device, max_pixels, limits: as for `decode`.

        Raises `DamagedFileError` when the source cannot be read or is not a .lat file.
        """
        self._owned = isinstance(source, str | Path)
        try:
            self._file: BinaryIO = Path(source).open("rb") if isinstance(source, str | Path) else source
        except OSError as error:
            raise DamagedFileError(f"{source} cannot be read: {error.strerror or error}") from None
        self._limits = limits or Limits(max_pixels=max_pixels)
        self._fill, self._device, self._tokenizer = fill, device, tokenizer
        self.header: Header = Reader(self._file, self._limits).header
        """The file's header."""

    def __enter__(self) -> LatFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        header = self.header
        return f"LatFile({header.width}x{header.height}, {header.tokenizer['name']}, quality {header.quality})"

    def close(self) -> None:
        """Close the file, when it was opened here."""
        if self._owned:
            self._file.close()

    def stats(self) -> dict[str, Any]:
        """The object of `latcomp stats --json`."""
        self._file.seek(0)
        return stats_dict(scan(self._file))

    def __iter__(self) -> Iterator[Group]:
        self._file.seek(0)
        for item in Reader(self._file, self._limits, registry.prior_finder(self._tokenizer)):
            if isinstance(item, Group):
                yield item

    def _chosen(self, start_seconds: float, duration_seconds: float | None) -> Iterator[tuple[Group, slice]]:
        """Groups from the segment that holds the start on, with the latent frames of each that lie in the chosen time."""
        window = TimeWindow.of(start_seconds, duration_seconds)
        unit = Fraction(*self.header.time_base)
        temporal = int(self.header.tokenizer["temporal"])
        self._file.seek(0)
        reader = Reader(self._file, self._limits, registry.prior_finder(self._tokenizer))
        first = seek_to(reader, window)
        for item in reader:
            if not isinstance(item, Group):
                continue
            first = int(item.pts[0]) if first is None else first
            times = [(pts - first) * unit for pts in item.pts.tolist()]
            if not window.is_before_end(times[0]):
                return
            # a latent frame is chosen when any of its frames is
            chosen = sorted({index // temporal for index, seconds in enumerate(times) if window.holds(seconds)})
            yield item, slice(chosen[0], chosen[-1] + 1) if chosen else slice(0, 0)

    def latents(self, start_seconds: float = 0.0, duration_seconds: float | None = None) -> Any:
        """Filled latents `(1, C, T, H/8, W/8)`, a float32 torch tensor, of the latent frames that overlap the chosen time."""
        import torch

        decoder = Decoder(self.header, self._device, self._fill, self._tokenizer)
        pieces = [decoder.latents(group)[:, :, wanted] for group, wanted in self._chosen(start_seconds, duration_seconds)]
        pieces = [piece for piece in pieces if piece.shape[2]]
        if not pieces:
            raise UsageError("no latent frame lies in the chosen time")
        return torch.cat(pieces, dim=2)

    @property
    def mask(self) -> np.ndarray:
        """Keep mask of the whole file, `(T, H/8, W/8)` booleans. Raises `DamagedFileError` when it holds no frames."""
        masks = [group.mask for group in self]
        if not masks:
            raise DamagedFileError(NO_FRAMES)
        return np.concatenate(masks)


def open_lat(source: str | Path | BinaryIO, **settings: Any) -> LatFile:
    """A `LatFile` of a path or seekable file object."""
    return LatFile(source, **settings)
