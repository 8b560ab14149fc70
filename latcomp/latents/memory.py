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
from latcomp.latents.store import WorldStore
from latcomp.latents.world import FrameView, GroupView


@dataclass
class TokenMemory:
    """The state of a segment after some latent frames, for the positions that its view shows. One row more than there
    are positions, always zero, stands for everything outside of it.

    Values may be symbols (int32), latents (float32), or their bits (uint32), as the holder works with them.
    """

    view: FrameView
    """The positions that the latent frame shows that comes next."""
    kept: np.ndarray
    """(P + 1, C): last kept values; zero before the first."""
    halvings: np.ndarray
    """uint8 (P,): how many times the step behind each value was halved."""
    age: np.ndarray
    """int32 (P,): latent frames since each value was kept, 0 where the last latent frame kept it."""
    seen: np.ndarray
    """bool (P,): which positions have a value; the others are shown for the first time, and kept for it."""
    first: bool = True
    """Whether no latent frame was seen yet."""
    prediction: Prediction = HOLD
    # what the last latent frame kept, and the values (n, C) that it took the place of; None before the first
    _places: np.ndarray = field(default_factory=lambda: np.zeros(0, np.intp), repr=False)
    _replaced: np.ndarray | None = field(default=None, repr=False)
    _store: WorldStore | None = field(default=None, repr=False)  # of what is out of sight; made when the view moves

    @classmethod
    def start(
        cls,
        grid: tuple[int, ...] | FrameView,
        channels: int,
        dtype: np.typing.DTypeLike = np.int32,
        prediction: Prediction = HOLD,
    ) -> TokenMemory:
        """The memory at the start of a segment. grid: (rows, columns) of positions, or what its first latent frame
        shows."""
        view = grid if isinstance(grid, FrameView) else FrameView.whole(grid)
        count = view.count
        return cls(
            view,
            np.zeros((count + 1, channels), dtype),
            np.zeros(count, np.uint8),
            np.zeros(count, np.int32),
            np.zeros(count, bool),
            prediction=prediction,
        )

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the view's box."""
        return self.view.box.shape

    @property
    def positions(self) -> int:
        """Positions in view, P."""
        return len(self.age)

    @property
    def just_kept(self) -> np.ndarray:
        """bool (P,): whether the last latent frame kept the position."""
        found: np.ndarray = self.seen & (self.age == 0)
        return found

    def look(self, view: FrameView | None) -> None:
        """Turn to what the next latent frame shows; None: to the same. What goes out of sight is remembered."""
        if view is None or view is self.view:
            return
        if self.first:
            fresh = TokenMemory.start(view, self.kept.shape[1], self.kept.dtype, self.prediction)
            vars(self).update(vars(fresh))
            return
        if self._store is None:
            self._store = WorldStore(self.kept.shape[1], self.kept.dtype)
        self._store.put(self.view, self.kept[:-1], self.halvings, self.age, self.seen)
        places = np.arange(0)
        if self._replaced is not None:
            y, x = (axis[self._places] for axis in self.view.world)
            places = view.number_at(y, x)
            shown = places < view.count
            places, self._replaced = places[shown], self._replaced[shown]
        self._places, self.view = places, view
        self.kept = np.zeros((view.count + 1, self.kept.shape[1]), self.kept.dtype)
        self.kept[:-1], self.halvings, self.age, self.seen = self._store.take(view)

    def predicted(self) -> np.ndarray:
        """(P + 1, C): what each position of the next latent frame is expected to be. Not to be written to."""
        return self.prediction.predict(self)

    def predicted_planes(self) -> np.ndarray:
        """(C, P): the same, channels first."""
        return np.ascontiguousarray(self.predicted()[:-1].T)

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
        self.seen[places] = True
        self.first = False
        if self._store is not None:
            self._store.advance()

    def advance_through(
        self, mask: np.ndarray, tokens: np.ndarray, halvings: np.ndarray | None = None, view: GroupView | None = None
    ) -> Iterator[FrameTokens]:
        """Take over a group, a latent frame at a time: each is given when it was taken over.

        mask: (T, h, w) bool; tokens: (N, C) in order t, y, x; halvings: (N,), None for none; view: what the group
        shows, None where that does not change, and then a mask (T, P) will do.
        """
        for frame in frames_of_tokens(mask, view):
            self.look(frame.view)
            self.advance(frame.places, tokens[frame.rows], 0 if halvings is None else halvings[frame.rows])
            yield frame

    def advance_group(
        self, mask: np.ndarray, tokens: np.ndarray, halvings: np.ndarray | None = None, view: GroupView | None = None
    ) -> np.ndarray:
        """The same at once. Gives (N, C): the value that each token took the place of."""
        replaced = np.empty_like(tokens)
        for frame in self.advance_through(mask, tokens, halvings, view):
            replaced[frame.rows] = self._replaced
        return replaced

    def reset(self) -> None:
        """Forget everything: a segment starts."""
        for array in (self.kept, self.halvings, self.age, self.seen):
            array[:] = 0
        self.first, self._places, self._replaced, self._store = True, self._places[:0], None, None

    def copy(self) -> TokenMemory:
        """A copy that later latent frames do not change."""
        return TokenMemory(
            self.view,
            self.kept.copy(),
            self.halvings.copy(),
            self.age.copy(),
            self.seen.copy(),
            self.first,
            self.prediction,
            self._places,
            self._replaced,
            None if self._store is None else self._store.copy(),
        )
