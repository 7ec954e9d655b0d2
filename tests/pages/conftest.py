"""Pages are opened in a real browser, which is watched: nothing may leave a page, nothing may go wrong in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}
SCREENSHOTS = Path(
    os.environ.get("SMSPARTNER_TEST_SCREENSHOTS", Path(__file__).resolve().parents[2] / "build/screenshots")
)


GRAVE = {"serious", "critical"}


@dataclass
class Visit:
    """A page that is open, what went wrong in it, and what it asked for beyond itself."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def faults(self, *, every: bool = False) -> list[str]:
        """The grave faults that axe-core finds in what is shown now, or every one: rule, and what breaks it."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']} ({rule['impact']}): {[node['html'][:200] for node in rule['nodes'][:3]]}"
            for rule in found
            if every or rule["impact"] in GRAVE
        ]

    def keep_screenshot(self, name: str) -> Path:
        """Keep a picture of the whole page, to be looked at: SCREENSHOTS/NAME.png."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path


@pytest.fixture(scope="module")  # a longer life would keep its event loop from the tests that want one of their own
def browser() -> Iterator[Browser]:
    """Chromium without a window, as Debian packages it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open a local page: `visit(path, size="phone", dark=True, locale="fr-FR", timezone="Europe/Paris")`.

    A test fails whose pages complain, or ask for anything beyond local files.
    """
    visits: list[Visit] = []
    with ExitStack() as contexts:

        def open_page(path: Path, size: str = "desktop", *, dark: bool = False, **settings: Any) -> Visit:
            context = browser.new_context(
                viewport=settings.pop("viewport", SIZES[size]),
                color_scheme="dark" if dark else "light",
                locale=settings.pop("locale", "en-GB"),
                timezone_id=settings.pop("timezone", "Europe/Paris"),
                is_mobile=size == "phone",
                has_touch=size == "phone",
                **settings,
            )
            contexts.callback(context.close)
            visited = Visit(context.new_page())
            visits.append(visited)
            context.route(
                lambda url: not url.startswith(("file:", "data:", "blob:")), lambda route: _refuse(route, visited)
            )
            visited.page.on("console", lambda said: _note(visited, said.type, said.text))
            visited.page.on("pageerror", lambda error: _note(visited, "error", str(error)))
            visited.page.goto(path.resolve().as_uri())
            return visited

        yield open_page
    assert [visited.complaints for visited in visits if visited.complaints] == []
    assert [visited.requests for visited in visits if visited.requests] == []


def _refuse(route: Route, visited: Visit) -> None:
    visited.requests.append(route.request.url)
    route.abort()


def _note(visited: Visit, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        visited.complaints.append(f"{kind}: {text}")
