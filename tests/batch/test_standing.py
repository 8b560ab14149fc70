"""Protects: what counts as the same models when a file stands where an output is to be."""

from __future__ import annotations

from dataclasses import replace

from latcomp.batch.standing import differences
from tests.container.make import header

KNOWN = {"fingerprint": "ef" * 32}


def test_a_file_of_before_fingerprints_is_of_the_same_models() -> None:
    old, new = header(), header()
    new = replace(new, tokenizer={**new.tokenizer, **KNOWN})
    assert differences(old, new) == differences(new, old) == differences(new, new) == []


def test_another_configuration_is_another_model() -> None:
    """The same weights; what is told apart is shown."""
    one = replace(header(), tokenizer={**header().tokenizer, **KNOWN})
    other = replace(one, tokenizer={**one.tokenizer, "fingerprint": "12" * 32})
    assert differences(one, other) == ["tokenizer test (efefefef), not test (12121212)"]
