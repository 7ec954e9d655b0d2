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
from smspartner_pipelines.pages.validation_page import SENTENCES, write_validation
from smspartner_pipelines.sandbox import Campaign, Sandbox
from smspartner_schemas.rules import suite

TAGS = ("promo-nov", "relance", "<b>&\"'</b>", "cut", "gone")
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
    """Validate a sound destination, then the same one with files that somebody harmed; give the folder of pages."""
    place = tmp_path_factory.mktemp("validation")
    data, pages = str(place / "data"), str(place / "pages")
    with Sandbox([Campaign(tag, 60 if "<" not in tag else 12, sent_at=1_700_000_000) for tag in TAGS]) as sandbox:
        (place / "key").write_text("sandbox-key", encoding="utf-8")
        key = ["--api-key-file", str(place / "key"), "--base-url", sandbox.url]
        assert run_command(["run", *TAGS, "--to", data, *key, "--validate", "contract", "--quiet"]) == 0
    assert run_command(["validate", data, "-o", pages, "--quiet"]) == 0
    _harm(place / "data" / "statuses")
    (place / "mine.json").write_text(json.dumps(SUITE), encoding="utf-8")
    assert run_command(["validate", data, "-o", pages, "--quiet", "--expectations", str(place / "mine.json")]) == 4
    return place / "pages"


def _harm(statuses: Path) -> None:
    """Cut a file, remove one, and spoil a few countries of a third, as somebody would by hand."""
    (cut,), (gone,), (path,) = (list(statuses.glob(f"{name}-*.parquet")) for name in ("cut", "gone", "promo-nov"))
    cut.write_bytes(cut.read_bytes()[:100])
    gone.unlink()
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
@pytest.mark.parametrize("width", [320, 1440])
def test_pages_are_sound(visit: Callable[..., Any], folder: Path, width: int, *, dark: bool) -> None:
    """Pages open offline, without an error, a request or a fault that keeps anybody from reading them."""
    for name, path in zip(("holds", "fails"), _pages(folder), strict=True):
        visited = visit(path, dark=dark)
        visited.page.set_viewport_size({"width": width, "height": 900})
        assert visited.faults(every=True) == []
        assert visited.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        visited.keep_screenshot(f"validation-{name}-{width}-{'dark' if dark else 'light'}")


def test_the_answer(visit: Callable[..., Any], folder: Path) -> None:
    """A page begins with how many rules fail in how many tags, names the tags that can't be checked, and what to do."""
    holds, fails = (visit(path).page for path in _pages(folder))
    assert holds.locator(".say").inner_text() == "All rules hold, in 5 tags.\n\n252 rows were checked."
    first, second, command = fails.locator(".say p").all_inner_texts()
    failing = "4 rules fail, in 4 of 5 tags. 2 tags could not be checked at all, damaged or missing: cut, gone."
    assert (first, second) == (failing, "3 of 132 rows break a rule.")
    assert re.search(r"smspartner run cut gone promo-nov --refresh all --to \S+/data$", command)
    fails.set_viewport_size({"width": 320, "height": 900})
    unbroken = fails.locator(".say code .nb")
    assert unbroken.all_inner_texts() == ["--refresh", "--to"]
    assert {len(option.evaluate("it => [...it.getClientRects()]")) for option in unbroken.all()} == {1}


def test_what_fails(visit: Callable[..., Any], folder: Path) -> None:
    """Rules are sentences, those that fail worst first, one's own last, each with its tags and what was found."""
    page = visit(_pages(folder)[-1]).page
    rules = page.locator(".rule")
    parts = [rule.locator("h3, h3 + p, tbody").all_inner_texts() for rule in rules.all()]
    shown = [re.sub(r"\s+", " ", " ".join(part)) for part in parts]
    beginnings = [
        "Every file and table can be read. 1 of 5 tags · built in cut /",
        "Every tag that a run has loaded is there, in its newest reading. 1 of 5 tags · built in gone run 2",
        "A country is two capital letters. 1 of 5 tags · 3 of 132 rows · from the contract promo-nov 3 of 60 rows (5.0",
        "large_enough <i> 1 of 5 tags · your own rule, from mine.json <b>&\"'</b> at least 40 rows; 12 found",
    ]
    assert [text[: len(start)] for text, start in zip(shown, beginnings, strict=True)] == beginnings
    rules.nth(2).get_by_text("How it is checked").click()
    assert "regex='^(?:[A-Z]{2})$'" in rules.nth(2).inner_text()
    assert SENTENCES.keys() == {one["meta"]["rule"] for one in suite()["expectations"]}


def test_what_holds(visit: Callable[..., Any], folder: Path) -> None:
    """The rules that hold are folded, with what was checked; the page leads to its JSON."""
    page = visit(_pages(folder)[-1]).page
    assert not page.get_by_text("Every row names its tag.").is_visible()
    page.get_by_text("21 rules hold").click()
    row = page.locator(".holds li", has_text="Every row names its tag.")
    assert re.sub(r"\s+", " ", row.inner_text()) == "Every row names its tag. 132 rows How it is checked"
    page.get_by_text(re.compile(r"^2.*\.json$")).click()
    assert page.url.endswith(f"{_pages(folder)[-1].stem}.json")


def test_foreign_text_stays_text(visit: Callable[..., Any], folder: Path) -> None:
    """Tags and names that look like HTML are shown as they are written, and phone numbers are hidden."""
    page = visit(_pages(folder)[-1]).page
    assert all(text in page.inner_text("main") for text in (TAGS[2], "large_enough <i>"))
    assert (page.locator("h1").count(), page.locator("script").count()) == (1, 0)
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir()]
    assert [found for text in texts for found in re.findall(r"\+33\d{6,}|639980001", text)] == []


def test_a_page_stays_small(visit: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    """5,000 tags that fail make a page of less than a megabyte, which leads to the rest; counts are as they are."""
    document = json.loads(_pages(folder)[-1].with_suffix(".json").read_text(encoding="utf-8"))
    finding = {"rule": "country_matches", "rows": 654321, "of": 1_654_321, "what": ""}
    document["findings"] = [{"tag": f"campaign-{number:05}", **finding} for number in range(5000)]
    page = write_validation(tmp_path, document)
    assert page.stat().st_size < 1_000_000
    shown = visit(page).page.inner_text("main")
    assert "100 of 5,000 findings are shown" in shown
    assert "654,321 of 1,654,321 rows (39.6%)" in shown
