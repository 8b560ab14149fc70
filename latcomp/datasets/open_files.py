"""A few files kept open between items, in each process its own."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from latcomp.codec.lat_file import LatFile


class OpenFiles:
    """The files that were used last, `most` at a time; the longest unused is closed for the next.

    A process that was forked shares the places in its parent's files, so that both would read wrong bytes: it opens its
    own. What is pickled holds none."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._files: OrderedDict[str, LatFile] = OrderedDict()
        self._process = os.getpid()

    def get(self, path: str, open_file: Callable[[str], LatFile]) -> LatFile:
        """The file of a path, opened where it is not open. Raises what `open_file` does."""
        if self._process != os.getpid():
            self._files, self._process = OrderedDict(), os.getpid()
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        while len(self._files) >= self.most:
            self._files.popitem(last=False)[1].close()
        file = self._files[path] = open_file(path)
        return file

    def close(self, path: str) -> None:
        """Close one file, if it is open."""
        if self._process == os.getpid() and path in self._files:
            self._files.pop(path).close()

    def __getstate__(self) -> dict[str, Any]:
        return {"most": self.most}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]
