"""How one file of an import or export ended, and what all of them came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from latcomp.errors import LatcompError

DONE, SKIPPED, FAILED, LEFT_OUT = "done", "skipped", "failed", "left out"
_NOTES_MOST = 100  # different ones that a summary keeps


@dataclass(frozen=True)
class CacheOutcome:
    """How one file ended."""

    source: str
    """Path of the file; of an item of a database that of the shard with the item's number."""
    target: str | None
    """Path of what was made, the first where there are several; None where nothing was to be."""
    status: str
    """`DONE`, `SKIPPED` (it was there, intact and of these settings), `LEFT_OUT` (it holds no latents), `FAILED`."""
    error: LatcompError | None = None
    bytes_source: int = 0
    bytes_total: int = 0
    """Of what was made, or was there."""
    facts: dict[str, Any] = field(default_factory=dict)
    """format, space, estimator, layout, dtype, architecture, shape, relative_rmse; empty for a failed one."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self, exit_code: Callable[[LatcompError], int], words: Callable[[LatcompError], str]) -> dict[str, Any]:
        """The object of one line. exit_code, words: of an error."""
        names = ("format", "space", "estimator", "layout", "dtype", "architecture", "shape", "relative_rmse")
        return {
            "source": self.source,
            "target": self.target,
            "status": self.status,
            "error": None if self.error is None else words(self.error),
            "exit_code": 0 if self.error is None else exit_code(self.error),
            "bytes_source": self.bytes_source,
            "bytes": self.bytes_total,
            **{name: self.facts.get(name) for name in names},
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


@dataclass
class CacheSummary:
    """What an import or export came to."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    left_out: int = 0
    bytes_source: int = 0
    """Of the files that are done or were there."""
    bytes_total: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    """Files of each trainer's format."""
    notes: dict[str, int] = field(default_factory=dict)
    """What was noted, with how many files it holds for."""
    first_error: LatcompError | None = None
    """Of the first file, in the order of names, that failed."""
    _first: str = field(default="", repr=False)

    def add(self, outcome: CacheOutcome) -> None:
        """Count one file."""
        name = outcome.status.replace(" ", "_")
        setattr(self, name, getattr(self, name) + 1)
        if outcome.error is not None and (self.first_error is None or outcome.source < self._first):
            self.first_error, self._first = outcome.error, outcome.source
        if outcome.status in (DONE, SKIPPED):
            self.bytes_source += outcome.bytes_source
            self.bytes_total += outcome.bytes_total
            form = outcome.facts.get("format")
            if form is not None:
                self.formats[form] = self.formats.get(form, 0) + 1
        for note in outcome.notes:
            if note in self.notes or len(self.notes) < _NOTES_MOST:
                self.notes[note] = self.notes.get(note, 0) + 1


Watch = Callable[[CacheOutcome], None]
"""Called with each outcome, in the process and thread that runs the import or export; what it raises ends it."""
