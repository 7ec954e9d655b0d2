"""The campaign report is right, opens anywhere, and shows nothing that is not its readers' business."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from smspartner.snapshot import Snapshot
from smspartner_pipelines.cli import run_command
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.pages.campaign_figures import CampaignFigures, campaign_figures
from smspartner_pipelines.pages.campaign_page import as_script_data
from smspartner_pipelines.pages.campaign_report import ReportSettings, write_campaign_report
from smspartner_pipelines.reading import open_loaded
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES, TAG_RUNS

READ_AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
SENT_AT = datetime(2026, 11, 20, 22, 50, tzinfo=UTC)  # the day after, in Paris and in Kolkata
HOSTILE = ("</script><b>\"'&", "<!--<script>", "مرحبا", "+33612345678")
MASKED, HASHED = "+33*******42", "0123abcd:" + "5e" * 32


def snapshot_of(tag: str, counts: dict[str, int], *, quarantined: int = 0, sent_at: datetime = SENT_AT) -> Snapshot:
    """Make a tag with so many rows of each status, one delivery a minute."""
    words = [word for word in STATUS_WORDS for _ in range(counts.get(word, 0))]
    rows = len(words)
    columns = {
        "tag": [tag] * rows,
        "phone_number": [(f"+336{n:08}", MASKED, HASHED)[n % 3] for n in range(rows)],
        "occurrence": list(range(1, rows + 1)),
        "country": [("FR", "FR", "BE", None)[n % 4] for n in range(rows)],
        "status": words,
        "stop_sms": [n % 10 == 0 for n in range(rows)],
        "status_at": [None if word == "waiting" else sent_at + timedelta(minutes=n) for n, word in enumerate(words)],
        "extracted_at": [READ_AT] * rows,
        "run_id": ["run-3"] * rows,
    }
    doubted = {
        "tag": [tag] * quarantined,
        "page": [1] * quarantined,
        "position": list(range(1, quarantined + 1)),
        "reasons": [["status_unknown", "date_unreadable"]] * quarantined,
        "raw": ['{"phoneNumber": "+33699999001"}'] * quarantined,
        "extracted_at": [READ_AT] * quarantined,
        "run_id": ["run-3"] * quarantined,
    }
    table = pa.table(columns, schema=arrow_schema(STATUSES))
    quarantine = pa.table(doubted, schema=arrow_schema(QUARANTINE))
    received = rows + quarantined
    read: dict[str, Any] = {"extracted_at": READ_AT, "rows_declared": received, "rows_received": received}
    return Snapshot(tag, "complete", "", "run-3", table, quarantine, **read)


def runs_of(tag: str, *delivered: int, apart: timedelta = timedelta(hours=1)) -> pa.Table:
    """Make the history of a tag of 40: how many were delivered in each run, so far apart; the rest waited."""
    of = 40
    rows = [
        {column.name: 0 for column in TAG_RUNS.columns}
        | {"run_id": f"run-{n}", "tag": tag, "verdict": "complete", "reason": "", "rows_loaded": of}
        | {"delivered": done, "waiting": of - done, "extracted_at": READ_AT - apart * (len(delivered) - n)}
        for n, done in enumerate(delivered)
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TAG_RUNS))


def load(uri: str, *, shops: int = 60) -> str:
    """Load campaigns: two that wait, hostile ones, one with rows in quarantine, and shops of growing size."""
    snapshots = [
        snapshot_of("promo-nov", {"delivered": 2000, "not_delivered": 60, "waiting": 30, "ko": 10}),
        snapshot_of("relance", {"delivered": 30, "waiting": 10}, sent_at=READ_AT - timedelta(hours=20)),
        snapshot_of("soldes-été", {"delivered": 90, "ko": 5}, quarantined=3),
        *(snapshot_of(tag, {"delivered": 5, "ko": 1}) for tag in HOSTILE),
        *(snapshot_of(f"shop-{n}", {"delivered": n, "not_delivered": 1}) for n in range(1, shops + 1)),
    ]
    load_all(uri, snapshots, runs_of("relance", 5, 20, 30))
    return uri


def load_all(uri: str, snapshots: list[Snapshot], runs: pa.Table) -> None:
    """Load snapshots, and a file of `tag_runs` for each row of `runs`."""
    destination = open_destination(uri)
    with destination.open(for_loading=True):
        list(destination.replace(snapshots))
        for row in runs.to_batches(max_chunksize=1):
            destination.finish(pa.Table.from_batches([row]), row["run_id"][0].as_py(), complete=True)


def figures_of(uri: str) -> CampaignFigures:
    """Count what a destination holds."""
    with open_loaded(uri) as destination:
        return campaign_figures(destination)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Load a dataset once."""
    return load(str(tmp_path_factory.mktemp("loaded") / "data"))


@pytest.fixture
def make_page(loaded: str, tmp_path: Path) -> Callable[..., Path]:
    """Write a page."""

    def make(**settings: Any) -> Path:
        write_campaign_report(ReportSettings(loaded, str(tmp_path / "report.html"), **settings))
        return tmp_path / "report.html"

    return make


def shown_tags(page: Any) -> list[str]:
    """Give the first column of the table."""
    return page.locator("#table tbody th").all_inner_texts()


@pytest.mark.parametrize(
    ("size", "dark", "language"),
    [("desktop", False, "en"), ("desktop", True, "fr"), ("phone", False, "fr"), ("phone", True, "en")],
)
def test_page_for_everybody(visit, make_page, size: str, *, dark: bool, language: str) -> None:
    """On a desk and on a phone, light and dark, all charts are drawn and axe-core finds no grave fault."""
    visited = visit(make_page(language=language), size=size, dark=dark)
    visited.page.wait_for_selector("#progress svg")
    visited.page.wait_for_selector("#countries-chart svg")
    for details in visited.page.locator("details summary").all():
        details.click()
    assert visited.page.locator("svg").count() == 4  # times, statuses, countries, and the one tag that runs told of
    assert visited.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visited.faults() == []
    visited.keep_screenshot(f"campaign-report-{size}-{'dark' if dark else 'light'}")


def test_sorting_and_searching(visit, make_page) -> None:
    """Columns sort by click or key, the search finds letters without accents, and both are told to those who hear."""
    page = visit(make_page()).page
    assert shown_tags(page)[:3] == ["promo-nov", "soldes-été", "shop-60"]
    header = page.get_by_role("columnheader", name="Campaign (tag)")
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert shown_tags(page)[-3:] == ["shop-43", "shop-44", "shop-45"]  # as people count, not as computers do
    page.get_by_role("button", name="Next").click()
    assert shown_tags(page)[0] == "shop-46"
    assert page.locator("#shown").inner_text() == "rows 51\N{EN DASH}67"
    page.keyboard.press("Tab")
    page.get_by_role("searchbox", name="Search campaigns").press_sequentially("SOLDES-ETE")
    assert shown_tags(page) == ["soldes-été"]
    assert page.locator("#found[role=status]").inner_text() == "1 of 67 campaigns"
    page.get_by_role("searchbox").fill("nothing like it")
    assert page.locator("#found").inner_text() == "No campaign is called so."
    page.get_by_role("searchbox").fill("")
    page.locator("#standing").select_option("waiting")
    assert shown_tags(page) == ["promo-nov", "relance"]


def test_every_column_sorts_both_ways(visit, make_page) -> None:
    """Whatever column is chosen, the second choice of it shows the other end first."""
    page = visit(make_page()).page
    for header in page.locator("#table thead th").all():
        header.get_by_role("button").click()
        first = header.get_attribute("aria-sort")
        header.get_by_role("button").click()
        assert {first, header.get_attribute("aria-sort")} == {"ascending", "descending"}
    assert page.locator("#table thead th[aria-sort=none]").count() == page.locator("#table thead th").count() - 1


@pytest.mark.parametrize(
    ("zone", "first", "shown"),
    [("Europe/Paris", "Fri, 20 Nov 2026", "23:00"), ("Asia/Kolkata", "Sat, 21 Nov 2026", "04:00")],
)
def test_times_of_the_reader(visit, make_page, zone: str, first: str, shown: str) -> None:
    """Days and hours are those of the browser's time zone, half hours included."""
    page = visit(make_page(), timezone=zone).page
    page.get_by_label("Campaign").first.select_option(label="shop-3")
    assert f"from {first} to {first}" in page.locator("#times-summary").inner_text()
    page.get_by_role("button", name="Hour of the day").click()
    assert f"most at {shown}" in page.locator("#times-summary").inner_text()


def test_times_that_were_asked_for(visit, make_page) -> None:
    """With a time zone named, every reader sees the times of that zone, wherever they are."""
    page = visit(make_page(zone="Asia/Kolkata"), timezone="America/New_York").page
    page.get_by_role("button", name="By hour", exact=True).click()
    assert "25 Nov" not in page.locator("#times-summary").inner_text()
    assert page.locator(".page-footer").get_by_text("Asia/Kolkata").is_visible()
    assert page.locator("#table tbody tr td:last-child").first.inner_text() == "24 Nov, 23:30"


def test_a_bar_for_each_time_that_data_was_fetched(visit, tmp_path: Path) -> None:
    """Runs of the same minute have a bar each, side by side, and the axis tells when the first and the last were."""
    uri = str(tmp_path / "data")
    snapshots = [snapshot_of("relance", {"delivered": 30, "waiting": 10})]
    load_all(uri, snapshots, runs_of("relance", 5, 20, 30, apart=timedelta(seconds=2)))
    write_campaign_report(ReportSettings(uri, str(tmp_path / "report.html")))
    page = visit(tmp_path / "report.html").page
    page.wait_for_selector("#progress svg")
    assert "times fetched: 3" in page.locator("#progress p").inner_text()
    bars = page.locator("#progress .mark-rect path").evaluate_all("all => all.map((bar) => bar.getAttribute('d'))")
    assert len({re.match(r"M([0-9.]+),", path)[1] for path in bars}) == 3
    labels = [text for text in page.locator("#progress svg text").all_text_contents() if ":" in text]
    assert labels == ["24 Nov, 18:59:54", "24 Nov, 18:59:58"]
    assert not page.get_by_role("button", name="Next").is_visible()  # one page of the table is all
    assert page.locator("#countries-chart .mark-text.role-mark text").all_text_contents() == ["20", "10", "10"]


def test_days_stand_above_their_dates(visit, make_page) -> None:
    """By day, the first bar's date is written below its middle."""
    page = visit(make_page()).page
    bar = page.locator("#times-chart .mark-rect path").first.bounding_box()
    label = page.locator("#times-chart .role-axis-label text").first.bounding_box()
    assert bar["x"] + bar["width"] / 2 == pytest.approx(label["x"] + label["width"] / 2, abs=2)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_words_are_explained(visit, make_page, language: str) -> None:
    """Every status and state that the page shows stands in its glossary, and that the figures were checked is told."""
    page = visit(make_page(language=language)).page
    explained = page.locator("dl.glossary dt").all_inner_texts()
    shown = json.loads(page.locator("#data").inner_text())
    assert {*shown["status_names"].values(), *shown["standing_names"].values()} <= set(explained)
    told = {"en": "These figures were checked", "fr": "Chiffres vérifiés"}[language]
    assert told in page.locator(".page-footer").inner_text()


def test_french(visit, make_page) -> None:
    """In French, words are French, decimals follow a comma, and thousands and % a narrow space."""
    page = visit(make_page(language="fr"), locale="en-US").page
    assert page.locator("html").get_attribute("lang") == "fr"
    row = [cell.strip() for cell in page.locator("#table tbody tr").first.inner_text().split("\t")]
    assert row[:5] == ["promo-nov", "en attente", "2\u202f100", "95,2\u202f%", "2\u202f000"]
    assert page.get_by_text("2\u202f100 messages").count() == 0  # the summary counts all campaigns
    assert "Belgique" in page.locator("#countries-chart").inner_html()
    assert "2\u202f000" in page.locator("#countries-chart").inner_html()
    assert page.get_by_text("la date n'en est pas une").first.is_visible()


def test_print(visit, make_page) -> None:
    """On paper all campaigns that were chosen are there, in the colours of light, without buttons."""
    page = visit(make_page(), dark=True).page
    page.wait_for_selector("#times-chart svg")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(shown_tags(page)) == 67
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 within margins
    assert page.evaluate("document.documentElement.scrollWidth") == 718
    assert not page.get_by_role("searchbox").is_visible()
    assert page.locator("#times-chart svg").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    fill = "getComputedStyle(document.querySelector('#times-chart path[fill^=var]')).fill"
    assert page.evaluate(fill) == "rgb(11, 110, 153)"


def test_hostile_tags(visit, make_page) -> None:
    """Whatever a tag holds is text: nothing of it runs or becomes an element, and a number in it is hidden."""
    page = visit(make_page()).page
    for tag in (*HOSTILE[:3], "***1"):
        page.get_by_role("searchbox").fill(tag)
        assert shown_tags(page) == [tag]
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Next").click()
    assert page.locator("b").count() == 0
    assert page.locator("bdi", has_text="مرحبا").count() == 1


def test_no_number_in_it(make_page) -> None:
    """No phone number is part of the page: neither plain, nor masked, nor hashed."""
    page = make_page().read_text(encoding="utf-8")
    for number in ("33612345678", "+336", "69999900", MASKED, HASHED, HASHED[9:]):
        assert number not in page
    body = page[page.index('id="data">') : page.index("</script>", page.index('id="data">'))]
    assert re.findall(r"\+[1-9][0-9]{6,14}", body) == []


def test_only_its_own_scripts_run(visit, make_page) -> None:
    """The page's policy runs no script but its own two, and fetches nothing."""
    path = make_page()
    page = path.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe-eval" not in policy
    path.write_text(page.replace("</main>", "<script>document.title = 'taken'</script></main>"), encoding="utf-8")
    visited = visit(path)
    assert visited.page.title() == "SMS campaigns"
    assert all("Content Security Policy" in complaint for complaint in visited.complaints)
    visited.complaints.clear()


def test_licences_come_along(make_page) -> None:
    """The libraries in the page are there with their copyright and licences, as these ask for."""
    head = make_page().read_text(encoding="utf-8").partition("</head>")[0]
    for owner in ("University of Washington Interactive Data Lab", "Mike Bostock", "Permission to use, copy, modify"):
        assert owner in head


@pytest.mark.parametrize("kind", ["dataset", "delta", "duckdb", "postgresql", "s3"])
def test_every_destination_gives_the_same_figures(kind: str, request, tmp_path: Path, loaded: str) -> None:
    """Whatever the tags are kept in, the report counts the same."""
    uris = {"dataset": f"{tmp_path}/data", "delta": f"delta:{tmp_path}/lake", "duckdb": f"duckdb:{tmp_path}/all.duckdb"}
    if kind == "postgresql":
        uris[kind] = request.getfixturevalue("postgresql").uri
    if kind == "s3":
        uris[kind] = f"s3://{request.getfixturevalue('bucket').name}/data"
    figures, expected = (figures_of(uri) for uri in (load(uris[kind]), loaded))
    assert figures == expected
    assert figures.unsure == []
    assert figures.messages == sum(tag.state.rows_loaded for tag in figures.tags.values()) == 4149
    assert (figures.tags["soldes-été"].quarantined, figures.tags["promo-nov"].opt_outs) == (3, 210)
    assert figures.reasons == {"status_unknown": (3, 1), "date_unreadable": (3, 1)}
    assert {tag: [reading.counts for reading in found] for tag, found in figures.progress.readings.items()} == {
        "relance": [(5, 0, 35, 0), (20, 0, 20, 0), (30, 0, 10, 0)]
    }


def test_what_does_not_add_up_is_told(visit, tmp_path: Path) -> None:
    """A tag whose rows somebody has changed is named at the top."""
    import duckdb

    uri = load(f"duckdb:{tmp_path}/all.duckdb", shops=1)
    with duckdb.connect(str(tmp_path / "all.duckdb")) as connection:
        connection.execute("UPDATE statuses SET status = 'ko' WHERE tag = 'relance' AND status = 'waiting'")
    write_campaign_report(ReportSettings(uri, str(tmp_path / "report.html")))
    page = visit(tmp_path / "report.html").page
    (said,) = page.locator(".notice.bad").all_inner_texts()
    assert said.startswith("Campaigns whose figures do not add up: 1 (relance).")
    assert "These figures were checked" not in page.locator(".page-footer").inner_text()


def test_a_damaged_file_hides_nothing(visit, tmp_path: Path) -> None:
    """A tag whose file can't be read is named at the top, and all others are on the page."""
    uri = load(str(tmp_path / "data"), shops=1)
    (path,) = (tmp_path / "data" / "statuses").glob("relance-*")
    path.write_bytes(path.read_bytes()[:200])
    write_campaign_report(ReportSettings(uri, str(tmp_path / "report.html")))
    page = visit(tmp_path / "report.html").page
    (said,) = page.locator(".notice.bad").all_inner_texts()
    assert said == (
        "What can't be read, or is not what was loaded, and is missing on this page: relance. "
        "The next run reads it again."
    )
    assert shown_tags(page)[:2] == ["promo-nov", "soldes-été"]
    assert "relance" not in shown_tags(page)


def test_script_data_stays_data() -> None:
    """JSON in a script element neither ends it nor begins a comment, and is read back as it was."""
    value = {"a": "</script><!-- ]]> & \u2028", "b": [1, None]}
    assert not set(as_script_data(value)) & set("<>&")
    assert json.loads(as_script_data(value)) == value


def test_output(loaded: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A page is written as a whole over the old one, or to standard output."""
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")
    assert run_command(["report", loaded, "-o", str(target), "--title", "Nos <campagnes>", "--lang", "fr"]) == 0
    assert "<title>Nos &lt;campagnes&gt;</title>" in target.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [target]
    capfdbinary.readouterr()
    assert run_command(["report", loaded, "-o", "-"]) == 0
    printed = capfdbinary.readouterr().out
    assert printed.startswith(b"<!doctype html>")
    assert printed.rstrip().endswith(b"</html>")


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [
        (["nowhere"], (2, "nothing was ever loaded into nowhere")),
        (["data", "-o", "data.duckdb"], (2, "name a file that ends in .html")),
        (["data", "-o", "folder.html"], (2, "it is a directory")),
        (["data", "--timezone", "Mars/Olympus"], (2, "there is no time zone 'Mars/Olympus'")),
        (["data", "-o", "data/statuses/report.html"], (2, "lies inside the dataset")),
        (["data", "-o", "missing/report.html"], (2, "missing")),
        (["empty"], (2, "no tag is loaded in empty")),
    ],
    ids=["nothing", "no-page", "directory", "zone", "inside", "missing", "empty"],
)
def test_refusals(arguments, ending: tuple[int, str], tmp_path: Path, monkeypatch, capsys) -> None:
    """What can't be done is told in a sentence, with its exit code, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    load("data", shops=0)
    with open_destination("empty").open(for_loading=True):
        pass
    Path("folder.html").mkdir()
    before = sorted(map(str, Path().rglob("*")))
    assert run_command(["report", *arguments]) == ending[0]
    assert ending[1] in capsys.readouterr().err
    assert sorted(map(str, Path().rglob("*"))) == before


@pytest.mark.parametrize("missing", ["vl_convert", "jinja2"])
def test_without_the_extra(missing: str, loaded: str, tmp_path: Path) -> None:
    """Where its libraries are not installed, the command says in a sentence what to install."""
    lines = f"import sys; sys.modules[{missing!r}] = None; from smspartner_pipelines.process import main; main()"
    command = [sys.executable, "-c", lines, "report", loaded, "-o", str(tmp_path / "report.html")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    told = f"error: the report needs {missing}; pip install 'smspartner-connector[report]'\n"
    assert (ended.returncode, ended.stderr) == (2, told)
