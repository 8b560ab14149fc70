"""An even sample of a stream whose length is not known before its end."""

from __future__ import annotations

from typing import Generic, TypeVar

Item = TypeVar("Item")


class EvenSample(Generic[Item]):
    """Keeps fewer than twice `wanted` items of a stream, evenly spaced, and gives `wanted` of them at its end.

    Every item is kept at first; whenever twice as many as wanted are there, every other one goes, and from then on
    only one in twice as many is taken."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._stride = 1
        self._count = 0
        self._kept: list[tuple[int, Item]] = []

    @property
    def takes_next(self) -> bool:
        """Whether the next item will be kept for now."""
        return self._count % self._stride == 0

    def add(self, item: Item) -> None:
        """Take the next item."""
        if self.takes_next:
            self._kept.append((self._count, item))
        self._count += 1
        if len(self._kept) == 2 * self._wanted:
            self._kept = self._kept[::2]
            self._stride *= 2

    def chosen(self) -> list[tuple[int, Item]]:
        """(number in the stream from 0, item) of `wanted` items, all of them where the stream has no more: those in the
        middle of equal parts of what is kept."""
        kept = len(self._kept)
        if kept <= self._wanted:
            return list(self._kept)
        return [self._kept[(2 * part + 1) * kept // (2 * self._wanted)] for part in range(self._wanted)]
