"""What a segment remembers of its tokens: the last kept value of every position, how it was coded and how old it is.

The heart of the method (arXiv 2606.06158, section 3): what selection measures differences against, what coding takes as
known, and what dropped positions are filled from. It advances here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from latcomp.latents.grid import FrameTokens, frames_of_tokens
from latcomp.latents.prediction import HOLD, Prediction


@dataclass
class TokenMemory:
    """The state of a segment after some latent frames. One row more than there are positions, always zero, stands for
    everything outside of the grid.

    Values may be symbols (int32), latents (float32), or their bits (uint32), as the holder works with them.
    """

    grid: tuple[int, int]
    """(rows, columns) of positions."""
    kept: np.ndarray
    """(P + 1, C): last kept values; zero before the first."""
    halvings: np.ndarray
    """uint8 (P,): how many times the step behind each value was halved."""
    age: np.ndarray
    """int32 (P,): latent frames since each value was kept, 0 where the last latent frame kept it."""
    first: bool = True
    """Whether no latent frame was seen yet."""
    prediction: Prediction = HOLD
    # what the last latent frame kept, and the values (n, C) that it took the place of; None before the first
    _places: np.ndarray = field(default_factory=lambda: np.zeros(0, np.intp), repr=False)
    _replaced: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def start(
        cls, grid: tuple[int, ...], channels: int, dtype: np.typing.DTypeLike = np.int32, prediction: Prediction = HOLD
    ) -> TokenMemory:
        """The memory at the start of a segment on a grid of (rows, columns)."""
        rows, columns = grid
        count = rows * columns
        return cls(
            (rows, columns),
            np.zeros((count + 1, channels), dtype),
            np.zeros(count, np.uint8),
            np.zeros(count, np.int32),
            prediction=prediction,
        )

    @property
    def positions(self) -> int:
        """Positions of the grid, P."""
        return len(self.age)

    @property
    def just_kept(self) -> np.ndarray:
        """bool (P,): whether the last latent frame kept the position."""
        return np.zeros(self.positions, bool) if self.first else self.age == 0

    def predicted(self) -> np.ndarray:
        """(P + 1, C): what each position of the next latent frame is expected to be. Not to be written to."""
        return self.prediction.predict(self)

    def predicted_grid(self) -> np.ndarray:
        """(C, h, w): the same, channels first."""
        return self.as_grid(self.predicted())

    def as_grid(self, values: np.ndarray) -> np.ndarray:
        """(C, h, w), contiguous, of values (P + 1, C)."""
        return np.ascontiguousarray(values[:-1].T).reshape(-1, *self.grid)

    def change(self) -> np.ndarray:
        """(P + 1, C): by how much the last latent frame changed each kept value, zero where it kept none."""
        found = np.zeros_like(self.kept)
        if self._replaced is not None:
            found[self._places] = self.kept[self._places] - self._replaced
        return found

    def advance(self, places: np.ndarray, values: np.ndarray, halvings: np.ndarray | int = 0) -> None:
        """Take over a latent frame: values (n, C) and halvings (n,) that it keeps at places (n,)."""
        self._places, self._replaced = places, self.kept[places]
        self.kept[places] = values
        self.halvings[places] = halvings
        self.age += 1
        self.age[places] = 0
        self.first = False

    def advance_through(
        self, mask: np.ndarray, tokens: np.ndarray, halvings: np.ndarray | None = None
    ) -> Iterator[FrameTokens]:
        """Take over a group, a latent frame at a time: each is given when it was taken over.

        mask: (T, h, w) or (T, P) bool; tokens: (N, C) in order t, y, x; halvings: (N,), None for none.
        """
        for frame in frames_of_tokens(mask):
            self.advance(frame.places, tokens[frame.rows], 0 if halvings is None else halvings[frame.rows])
            yield frame

    def advance_group(self, mask: np.ndarray, tokens: np.ndarray, halvings: np.ndarray | None = None) -> np.ndarray:
        """The same at once. Gives (N, C): the value that each token took the place of."""
        replaced = np.empty_like(tokens)
        for frame in self.advance_through(mask, tokens, halvings):
            replaced[frame.rows] = self._replaced
        return replaced

    def reset(self) -> None:
        """Forget everything: a segment starts."""
        for array in (self.kept, self.halvings, self.age):
            array[:] = 0
        self.first, self._places, self._replaced = True, self._places[:0], None

    def copy(self) -> TokenMemory:
        """A copy that later latent frames do not change."""
        return TokenMemory(
            self.grid,
            self.kept.copy(),
            self.halvings.copy(),
            self.age.copy(),
            self.first,
            self.prediction,
            self._places,
            self._replaced,
        )
