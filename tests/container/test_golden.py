"""Files written by earlier versions of the program read the same for ever.

`python -m tests.container.test_golden` writes files that are not there yet; existing ones are never replaced.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from latcomp.container import AudioChunk, Group, Header, Reader, check
from tests.container.make import groups, sized, written

FOLDER = Path(__file__).parent / "golden"
NAMES = ("version-1-int", "version-1-lossless", "version-1-dense")


def digest(path: Path) -> dict[str, object]:
    """What a file holds, as text and hashes."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        reader = Reader(file)
        items = list(reader)
    for item in items:
        if isinstance(item, Group):
            facts = (item.index, item.key, item.first_frame, item.fill, item.pts.tolist(), item.mask.shape, item.step_adjust)
            found.update(repr(facts).encode())
            found.update(item.mask.tobytes() + item.tokens.tobytes())
        else:
            assert isinstance(item, AudioChunk)
            found.update(repr(item).encode())
    return {"header": json.loads(json.dumps(reader.header.to_dict())), "items": len(items), "sha256": found.hexdigest()}


@pytest.mark.parametrize("name", NAMES)
def test_golden_files(name: str) -> None:
    """Header, times, masks, tokens and audio of a committed file are what they were when it was written."""
    path = FOLDER / f"{name}.lat"
    wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    wanted["header"] = {"prior": None, "units": 1, **wanted["header"]}  # members that came later, and what files without them mean
    assert digest(path) == wanted
    with path.open("rb") as file:
        assert check(file) == []


def _header(name: str) -> Header:
    return sized(16, 20, 5, coding="lossless" if name.endswith("lossless") else "int")


if __name__ == "__main__":
    for missing in (FOLDER / f"{name}.lat" for name in NAMES):
        if not missing.exists():
            of = _header(missing.stem)
            missing.write_bytes(written(of, groups(of, 3, last_frames=6, dense=missing.stem.endswith("dense"))))
            missing.with_suffix(".json").write_text(json.dumps(digest(missing), indent=1) + "\n", encoding="utf-8")
