"""The docs become a site without a warning, which opens offline, and whose links lead somewhere (docs/index.md)."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from smspartner_pipelines.cli import smspartner as commands

ROOT = Path(__file__).resolve().parents[2]
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser fetches by itself when it shows a page; a link is followed by readers alone."""


class Fetched(HTMLParser):
    """Gathers what a page fetches, what it links, and the anchors it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag in FETCHED and given.get("rel") != "canonical":
            self.addresses.append(given.get(FETCHED[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as docs/index.md says, but elsewhere; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = "mkdocs build --strict -f docs/site/mkdocs.yml"
    assert command in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    built = subprocess.run(
        [sys.executable, "-m", *command.split(), "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_opens_offline(site: Path) -> None:
    """What its pages and style sheets fetch, and each file they link, is in the site; search needs no server."""
    for page in site.rglob("*.html"):
        found = Fetched(page)
        assert [address for address in found.addresses if ":" in address] == [], page
        for address in (*found.addresses, *(link for link in found.links if not link.startswith("http"))):
            path = re.split("[?#]", address)[0]
            assert ((site if path.startswith("/") else page.parent) / path.lstrip("/")).exists(), (page, address)
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", text) == [], sheet
    assert "short_page" in (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "site/iframe-worker.js" in Fetched(site / "index.html").addresses


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_every_link_from_outside_leads_somewhere(site: Path, name: str) -> None:
    """Each file and anchor that README and changelog link is there; the site's build checks those of its pages."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        assert not anchor or anchor in Fetched(site / path.removeprefix("docs/").replace(".md", ".html")).anchors, (
            target
        )


def test_the_reference_has_every_command_and_every_public_name(site: Path) -> None:
    """Everything the command line and the library offer is in the reference."""
    in_commands = Fetched(site / "reference" / "commands.html").anchors
    assert {f"smspartner-{name}" for name in commands.commands} <= in_commands
    in_python = Fetched(site / "reference" / "python.html").anchors
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    offered = [(module, name) for module in re.findall(r"^::: (\S+)$", page, re.MULTILINE) for name in names_of(module)]
    assert {"read_statuses", "smspartner_dag", "smspartner_asset", "smspartner_source"} <= {name for _, name in offered}
    missing = [(module, name) for module, name in offered if f"{module}.{name}" not in in_python]
    assert missing == [("smspartner", "errors")]  # a module, with a section of its own


def names_of(module: str) -> list[str]:
    """Give what a module lists in `__all__`, without importing it: engines are not installed here."""
    found = importlib.util.find_spec(module)
    assert found is not None
    for node in ast.parse(Path(str(found.origin)).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []
