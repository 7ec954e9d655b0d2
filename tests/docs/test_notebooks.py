"""The notebooks run from top to bottom as they stand, and what they show names nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from smspartner_pipelines.sandbox import demo_campaigns
from smspartner_schemas.contract import PHONE_PATTERNS, STATUS_WORDS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
DEMO_NUMBERS = frozenset(
    str(row["phoneNumber"]).removeprefix("+")
    for campaign in demo_campaigns(0)
    for row in campaign.population(at=0)
    if isinstance(row, dict)
)


def outputs(notebook: Any) -> dict[str, str]:
    """Give everything each cell shows, in every form it has, as text."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return {cell["id"]: json.dumps(cell["outputs"], ensure_ascii=False) for cell in cells}


def numbers_in(text: str) -> set[str]:
    """Give what in a text is, or holds, a phone number: any in E.164, and those of the sandbox in any form."""
    digits = set(re.findall(r"[0-9]{9,15}", text))
    return set(re.findall(PHONE_PATTERNS["plain"], text)) | (digits & DEMO_NUMBERS)


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Execute a notebook in a kernel that knows nothing of its user; give what its cells show, which is no number."""
    with TemporaryDirectory(prefix="nb") as runtime:  # short: the names of sockets are limited
        for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            monkeypatch.setenv(variable, str(tmp_path))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", runtime)

        def executed(name: str) -> dict[str, str]:
            notebook = nbformat.reads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"), as_version=4)
            where = {"metadata": {"path": str(tmp_path)}}
            client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where)
            manager = client.create_kernel_manager()
            manager.transport, manager.ip = "ipc", f"{runtime}/kernel"  # no port that another test may take meanwhile
            shown = outputs(client.execute())
            assert {cell: numbers_in(text) for cell, text in shown.items() if numbers_in(text)} == {}
            assert [cell for cell, text in shown.items() if '"stderr"' in text or "sandbox-key" in text] == []
            return shown

        yield executed


@pytest.mark.parametrize("name", ["first_look", "campaign_analysis"])
def test_committed_with_outputs(name: str) -> None:
    """A notebook shows what its cells gave, without a number or a trace of a machine; its links lead somewhere."""
    notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    cells = notebook["cells"]
    assert [cell["id"] for cell in cells if cell["metadata"]] == []
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    shown = outputs(notebook)
    assert sum(text != "[]" for text in shown.values()) >= 12
    traces = ("/tmp", str(Path.home()), "Traceback", '"stderr"', "sandbox-key", "127.0.0.1")  # noqa: S108
    assert [(cell, trace) for cell, text in shown.items() for trace in traces if trace in text] == []
    assert {cell: numbers_in(text) for cell, text in shown.items() if numbers_in(text)} == {}
    assert [cell for cell, text in shown.items() if len(text) > 20_000 or text.count("<th>") > 40] == []
    names = [cell["id"] for cell in cells]
    assert [name for name in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []
    assert len(set(names)) == len(names)
    linked = re.findall(r"\]\(([^)]+)\)", "".join("".join(cell["source"]) for cell in cells))
    assert [link for link in linked if not (FOLDER / link).exists()] == []


def test_first_look(execute: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look shows rows, types, tags that are not complete and quarantine as it says, wherever it is run."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("LC_ALL", "C")
    shown = execute("first_look")
    for cell, text in {
        "read-the-tags": "8,049 messages",
        "show-rows-without-numbers": "promo-nov",
        "show-the-dtypes": "datetime64[us, UTC]",
        "show-the-status-words": str(list(STATUS_WORDS)),
        "count-statuses": "4473",
        "show-local-times": "Europe/Paris",
        "read-masked-numbers": "+33*******84",
        "read-hashed-numbers": "6,716 numbers got 6,812 messages",
        "read-a-tag-nobody-used": "never-sent: unknown",
        "read-repeated-pages": "soldes-été: incomplete",
        "walk-the-snapshots": "Snapshot(tag='soldes-été', verdict='incomplete', rows=0",
        "read-invalid-rows": "2 rows are not valid (relance: 2)",
        "show-the-quarantine": "[phone_number_unreadable, status_unknown]",
        "accept-invalid-rows": "1,235 rows",
    }.items():
        assert text in shown[cell], cell


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_campaign_analysis(execute: Any, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """The analysis loads in one call that shows itself, and draws its charts with the same figures in any time zone."""
    monkeypatch.setenv("TZ", zone)
    shown = execute("campaign_analysis")
    for cell, words in {
        "load-the-tags": ("<td>base-achetee</td>", "exit code 0"),
        "show-the-last-run": ("unchanged: total and first page are as loaded",),
        "count-by-tag": ("4,812", "93.0%"),
        "plot-delivered-shares": ("image/svg+xml", "promo-nov", "rdv-rappel", "100%"),
        "plot-statuses": ("image/svg+xml", "soldes-été", *STATUS_WORDS),
        "count-by-hour": ("image/svg+xml", "Deliveries by day (Europe/Paris)"),
        "count-by-hour-of-day": ("image/svg+xml", "Deliveries by hour of the day (Europe/Paris)", "23"),
        "plot-progress": ("image/svg+xml", "relance: from reading to reading", "waiting"),
    }.items():
        assert [word for word in words if word not in shown[cell]] == [], cell
    assert re.search(r"relance +6 ", shown["show-progress"])


def test_the_search_for_numbers_finds_them() -> None:
    """A number would be found in the frame that a careless cell shows, in plain text, in HTML and in a chart's data."""
    number = next(iter(DEMO_NUMBERS))
    for text in (f"0 promo-nov +{number} 1", f"<td>{number}</td>", f'{{"n": {number}}}'):
        assert number in numbers_in(text)
    assert numbers_in("+33*******84 2026-11-24 18:26:46.192210+00:00 20261124T182646Z-1fad3563") == set()
