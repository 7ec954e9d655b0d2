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
from pymdownx.slugs import slugify
from smspartner_pipelines.cli import smspartner as commands

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""What a browser fetches by itself when it shows a page; a link is followed by readers alone."""

anchor_of = slugify(case="lower")


class Fetched(HTMLParser):
    """Gathers what a page fetches, and the anchors it has."""

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


def is_there(address: str, page: Path, site: Path) -> bool:
    """Tell whether the file that a page names is in the site."""
    place = re.split("[?#]", address)[0]
    return ((site if place.startswith("/") else page.parent) / place.lstrip("/")).exists()


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    """The site opens offline: all that its pages and style sheets fetch is one of its own files, which is there."""
    for page in site.rglob("*.html"):
        for address in Fetched(page).addresses:
            assert ":" not in address, (page, address)
            assert is_there(address, page, site), (page, address)
    for sheet in site.rglob("*.css"):
        found = re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8"))
        assert found == [], sheet


def test_every_file_that_a_page_links_is_in_the_site(site: Path) -> None:
    """Examples and inputs that pages link come with the site, as pages do."""
    for page in site.rglob("*.html"):
        links = [link for link in Fetched(page).links if not link.startswith(("http:", "https:"))]
        assert [link for link in links if not is_there(link, page, site)] == [], page


def test_search_works_from_a_disk(site: Path) -> None:
    """The search's index comes as a script, and so does what lets it run without a server."""
    assert "short_page" in (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "site/iframe-worker.js" in Fetched(site / "index.html").addresses


def test_every_link_of_the_readme_leads_somewhere(site: Path) -> None:
    """Each file that the README links is there, and each anchor; the site's build checks those of all other pages."""
    headings = {anchor_of(heading, "-") for heading in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        place, _, anchor = target.partition("#")
        assert (ROOT / place).exists(), target
        page = site / place.removeprefix("docs/").replace(".md", ".html")
        assert not anchor or anchor in (Fetched(page).anchors if place else headings), target


def test_the_reference_has_every_command_and_every_public_name(site: Path) -> None:
    """Whatever the command line and the library offer has its place in the reference."""
    in_commands = Fetched(site / "reference" / "commands.html").anchors
    assert {f"smspartner-{name}" for name, command in commands.commands.items() if not command.hidden} <= in_commands
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
    tree = ast.parse(Path(str(found.origin)).read_text(encoding="utf-8"))
    values = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign) and is_all(node)]
    return values[0] if values else []


def is_all(node: ast.Assign) -> bool:
    """Tell whether a statement says what `__all__` is."""
    return [ast.unparse(target) for target in node.targets] == ["__all__"]
