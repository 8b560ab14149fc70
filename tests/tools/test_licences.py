"""Protects: docs/licences.md names every package that latcomp asks for, and what the metadata of those at hand says."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

from tools.licences import COMMAND, PAGE, ROOT, SHOWN_EXTRAS, licence_of

ROW = re.compile(r"^\| (?:(?:diffusers|metrics|ray|report) \| )?([\w.-]+) \| ([^|]+) \|", flags=re.MULTILINE)


def test_the_page_is_current() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for extra in SHOWN_EXTRAS for line in extras[extra])]
    rows = dict(ROW.findall(PAGE.read_text(encoding="utf-8")))
    missing = {Requirement(line).name for line in asked} - set(rows)
    assert not missing, f"docs/licences.md is out of date: run {COMMAND}"
    seen = 0
    for name, licence in rows.items():
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue
        seen += 1
        # words of a licence change with a package's version (BSD License, BSD-3-Clause); its kind does not
        assert licence.split()[0].split("-")[0] == licence_of(package).split()[0].split("-")[0], name
    assert seen > 8
