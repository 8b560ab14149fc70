"""Protects: the site has every page of the documentation once, with the links that it has on GitHub; and it is built
without a warning where mkdocs is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.site_hook import PAGES, ROOT, anchor_of, linked_files, links_of, pages, relinked, site_place, target_of

CONFIG = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_the_navigation_has_every_page_once() -> None:
    listed = re.findall(r"^ +- [^:]+: (\S+\.md)$", CONFIG.partition("nav:")[2].partition("\ntheme:")[0], re.MULTILINE)
    assert sorted(listed) == sorted(site_place(page) for page in pages())


@pytest.mark.parametrize(
    ("page", "link", "wanted"),
    [
        ("docs/cli.md", "json.md#a-group", "json.md#a-group"),
        ("docs/cli.md", "#limits", "#limits"),
        ("docs/index.md", "../latcomp/container/FORMAT.md#3-the-header", "format.md#3-the-header"),
        ("docs/index.md", "../examples/heatmap.jpg", "examples/heatmap.jpg"),
        ("docs/index.md", "schema/latcomp.schema.json", "schema/latcomp.schema.json"),
        ("README.md", "docs/cli.md", "cli.md"),
        ("examples/RESULTS.md", "results/keep-psnr.png", "examples/results/keep-psnr.png"),
        ("SECURITY.md", "https://example.org/docs/cli.md", "https://example.org/docs/cli.md"),
    ],
)
def test_a_link_of_github_becomes_one_of_the_site(page: str, link: str, wanted: str) -> None:
    assert relinked(f"See [it]({link}), ![it]({link}).", page) == f"See [it]({wanted}), ![it]({wanted})."


def test_code_is_left_alone() -> None:
    text = "`[a](docs/cli.md)`\n```python\nlist[0](docs/cli.md)\n```\n"
    assert relinked(text, "README.md") == text and list(links_of(text)) == []


def test_what_leads_out_of_the_repository_is_no_file() -> None:
    for link in ("#here", "https://example.org/a.md", "mailto:a@example.org"):
        assert target_of(link, "docs/cli.md") is None


def test_files_that_pages_link_to_are_published_and_exist() -> None:
    found = linked_files()
    assert "examples/heatmap.jpg" in found and not set(found) & set(PAGES)
    assert all((ROOT / file).is_file() for file in found)


def test_anchors_are_those_of_github() -> None:
    assert anchor_of("3.4 Latents") == "34-latents"
    assert anchor_of("import and export") == "import-and-export"
    assert anchor_of("What is `-Q`, and what --keep?".replace("`", "")) == "what-is--q-and-what---keep"


@pytest.mark.skipif(
    find_spec("mkdocs") is None or find_spec("material") is None, reason="mkdocs-material is not installed"
)
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for page in pages():
        assert (tmp_path / "site" / site_place(page)).with_suffix(".html").is_file()
    assert (tmp_path / "site" / "examples" / "heatmap.jpg").is_file()
