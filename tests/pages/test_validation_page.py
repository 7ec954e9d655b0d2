"""The pages of `smspartner validate`, in a real browser: they open offline, read well, and hold no phone number."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.cli import run_command
from smspartner_pipelines.pages.validation_page import write_validation
from smspartner_pipelines.sandbox import Campaign, Sandbox

TAGS = ("promo-nov", "relance", "<b>&\"'</b>")
SUITE = {
    "name": "ours </script><script>throw 1</script>",
    "expectations": [
        {
            "type": "expect_column_values_to_not_be_in_set",
            "kwargs": {"column": "status", "value_set": ["ko", "</style><h1>", "+33639980001"]},
        },
        {
            "type": "expect_table_row_count_to_be_between",
            "kwargs": {"min_value": 40},
            "meta": {"rule": "large_enough <i>"},
        },
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Validate a sound destination, then the same one with a file that somebody edited; give the folder of pages."""
    place = tmp_path_factory.mktemp("validation")
    data, pages = str(place / "data"), str(place / "pages")
    with Sandbox([Campaign(tag, 60 if "<" not in tag else 12, sent_at=1_700_000_000) for tag in TAGS]) as sandbox:
        settings = [
            "--base-url",
            sandbox.url,
            "--validate",
            "contract",
            "--quiet",
            "--api-key-file",
            str(place / "key"),
        ]
        (place / "key").write_text("sandbox-key", encoding="utf-8")
        assert run_command(["run", *TAGS, "--to", data, *settings]) == 0
    assert run_command(["validate", data, "-o", pages, "--quiet"]) == 0
    _edit(place / "data")
    (place / "mine.json").write_text(json.dumps(SUITE), encoding="utf-8")
    assert run_command(["validate", data, "-o", pages, "--quiet", "--expectations", str(place / "mine.json")]) == 4
    return place / "pages"


def _edit(dataset: Path) -> None:
    """Spoil a few countries of a tag, as somebody would by hand."""
    (path,) = (dataset / "statuses").glob("promo-nov-*.parquet")
    table = pq.read_table(path, partitioning=None)
    kind = table.schema.field("country").type
    spoilt = pa.array(["France"] * 3 + ["FR"] * (table.num_rows - 3), pa.string()).cast(kind)
    metadata = {b"smspartner": pq.read_metadata(path).metadata[b"smspartner"]}
    changed = table.set_column(3, table.schema.field("country"), spoilt)
    pq.write_table(changed.replace_schema_metadata(metadata), path)


def _pages(folder: Path) -> list[Path]:
    """List the pages, the oldest first."""
    return sorted(folder.glob("2*.html"))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_pages_are_sound(visit: Callable[..., Any], folder: Path, size: str, *, dark: bool) -> None:
    """Pages open offline, without an error, a request or a fault that keeps anybody from reading them."""
    for name, path in zip(("holds", "fails"), _pages(folder), strict=True):
        visited = visit(path, size, dark=dark)
        assert visited.faults() == []
        assert visited.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        visited.keep_screenshot(f"validation-{name}-{size}-{'dark' if dark else 'light'}")


def test_what_a_page_says(visit: Callable[..., Any], folder: Path) -> None:
    """A page says whether all holds, how many rows were checked, which tags fail what, and leads to its JSON."""
    holds, fails = (visit(path).page for path in _pages(folder))
    assert holds.locator(".notice p").inner_text() == "17 expectations for 132 rows of 3 tags."
    assert fails.locator(".notice p").inner_text() == "2 of 19 expectations fail. 2 findings in 2 tags."
    table = fails.get_by_role("region", name="Which tags fail what")
    rows = [re.sub(r"\s+", " ", row) for row in table.locator("tbody tr").all_inner_texts()]
    assert "promo-nov country_matches 3 rows break the rule" in rows
    fails.get_by_text(re.compile(r"^2.*\.json$")).click()
    assert fails.url.endswith(f"{_pages(folder)[-1].stem}.json")


def test_foreign_text_stays_text(visit: Callable[..., Any], folder: Path) -> None:
    """Tags and names that look like HTML are shown as they are written, and phone numbers are hidden."""
    page = visit(_pages(folder)[-1]).page
    shown = page.inner_text("main")
    assert all(text in shown for text in (TAGS[2], "large_enough <i>"))
    assert (page.locator("h1").count(), page.locator("script").count()) == (1, 0)
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir()]
    assert [found for text in texts for found in re.findall(r"\+33\d{6,}|639980001", text)] == []


def test_a_page_stays_small(visit: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    """5,000 tags that fail make a page of less than a megabyte, which leads to the rest; counts are as they are."""
    document = json.loads(_pages(folder)[-1].with_suffix(".json").read_text(encoding="utf-8"))
    finding = {"rule": "country_matches", "rows": 654321, "what": ""}
    document["findings"] = [{"tag": f"campaign-{number:05}", **finding} for number in range(5000)]
    page = write_validation(tmp_path, document)
    assert page.stat().st_size < 1_000_000
    shown = visit(page).page.inner_text("main")
    assert "500 of 5,000 findings are shown" in shown
    assert "654,321" in shown
