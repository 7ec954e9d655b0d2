"""The docs become a site without a warning, which opens offline, and whose links lead somewhere (docs/index.md)."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from smspartner_pipelines.cli import smspartner as commands
from smspartner_schemas.contract import PHONE_PATTERNS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
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
    command = "mkdocs build --strict"
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
        fetched = [address for address in found.addresses if not address.startswith("data:")]
        assert [address for address in fetched if ":" in address] == [], page
        for address in (*fetched, *(link for link in found.links if not link.startswith(("http", "data:")))):
            path = re.split("[?#]", address)[0]
            assert ((site if path.startswith("/") else page.parent) / path.lstrip("/")).exists(), (page, address)
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", text) == [], sheet
    assert "short_page" in (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "site/iframe-worker.js" in Fetched(site / "index.html").addresses


def test_an_option_is_found_as_it_is_written_and_all_can_be_read(site: Path) -> None:
    """Opened from the disk, the search finds an option's own heading; contrast is 4.5:1 or more, light and dark."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for scheme, option in (("light", "--fresh-for"), ("dark", "--rate")):
            page = browser.new_page(color_scheme=scheme)  # type: ignore[arg-type]  # of two words
            for name in ("index", "tutorial", "reference/commands", "reference/python"):
                page.goto((site / f"{name}.html").as_uri())
                found = Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
                assert [node["target"] for rule in found for node in rule["nodes"]] == [], (name, scheme)
            page.locator(".md-search__input").click()
            page.keyboard.type(option)
            page.locator(".md-search-result__item h2").first.wait_for()
            assert page.locator(".md-search-result__item h2").first.inner_text() == f"run {option}"
        browser.close()


def test_pictures_and_samples_are_there_and_shown(site: Path) -> None:
    """README and first page show report, validation page and terminal, and lead to a report in two languages."""
    files = {
        path.relative_to(DOCS).as_posix(): path for folder in ("images", "sample") for path in (DOCS / folder).iterdir()
    }
    readme, first = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/index.md"))
    for name, path in files.items():
        assert path.stat().st_size < 200_000, name
        if name == "images/how-it-works.svg":
            continue
        assert name in first, name
        assert f"docs/{name}" in readme or name == "images/report-phone.png", name
        assert (site / name).read_bytes() == path.read_bytes()
    assert {"images/report.png", "images/validation.png", "images/terminal.svg", "sample/rapport.html"} <= set(files)
    for name, language in (("sample/report.html", "en"), ("sample/rapport.html", "fr")):
        text = files[name].read_text(encoding="utf-8")
        assert f'<html lang="{language}"' in text
        assert re.findall(PHONE_PATTERNS["plain"], text) == []


def test_messages_on_the_page_of_troubles_are_ours() -> None:
    """What "When something is wrong" quotes is what the product says, but for the figures."""
    folders = (ROOT / "connector", ROOT / "pipelines", ROOT / "schemas")
    sources = "\n".join(file.read_text(encoding="utf-8") for folder in folders for file in folder.rglob("*.py"))
    seen = re.findall(r"^\| (.+?) \|", (DOCS / "trouble.md").read_text(encoding="utf-8"), re.MULTILINE)
    quoted = [
        piece.strip()
        for cell in seen
        for text in re.findall("`([^`]+)`", cell)
        for piece in re.split(r"…|\d+|[:,;'(]", text)
    ]
    assert len(quoted) > 30
    assert [piece for piece in quoted if len(piece) > 15 and piece not in sources] == []


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_link_from_outside_leads_somewhere(site: Path, name: str) -> None:
    """Each file and anchor that README and changelog link is there; the site's build checks those of its pages."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists(), target
        assert not anchor or anchor in Fetched(site / path.removeprefix("docs/").replace(".md", ".html")).anchors, (
            target
        )


def test_the_reference_has_every_command_and_every_public_name(site: Path) -> None:
    """Everything the command line and the library offer is in the reference, each option with an anchor of its own."""
    in_commands = Fetched(site / "reference" / "commands.html").anchors
    assert {f"smspartner-{name}" for name in commands.commands} <= in_commands
    options = {f"{name}-{max(one.opts, key=len)}" for name, of in commands.commands.items() for one in of.params[1:]}
    assert {option for option in options if "---" in option} <= in_commands
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
