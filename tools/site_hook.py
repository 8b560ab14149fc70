"""What `mkdocs build` does beyond docs/: pages that live elsewhere in the repository, and links as GitHub has them.

Pages link to each other by their places in the repository, so that links work on GitHub. Here they are turned into
those of the site: pages of `PAGES` are taken in from where they are, and every other file that a page links to (a
picture, figures in JSON) is published under its place in the repository. Anchors are made as GitHub makes them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCS = "docs/"
PAGES = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/RESULTS.md": "plots.md",
    "latcomp/container/FORMAT.md": "format.md",
    "tests/README.md": "tests.md",
    "tests/fuzz/README.md": "fuzzing.md",
    "weights/EXPERIMENTS.md": "experiments.md",
}
"""Pages outside docs/ by their place in the repository, and what the site calls them."""
LINK = re.compile(r"```.*?```|`[^`\n]*`|(?<=\]\()[^)\s]+(?=\))", re.DOTALL)
"""A link's target; code comes first, so that nothing in it is taken for one."""


def anchor_of(heading: str, separator: str = "-") -> str:
    """The anchor that GitHub gives a heading, whose markup is gone."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def links_of(text: str) -> Iterator[str]:
    """The targets of a page's links and pictures, code aside."""
    return (found for found in LINK.findall(text) if not found.startswith("`"))


def target_of(link: str, page: str) -> str | None:
    """The file that a link of a page leads to, both as places in the repository; None for one that leads out of it, or
    to the page itself.
    """
    path = link.partition("#")[0]
    if not path or "://" in link or link.startswith("mailto:"):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def site_place(file: str) -> str:
    """Where the site has a file of the repository."""
    return PAGES.get(file, file.removeprefix(DOCS))


def relinked(text: str, page: str) -> str:
    """The text of a page with its links as the site has them; page: its place in the repository."""

    def turned(found: re.Match[str]) -> str:
        link = found[0]
        target = None if link.startswith("`") else target_of(link, page)
        if target is None:
            return link
        place = posixpath.relpath(site_place(target), posixpath.dirname(site_place(page)) or ".")
        return place + link[len(link.partition("#")[0]) :]

    return LINK.sub(turned, text)


def pages() -> list[str]:
    """All pages of the site, as places in the repository."""
    return [
        *(f"{DOCS}{path.relative_to(ROOT / DOCS).as_posix()}" for path in sorted((ROOT / DOCS).rglob("*.md"))),
        *PAGES,
    ]


def linked_files() -> list[str]:
    """Files outside docs/ that pages link to and that are no pages."""
    found = {target_of(link, page) for page in pages() for link in links_of((ROOT / page).read_text(encoding="utf-8"))}
    return sorted(file for file in found if file and file not in PAGES and not file.startswith(DOCS))


def on_config(config: Any) -> Any:
    """Let headings have GitHub's anchors."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor_of
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and files that live outside docs/."""
    from mkdocs.structure.files import File

    for file in [*PAGES, *linked_files()]:
        if (ROOT / file).is_file():  # a link that leads nowhere is reported where it stands
            files.append(File.generated(config, site_place(file), abs_src_path=str(ROOT / file)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn a page's links into those of the site."""
    places = {site: file for file, site in PAGES.items()}
    return relinked(markdown, places.get(page.file.src_uri, f"{DOCS}{page.file.src_uri}"))
