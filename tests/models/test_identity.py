"""Protects the identity of models: weights and configuration in one hash that never changes; headers are held against
their models.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from latcomp import models
from latcomp.errors import UnsupportedFileError
from latcomp.models.headers import header_faults
from latcomp.models.identity import canonical, fingerprint
from latcomp.tokenizer.base import TokenizerSpec

CONFIG = {
    "name": "a",
    "channels": 6,
    "step": [1.5, 0.1, 1e-07, 3],
    "block": "dicht · dense",
    "more": {"b": None, "a": True},
}
SPEC = TokenizerSpec("t", 6, 8, 4, 4, (1.0,) * 6, (1.0,) * 6)
TINY = Path(__file__).parents[1] / "codec" / "golden" / "tokenizer"


def test_the_hash_is_that_of_the_format() -> None:
    """As FORMAT.md has it: members sorted, no name, no spaces, ASCII; then a line feed and the hash of the weights."""
    text = b'{"block":"dicht \\u00b7 dense","channels":6,"more":{"a":true,"b":null},"step":[1.5,0.1,1e-07,3]}'
    assert canonical(CONFIG) == text
    assert fingerprint(CONFIG, "ab" * 32) == hashlib.sha256(text + b"\n" + b"ab" * 32).hexdigest()
    assert fingerprint(CONFIG, "ab" * 32) == "84ca781f912b246bf129f55d42228d334d9a66e5d56c9065427e312d7fd47145"


def test_order_spaces_and_the_name_do_not_count() -> None:
    again = json.loads(json.dumps(dict(reversed({**CONFIG, "name": "b"}.items())), indent=3))
    assert fingerprint(again, "ab" * 32) == fingerprint(CONFIG, "ab" * 32)


@pytest.mark.parametrize("change", [{"channels": 7}, {"step": [1.5, 0.1, 1e-07, 4]}, {"block": "dense"}, {"new": 0}])
def test_everything_else_counts(change: dict[str, Any]) -> None:
    assert fingerprint({**CONFIG, **change}, "ab" * 32) != fingerprint(CONFIG, "ab" * 32)
    assert fingerprint(CONFIG, "cd" * 32) != fingerprint(CONFIG, "ab" * 32)


def edited(folder: Path, target: Path, **changes: Any) -> Path:
    """A copy of a model's folder with another configuration."""
    shutil.copytree(folder, target)
    config = json.loads((target / models.CONFIG).read_text(encoding="utf-8"))
    (target / models.CONFIG).write_text(json.dumps({**config, **changes}), encoding="utf-8")
    return target


def test_a_folder_is_found_by_weights_and_configuration(tmp_path: Path) -> None:
    """Weights alone find a model for files that know no more; a fingerprint finds the one it is of, and names the one
    it is not of.
    """
    record = models.model_record(TINY, "tiny")
    steps = json.loads((TINY / models.CONFIG).read_text(encoding="utf-8"))["channel_step"]
    other = edited(TINY, tmp_path / "other", channel_step=[4 * step for step in steps])
    renamed = edited(TINY, tmp_path / "renamed", name="mine")
    assert models.find_model(record, "tokenizer", TINY) == TINY
    assert models.find_model(record, "tokenizer", renamed) == renamed
    with pytest.raises(UnsupportedFileError, match="another configuration"):
        models.find_model(record, "tokenizer", other)
    del record["fingerprint"]
    assert models.find_model(record, "tokenizer", other) == other
    for kind in ("prior", "lit"):
        with pytest.raises(UnsupportedFileError, match="was not found"):
            models.find_model(record, kind, TINY)


def said(**changes: Any) -> dict[str, Any]:
    tokenizer = {"name": "t", "sha256": "ab" * 32, "channels": 6, "spatial": 8, "temporal": 4}
    return {"tokenizer": {**tokenizer, **changes}, "lit": {"name": "l", "sha256": "cd" * 32}, "prior": None}


@pytest.mark.parametrize(
    ("header", "configs", "word"),
    [
        (said(channels=5), {}, "channels 5"),
        (said(temporal=2), {}, "temporal 2"),
        (said(spatial=16), {}, "spatial 16"),
        (said(first_frames=1), {}, "first_frames 1"),
        (said(), {"lit": {"tokenizer_sha256": "00" * 32, "channels": 6}}, "another tokenizer"),
        (said(), {"lit": {"tokenizer_sha256": "ab" * 32, "channels": 7}}, "has 7"),
        (
            {**said(), "prior": {"name": "p", "sha256": "ef" * 32}},
            {"prior": {"tokenizer_sha256": "00" * 32, "channels": 6}},
            "prior 'p'",
        ),
    ],
)
def test_a_header_is_held_against_its_models(header: dict[str, Any], configs: dict[str, Any], word: str) -> None:
    (fault,) = header_faults(header, SPEC, configs)
    assert word in fault
    assert not list(header_faults(header, None, {}))  # of models that were not found nothing can be said


def test_a_header_that_fits_has_no_faults() -> None:
    lit = {"tokenizer_sha256": "ab" * 32, "channels": 6}
    assert not list(header_faults(said(), SPEC, {"lit": lit}))
    assert not list(header_faults(said(first_frames=4), SPEC, {"lit": lit}))
