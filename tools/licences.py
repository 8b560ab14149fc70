"""Writes docs/licences.md: what is installed with latcomp, and under which licence, from the metadata of the packages.

    python -m tools.licences

Run it where the extras of latcomp are installed; a package that is not there keeps its row. Versions are left out, so
that the page changes when a package comes, goes or is licensed otherwise."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
COMMAND = "python -m tools.licences"
HEAD = f"""# Licences

<!-- Written by `{COMMAND}`: change that, then run it. -->

The code of latcomp is under Apache-2.0 ([LICENSE](../LICENSE)); what the models were trained on, and what that is
licensed as, stands in the model card in each folder of `weights/`. `pip install latcomp` brings these packages, as
their own metadata says:

| package | licence | needed by |
|---|---|---|
"""
EXTRAS = """
Only with an extra:

| extra | package | licence |
|---|---|---|
"""
FOOT = """
What metadata does not say:

- The wheels of **av** (PyAV, BSD) contain FFmpeg, whose build says LGPL 3 or later, and x264 and x265, which are
  under **GPL 2 or later** (or a paid licence). Who passes on an image or installer with them in it has to heed that.
- The wheels of **torch** for CUDA bring libraries of NVIDIA under NVIDIA's own terms; the CPU build brings none.
- **imageio-ffmpeg** (extra `metrics`) contains an ffmpeg program under the GPL, which latcomp runs as a
  process of its own.

A bill of materials of your own installation, in CycloneDX:
`pip install cyclonedx-bom`, then `cyclonedx-py environment > sbom.json`.
"""
SHOWN_EXTRAS = ("diffusers", "metrics", "ray", "report")


def licence_of(package: Distribution) -> str:
    """What a package's metadata calls its licence: the expression, else the classifiers, else a short text."""
    meta = package.metadata
    classified = [
        each.rpartition(" :: ")[2]
        for each in meta.get_all("Classifier") or ()
        if each.startswith("License :: ") and not each.endswith("OSI Approved")
    ]
    text = (meta.get("License") or "").strip()
    short = text if text and "\n" not in text and len(text) < 60 else ""
    return meta.get("License-Expression") or ", ".join(classified) or short or "see the package"


def needs(requirements: Iterable[str]) -> Iterator[str]:
    """Names of the packages that are required here, of those of no extra."""
    for line in requirements:
        required = Requirement(line)
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            yield canonicalize_name(required.name)


def closure(names: Iterable[str]) -> dict[str, tuple[Distribution | None, set[str]]]:
    """Every package that `names` bring, with what asks for it; None for one that is not installed."""
    found: dict[str, tuple[Distribution | None, set[str]]] = {}
    waiting = [(name, "latcomp") for name in names]
    while waiting:
        name, by = waiting.pop()
        if name in found:
            found[name][1].add(by)
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            found[name] = (None, {by})
            continue
        found[name] = (package, {by})
        waiting += [(each, name) for each in needs(package.requires or ())]
    return found


def page(before: str = "") -> str:
    """The page; the licence of a package that is not installed is taken from `before`, the page as it was."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = dict(re.findall(r"^\| (?:\w+ \| )?([\w.-]+) \| ([^|\n]+) \|", before, flags=re.MULTILINE))

    def licence(name: str, package: Distribution | None) -> str:
        return known.get(name, "see the package") if package is None else licence_of(package)

    # packages that are asked for on some machines alone, as CUDA's, are not those of the CPU build
    rows = [
        f"| {name} | {licence(name, package)} | {', '.join(sorted(by))} |"
        for name, (package, by) in sorted(closure(needs(project["dependencies"])).items())
    ]
    extras = []
    for extra in SHOWN_EXTRAS:
        for name in sorted(needs(project["optional-dependencies"][extra])):
            (package, _), *_ = closure([name]).values()
            extras.append(f"| {extra} | {name} | {licence(name, package)} |")
    return HEAD + "\n".join(rows) + "\n" + EXTRAS + "\n".join(extras) + "\n" + FOOT


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""), encoding="utf-8")
    print(f"{PAGE} is written")
