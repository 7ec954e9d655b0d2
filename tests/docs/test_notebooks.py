"""The notebooks run from top to bottom as they stand, and what they show names nobody."""

from __future__ import annotations

import json
import re
import runpy
import secrets
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from smspartner_pipelines.run import run
from smspartner_pipelines.sandbox import demo_campaigns
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.contract import PHONE_PATTERNS, STATUS_WORDS

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = ("first_look", "campaign_analysis")
DEMO_NUMBERS = frozenset(
    str(row["phoneNumber"]).removeprefix("+")
    for campaign in demo_campaigns(0)
    for row in campaign.population(at=0)
    if isinstance(row, dict)
)


def read(name: str) -> Any:
    """Read a notebook as it is committed."""
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))


def code_cells(notebook: Any) -> list[Any]:
    """Give the cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook: Any) -> dict[str, str]:
    """Give all that each cell shows, in every form it has, as text."""
    return {
        cell["id"]: "\n".join(json.dumps(output, ensure_ascii=False) for output in cell["outputs"])
        for cell in code_cells(notebook)
    }


def numbers_in(text: str) -> set[str]:
    """Give whatever of a text is, or holds, a phone number: any in E.164, and those of the sandbox in any form."""
    digits = set(re.findall(r"[0-9]{9,15}", text))
    return set(re.findall(PHONE_PATTERNS["plain"], text)) | {run for run in digits if run in DEMO_NUMBERS}


@pytest.fixture
def execute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Execute a notebook in a kernel that knows nothing of whoever runs the tests; give it with its outputs."""
    with TemporaryDirectory(prefix="nb") as runtime:  # short: the names of sockets are limited
        for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            monkeypatch.setenv(variable, str(tmp_path))
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", runtime)

        def executed(name: str) -> Any:
            notebook = nbformat.reads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"), as_version=4)
            place = {"metadata": {"path": str(tmp_path)}}
            client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place)
            manager = client.create_kernel_manager()
            manager.transport, manager.ip = "ipc", f"{runtime}/kernel"  # no port that another test may take meanwhile
            return client.execute()

        yield executed


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_without_outputs(name: str) -> None:
    """A notebook in the repository holds no output, no count and no trace of the machine it was written on."""
    notebook = read(name)
    assert [cell["id"] for cell in code_cells(notebook) if cell["outputs"] or cell["execution_count"] is not None] == []
    assert [cell["id"] for cell in notebook["cells"] if cell["metadata"]] == []
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_have_names(name: str) -> None:
    """Every cell has a name of its own in words, so that a change to one shows as a change to that one."""
    notebook = read(name)
    nbformat.validate(notebook)
    names = [cell["id"] for cell in notebook["cells"]]
    assert [cell for cell in names if not re.fullmatch(r"[a-z]+(-[a-z]+)*", cell)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_lead_somewhere(name: str) -> None:
    """Every page that a notebook links to exists."""
    linked = re.findall(r"\]\(([^)]+)\)", "".join("".join(cell["source"]) for cell in read(name)["cells"]))
    assert [link for link in linked if not (FOLDER / link).exists()] == []


def test_first_look(execute: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look shows rows, types, refusals and quarantine as it says, without a number, wherever it is run."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    monkeypatch.setenv("LC_ALL", "C")
    shown = outputs(execute("first_look"))
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
        "read-doubtful-rows": "2 rows can't be believed (relance: 2)",
        "show-the-quarantine": "[phone_number_unreadable, status_unknown]",
        "accept-doubtful-rows": "1,235 rows",
    }.items():
        assert text in shown[cell], cell
    assert {cell: numbers_in(text) for cell, text in shown.items() if numbers_in(text)} == {}
    assert [cell for cell, text in shown.items() if '"stderr"' in text or "sandbox-key" in text] == []


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_campaign_analysis(execute: Any, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """The analysis draws its four charts and tells the same, in any time zone, without a number in what it shows."""
    monkeypatch.setenv("TZ", zone)
    notebook = execute("campaign_analysis")
    shown = outputs(notebook)
    assert "ExitCode.OK" in shown["load-the-tags"]
    assert "settled: nothing waiting" in shown["show-the-last-run"]
    for cell, words in {
        "plot-delivery-rates": ("promo-nov", "rdv-rappel", "100%"),
        "plot-statuses": ("soldes-été", *STATUS_WORDS),
        "count-by-hour": ("Deliveries by hour (Europe/Paris)", "relance"),
        "plot-progress": ("relance: from reading to reading", "waiting"),
    }.items():
        assert [word for word in ("image/svg+xml", *words) if word not in shown[cell]] == [], cell
    assert "4,812" in shown["count-by-tag"]
    assert "0.930" in shown["count-by-tag"]
    assert re.search(r"relance +6 ", shown["show-progress"])
    assert {cell: numbers_in(text) for cell, text in shown.items() if numbers_in(text)} == {}
    assert [cell for cell, text in shown.items() if '"stderr"' in text or "sandbox-key" in text] == []


def test_python_on_the_page(start_sandbox: Any, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of Python on the page for notebooks run as they stand, one block after the other."""
    monkeypatch.chdir(tmp_path)
    sandbox = start_sandbox()
    run(RunSettings(tags=("promo-nov", "empty"), connection=connect(sandbox), to=("data",), validate="contract"))
    monkeypatch.setenv("SMSPARTNER_API_KEY", "sandbox-key")
    monkeypatch.setenv("SMSPARTNER_BASE_URL", sandbox.url)
    monkeypatch.setenv("SMSPARTNER_PHONE_KEY", secrets.token_hex(16))
    text = (FOLDER.parent / "how-to" / "notebooks.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- ([^\n]+) -->\n```python\n(.+?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    for number, (mark, code) in enumerate(blocks):
        if mark == "run by: tests/docs/test_notebooks.py":
            file = tmp_path / f"block_{number}.py"
            file.write_text(code, encoding="utf-8")
            names |= runpy.run_path(str(file))
    assert len(blocks) == text.count("```python")
    assert [len(one) for one in (names["complete"], names["masked"], names["hashed"])] == [2, 4812, 4812]
    assert names["people"] == names["hashed"]["phone_number"].nunique()
    assert set(names["statuses"]["tag"]) == {"promo-nov"}
    assert set(names["history"]["tag"]) == {"promo-nov", "empty"}


def test_the_search_for_numbers_finds_them() -> None:
    """A number would be found in the frame that a careless cell shows, in plain text, in HTML and in a chart's data."""
    number = next(iter(DEMO_NUMBERS))
    assert [numbers_in(text) for text in (f"0 promo-nov +{number} 1", f"<td>{number}</td>", f'{{"n": {number}}}')] == [
        {f"+{number}"} | {number},
        {number},
        {number},
    ]
    assert numbers_in("+33*******84 2026-11-24 18:26:46.192210+00:00 20261124T182646Z-1fad3563") == set()
