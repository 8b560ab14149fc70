"""A PyTorch data set of .lat files: whole ones, or random stretches of latent frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from latcomp.checks import check_whole, check_word
from latcomp.codec.lat_file import LatFile
from latcomp.datasets.items import Draw, ItemReader, Shape, TooShortError
from latcomp.datasets.open_files import OpenFiles
from latcomp.datasets.paths import Texts, find_files
from latcomp.datasets.settings import ItemSettings
from latcomp.datasets.threads import one_blas_thread
from latcomp.errors import DamagedFileError, LatcompError, UsageError
from latcomp.limits import DEFAULT_MAX_PIXELS

OPEN_FILES = 16


class LatDataset(Dataset[dict[str, Any]]):
    """Items of .lat files, each a dictionary:

    - `latents`: (C, T, h, w) tensor of `dtype`, every dropped position filled; `mask`: (T, h, w) bool, which positions
      were kept
    - `num_frames`: frames that they stand for; `height`, `width`: of the video in pixels; `fps`: its average frame
      rate, 0.0 where it did not say
    - `key`: which file, as `find_files` has it; `tokenizer`: name and fingerprint, as 'cv8x8x4:be2bdaf314d5'
    - `first_latent_frame`: where in the file the item begins, from 0

    With places='world', `latents` and `mask` are lists with a tensor for each group over its window of the world, and
    so are `window` (top, left, rows, columns in positions), `offsets` ((frames, 2) int64, pixels) and `visible` ((T, h,
    w) bool): see `latcomp.codec.places.WorldLatents`.

    Safe in workers that are forked or spawned: each opens its own files, and what is pickled are the paths."""

    def __init__(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        latent_frames: int | None = None,
        stretches: int = 1,
        starts: str = "any",
        seed: int | None = None,
        fill: str = "auto",
        dtype: str | torch.dtype = "bfloat16",
        damaged: str = "error",
        short: str = "error",
        places: str = "frame",
        device: str = "cpu",
        tokenizer: str | Path | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        open_files: int = OPEN_FILES,
    ) -> None:
        """No file is opened before it is asked for.

        paths: files, folders, globs or lists of files, see `find_files`; latent_frames, starts, fill, dtype, places,
        device, tokenizer, max_pixels: see `ItemSettings`.
        stretches: random stretches of each file an epoch, each in its own part of the file: the data set is so many
        times as long.
        seed: makes where a stretch begins a function of it, the epoch (`set_epoch`) and the item's number alone,
        whatever the workers; None draws from PyTorch's generator, which differs in each worker and epoch and follows
        `torch.manual_seed`.
        damaged: 'error' raises where damage is met, 'skip' puts the next file of the same shape in the place of a
        damaged one and warns, 'hold' holds the last good latent frame in the place of lost ones.
        short: what to do with files of fewer than `latent_frames`, 'error' or 'skip'.
        open_files: how many files each process keeps open.

        Raises `UsageError` for settings out of range and for paths that stand for no file."""
        check_word("damaged", damaged, ("error", "skip", "hold"))
        check_word("short", short, ("error", "skip"))
        check_whole("open_files", open_files, 1, "choose 1 file or more")
        check_whole("stretches", stretches, 1, "choose 1 or more")
        if stretches > 1 and latent_frames is None:
            raise UsageError("stretches need latent_frames: a whole file is one item")
        if seed is not None:
            check_whole("seed", seed, 0, "choose 0 or more")
        held = "hold" if damaged == "hold" else "error"
        found = None if tokenizer is None else str(tokenizer)
        self.settings = ItemSettings(
            latent_frames, starts, fill, str(dtype), places, held, device, found, max_pixels=max_pixels
        )
        self.seed, self.stretches = seed, stretches
        self._passes = tuple(
            kind for kind, chosen in ((DamagedFileError, damaged), (TooShortError, short)) if chosen == "skip"
        )
        files = find_files(paths)
        self._paths, self._keys = Texts(str(path) for path, _ in files), Texts(key for _, key in files)
        self._open = OpenFiles(open_files)
        self._reader = ItemReader(self.settings)
        self._warned: set[int] = set()
        # in shared memory: workers that live on from epoch to epoch see it change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self._paths) * self.stretches

    def __repr__(self) -> str:
        length = self.settings.latent_frames
        what = "whole" if length is None else f"{self.stretches} x {length} latent frames of each"
        return f"LatDataset({len(self._paths)} files, {what}, {self.settings.dtype}, fill={self.settings.fill!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reader = ItemReader(self.settings)

    @property
    def files(self) -> list[Path]:
        """The files, in order; item i is of file i // stretches."""
        return [Path(path) for path in self._paths]

    @property
    def epoch(self) -> int:
        """Number of the epoch, from 0."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, so that stretches begin elsewhere than in the last one. For those with a seed."""
        check_whole("epoch", epoch, 0, "choose 0 or more")
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item of a number. Raises `DamagedFileError` for a file that is damaged or cannot be read, `UsageError`
        for one that is too short or whose camera was followed, `UnsupportedFileError` for models that are not at
        hand; each names the file."""
        if get_worker_info() is not None:
            one_blas_thread()
        index = range(len(self))[index]  # raises IndexError
        number, part = divmod(index, self.stretches)
        draw, wanted = self._draw(index), None
        for other in self._in_turn(number):
            try:
                file = self._file(other)
                shape = self._reader.shape(file)
                if other == number:
                    wanted = shape
                if wanted is not None and shape != wanted:
                    continue
                return self._reader.read(file, self._keys[other], draw, (part, self.stretches))
            except LatcompError as error:
                self._pass_over(other, error)
        raise DamagedFileError(f"{self._paths[number]} cannot be read, and no other file can take its place")

    def shapes(self) -> list[Shape | None]:
        """The shape of every item, None for those that are left out; reads the header and the index of every file."""
        found: list[Shape | None] = []
        for number in range(len(self._paths)):
            shape = None
            try:
                shape = self._reader.shape(self._file(number))
            except LatcompError as error:
                self._pass_over(number, error)
            found += [shape] * self.stretches
        return found

    def _in_turn(self, number: int) -> Iterator[int]:
        """A file, and where files may be passed over, those that may take its place: the next ones, around the end."""
        count = len(self._paths)
        return (at % count for at in range(number, number + (count if self._passes else 1)))

    def _file(self, number: int) -> LatFile:
        return self._open.get(self._paths[number], self._reader.open)

    def _pass_over(self, number: int, error: LatcompError) -> None:
        """Warn of a file that is passed over, once in a process; raise what is not, with the file's name."""
        path = self._paths[number]
        self._open.close(path)
        if not isinstance(error, self._passes):
            text = str(error)
            raise type(error)(text if path in text else f"{path}: {text}", settings=error.settings) from error
        if number not in self._warned:
            self._warned.add(number)
            warnings.warn(f"{path} is left out: {error}", RuntimeWarning, stacklevel=3)

    def _draw(self, index: int) -> Draw:
        """Where the stretch of an item begins."""
        if self.seed is None:
            return lambda many: int(torch.randint(many, ()))
        generator = np.random.default_rng((self.seed, self.epoch, index))
        return lambda many: int(generator.integers(many))
