"""The campaign report answers first, names what needs a look, hides nothing, and can be read by everybody."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pages.shop import HOSTILE, RUNS, campaign, load, run_of
from smspartner_pipelines.cli import run_command
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.pages.campaign_figures import Figures, campaign_figures
from smspartner_pipelines.pages.campaign_report import ReportSettings, write_campaign_report
from smspartner_pipelines.pages.campaign_texts import DASH
from smspartner_pipelines.reading import open_loaded

WIDTHS = (320, 390, 768, 1440)
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Load the shop once."""
    return load(str(tmp_path_factory.mktemp("loaded") / "data"))


@pytest.fixture
def make_page(loaded: str, tmp_path: Path) -> Make:
    """Write a page of the shop, or of other campaigns."""

    def make(uri: str = loaded, **settings: Any) -> Path:
        return Path(write_campaign_report(ReportSettings(uri, str(tmp_path / "report.html"), **settings)))

    return make


def look(page: Any) -> dict[str, tuple[str, str]]:
    """Give what needs a look: why, and what to do, by campaign."""
    entries = page.locator(".look > li")
    return {
        entry.locator("h3").inner_text(): (entry.locator(".why").inner_text(), entry.locator(".do").inner_text())
        for entry in entries.all()
    }


def row(page: Any, tag: str) -> list[str]:
    """Give the cells of a campaign's row."""
    found = page.locator(".camp tbody tr", has=page.get_by_role("link", name=tag, exact=True))
    return [cell.replace("\n", " ").strip() for cell in found.locator("th, td").all_inner_texts()]


def figures_of(uri: str) -> Figures:
    """Count what a destination holds."""
    with open_loaded(uri) as destination:
        return campaign_figures(destination)


def test_the_answer_comes_first(visit, make_page: Make) -> None:
    """The page begins with the share of what is final, beside the usual share, its cause, what waits and what lacks."""
    page = visit(make_page()).page
    assert page.locator(".big").inner_text().split() == ["90.9%", "delivered"]
    said = page.locator(".say").inner_text()
    assert "9,365 of the 10,297 messages with a final outcome were delivered. That is 3.3 points below" in said
    assert "your usual 94.2%, mostly because of bought-list: without it, 94.3%." in said
    assert "120 messages still wait for an outcome" in said
    assert "One campaign of 15, never-loaded, could not be loaded and is not in these figures." in said


def test_what_needs_a_look(visit, make_page: Make) -> None:
    """Each campaign far from the usual, failed, old or in quarantine is named once, worst first, with what to do."""
    page = visit(make_page()).page
    found = look(page)
    assert page.locator("#look h2").inner_text() == "Seven campaigns need a look"
    assert list(found) == [
        *("never-loaded", "tried-again", "bought-list", "too-often", "not-read-since", "odd-dates", "mistyped")
    ]
    whys = {tag: why for tag, (why, _) in found.items()}
    assert whys["never-loaded"].startswith("Never loaded. SMS Partner declared 12,600 messages, but the total changed")
    assert whys["tried-again"].startswith("The last try failed, on ")
    assert whys["bought-list"].startswith("60.0% delivered, 34.2 points below your usual 94.2%. 11.7% opted out")
    assert whys["too-often"].startswith("6.4% opted out of those who received it, 4 times your usual 1.6%.")
    assert whys["not-read-since"] == "Last read 8 days ago, while 20 messages were waiting."
    assert whys["odd-dates"] == "3 rows in quarantine: the date could not be read. They are in no figure."
    assert "SMS Partner knows no message under this tag" in whys["mistyped"]
    assert "smspartner run never-loaded --to " in found["never-loaded"][1]
    assert "40 messages could not be sent at all (KO)" in found["bought-list"][1]
    assert "smspartner quarantine " in found["odd-dates"][1]


def test_every_tag_has_a_row(visit, make_page: Make) -> None:
    """The table holds every tag ever asked for; waiting messages lower no share, and opt-outs are of delivered."""
    page = visit(make_page()).page
    assert page.locator(".camp tbody tr").count() == 15
    assert row(page, "still-waiting")[2:7] == ["400", "93.3%", "20", "0.0%", "100"]
    assert row(page, "bought-list")[2:7] == ["1,000", "60.0%", "400", "11.7%", "0"]
    assert row(page, "never-loaded")[3] == "never loaded"
    assert row(page, "mistyped")[3] == "unknown tag"
    assert page.locator(".camp tfoot").inner_text().split() == [
        *("All", "13", "loaded", "10,417", "90.9%", "932", "2.2%", "120")
    ]
    assert "2.2% of delivered, usual 1.6%" in page.locator(".parts").inner_text()


def test_sorting_searching_and_periods(visit, make_page: Make) -> None:
    """Sort, search and period filter rows and their total; what is chosen stands in the address and is kept."""
    page = visit(make_page()).page
    start = page.url
    page.get_by_role("searchbox").fill("ETE")
    assert page.locator(".camp tbody tr:visible th").all_inner_texts() == ["soldes-été"]
    assert page.locator(".camp tfoot").inner_text().startswith("Total of 1")
    page.get_by_role("searchbox").fill("nothing like it")
    assert page.locator(".camp").is_hidden()
    assert page.locator(".none span").inner_text() == "No campaign has “nothing like it” in its name."
    page.get_by_role("button", name="Show all campaigns").click()
    for name, first in (("Delivered", "again-and-again"), ("Opt-outs", "bought-list"), ("Campaign", "again-and-again")):
        page.locator(".camp thead button", has_text=name).click()
        assert page.locator(".camp tbody th").first.inner_text().split("\n")[0] == first
    page.get_by_role("radio", name="7 days").click()
    seen = page.locator(".camp tbody tr:visible th a").all_inner_texts()
    page.reload()
    assert page.url.endswith("#?days=7&sort=tag")
    assert page.locator(".camp tbody tr:visible th a").all_inner_texts() == seen
    assert set(seen) == {"mistyped", "never-loaded", "still-waiting"}
    for address in ("#?days=99&sort=nothing", "#c-%"):  # an address that was cut or made by hand
        page.goto("about:blank")
        page.goto(start + address)
        assert page.locator(".camp tfoot").inner_text().startswith("All 13 loaded")


def test_without_a_script(visit, make_page: Make) -> None:
    """With scripts off, everything but search and sort is there, and a link opens a campaign's section."""
    page = visit(make_page(), java_script_enabled=False).page
    assert page.locator(".camp tbody tr:visible").count() == 15
    assert page.locator(".chart:visible svg g").count() > 20
    assert page.locator(".tools").is_hidden()
    page.locator(".look a", has_text="bought-list").click()
    opened = page.locator("details[open]")
    assert opened.locator("h3").inner_text() == "bought-list"
    assert "360" in opened.locator(".nums").inner_text()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_any_width_and_scheme(visit, make_page: Make, language: str) -> None:
    """From 320 to 1,440 px, in the light and in the dark, nothing is cut off, and axe-core finds nothing."""
    written = make_page(language=language)
    for width in WIDTHS:
        visited = visit(written, viewport={"width": width, "height": 800}, dark=width in {390, 1440})
        page = visited.page
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shares = page.locator(".camp tbody .share b").all()
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for one in shares if (box := one.bounding_box()))
        assert visited.faults(every=True) == []
        visited.keep_screenshot(f"campaigns_{language}_{width}")


def test_forced_colours_and_print(visit, make_page: Make) -> None:
    """In forced colours each mark has a system colour; on paper there are margins, no tools, and readable labels."""
    written = make_page()
    forced = visit(written, forced_colors="active").page
    fill = "getComputedStyle(document.querySelector('{}')).fill"
    assert forced.evaluate(fill.format(".chart .d")) == "rgb(0, 0, 0)"
    assert forced.evaluate(fill.format(".look .f")) != forced.evaluate(fill.format(".chart .d"))
    page = visit(written).page
    page.emulate_media(media="print")
    assert page.locator(".tools").is_hidden()
    sizes = page.eval_on_selector_all(
        ".chart text",
        "all => all.filter(e => e.getBoundingClientRect().width).map(e => parseFloat(getComputedStyle(e).fontSize))",
    )
    assert min(sizes) >= 9.5
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_the_page_needs_and_tells_nothing_else(visit, make_page: Make) -> None:
    """A page of 15 campaigns is small, asks for nothing, runs no script but its own, and holds no phone number."""
    written = make_page()
    text = written.read_text(encoding="utf-8")
    assert written.stat().st_size < 300_000
    assert re.findall(r"\+?\d{9,}", re.sub(r"sha256-[^']*", "", text)) == []
    visited = visit(written)
    page = visited.page
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert page.evaluate("window.ran") is None
    visited.complaints.clear()


def test_csv(visit, make_page: Make) -> None:
    """The table can be taken along as CSV, as the spreadsheets of the language expect it."""
    for language, delimiter, share in (("en", ",", "0.6000"), ("fr", ";", "0,6000")):
        link = visit(make_page(language=language), java_script_enabled=False).page.locator("a[download]")
        text = unquote(link.get_attribute("href").partition(",")[2])
        assert text.startswith("\ufefftag")
        rows = {one["tag"]: one for one in csv.DictReader(io.StringIO(text[1:]), delimiter=delimiter)}
        assert len(rows) == 15
        assert (rows["bought-list"]["delivered"], rows["bought-list"]["delivered_share_of_final"]) == ("600", share)
        assert rows["never-loaded"]["messages"] == ""


def test_campaign_sections(visit, make_page: Make) -> None:
    """Each campaign has its numbers, curve or weeks, countries and readings behind an anchor of its own."""
    page = visit(make_page()).page
    page.goto(page.url + "#c-still-waiting")
    one = page.locator("#c-still-waiting")
    assert one.is_visible()
    assert "70.0% delivered so far; 100 wait." in one.inner_text()
    assert re.findall(r"complete\s+400\s+(\d+)\s+(\d+)", one.inner_text()) == [("280", "100"), ("100", "300")]
    page.goto(page.url.partition("#")[0] + "#c-again-and-again")
    assert "Delivered by week" in page.locator("#c-again-and-again").inner_text()
    page.goto(page.url.partition("#")[0] + "#c-never-loaded")
    assert re.findall(r"unstable\s+([\d,]+)", page.locator("#c-never-loaded").inner_text()) == ["12,600", "12,500"]


def test_french(visit, make_page: Make) -> None:
    """The French page is French throughout, with its numbers, dates and zone."""
    page = visit(make_page(language="fr", zone="Indian/Reunion")).page
    assert page.locator("html").get_attribute("lang") == "fr"
    assert (
        "9\u202f365 des 10\u202f297 messages au résultat définitif ont été délivrés"
        in page.locator(".say").inner_text()
    )
    assert look(page)["odd-dates"][0].startswith("3 lignes en quarantaine\u00a0: date illisible.")
    assert "Indian/Reunion" in page.locator("footer").inner_text()
    english = r"(?<![-\w])(?:the|delivered|were|campaigns?|waiting|usual)(?![-\w])"
    assert re.findall(english, re.sub(r"smspartner\S*.*", "", page.locator("body").inner_text())) == []


@pytest.mark.parametrize(
    ("campaigns", "runs", "big", "said"),
    [
        ([], RUNS[:3], DASH, "No campaign is loaded yet."),
        ([campaign("only", 9, 1)], [], "90.0% delivered", "9 of the 10 messages with a final outcome were delivered."),
        (
            [campaign("young", 0, waiting=7, sent=timedelta(hours=1))],
            [],
            DASH,
            "No message has a final outcome yet; 7 are",
        ),
        ([campaign("empty", 0)], [], DASH, "No campaign that is loaded has a message."),
        ([campaign(f"c-{n}", 95, 5) for n in range(4)], [], "95.0% delivered", "That is as usual"),
    ],
    ids=["nothing loaded", "one campaign", "all waiting", "no messages", "as usual"],
)
def test_states(visit, tmp_path: Path, make_page: Make, campaigns, runs, big: str, said: str) -> None:
    """The page also makes sense where there is little to say."""
    page = visit(make_page(load(str(tmp_path / "data"), campaigns, runs))).page
    assert " ".join(page.locator(".big").inner_text().split()) == big
    assert said in page.locator(".say").inner_text()
    assert page.locator("#sure").is_visible()
    if not runs:
        assert page.locator("#look h2").inner_text() == "Nothing needs a look."
    if said == "No campaign is loaded yet.":  # a dash as large as a number is a bar
        assert page.locator(".big").bounding_box()["height"] < 40


def test_thousands_of_campaigns(visit, tmp_path: Path, make_page: Make) -> None:
    """Of very many campaigns, a page shows the first ones at once, and every one on demand."""
    many = [campaign(f"tag-{n:04}", 19, 1, sent=timedelta(days=n % 400 + 3)) for n in range(1_200)]
    bad = [campaign(f"low-{n:03}", 10, 10) for n in range(40)]
    page = visit(make_page(load(f"duckdb:{tmp_path}/all.duckdb", [*many, *bad], []))).page
    assert page.locator("#look > .look > li").count() == 20
    assert page.locator("#look details summary").inner_text() == "and 20 more"
    assert page.locator(".camp tbody tr:visible").count() == 100
    page.get_by_role("button", name="Show all campaigns").click()
    assert page.locator(".camp tbody tr:visible").count() == 1_240
    assert page.locator("details.one").count() == 240
    assert "By week" in page.locator("#daycap").inner_text() or "By month" in page.locator("#daycap").inner_text()


def test_hostile_tags(visit, tmp_path: Path, make_page: Make) -> None:
    """Tags that look like HTML are text, run from right to left or not, and one that is a number is hidden."""
    page = visit(make_page(load(str(tmp_path / "data"), [campaign(tag, 5, 5) for tag in HOSTILE], []))).page
    names = page.locator(".camp tbody th").all_inner_texts()
    assert sorted(names) == sorted([*HOSTILE[:3], "***1"])
    for anchor in page.locator(".camp tbody th a").all():
        anchor.click()
    assert page.locator("details[open]").count() == len(HOSTILE)


@pytest.mark.parametrize("kind", ["dataset", "delta", "duckdb", "postgresql", "s3"])
def test_every_destination_gives_the_same_figures(kind: str, request, tmp_path: Path, loaded: str) -> None:
    """Whatever the tags are kept in, the report counts the same."""
    uris = {"dataset": f"{tmp_path}/data", "delta": f"delta:{tmp_path}/lake", "duckdb": f"duckdb:{tmp_path}/all.duckdb"}
    if kind == "postgresql":
        uris[kind] = request.getfixturevalue("postgresql").uri
    if kind == "s3":
        uris[kind] = f"s3://{request.getfixturevalue('bucket').name}/data"
    counted = []
    for figures in (figures_of(load(uris[kind])), figures_of(loaded)):
        of = {
            one.tag: (
                one.state,
                one.damaged,
                one.rows,
                one.first,
                one.last,
                one.half,
                one.most,
                one.countries,
                one.reasons,
            )
            for one in figures.campaigns
        }
        owner, quarters, messages = figures.deliveries
        by_tag = sorted((figures.campaigns[o].tag, q, m) for o, q, m in zip(owner, quarters, messages, strict=True))
        counted.append((dict(sorted(of.items())), by_tag, figures.damages))
    assert counted[0] == counted[1]
    assert sum(figures.deliveries[2]) == 9_365


def test_what_does_not_add_up_is_named(visit, tmp_path: Path, make_page: Make) -> None:
    """A tag whose rows somebody has changed, or whose file can't be read, is named at once; all others are shown."""
    import duckdb

    uri = load(f"duckdb:{tmp_path}/all.duckdb", [campaign("fine", 9, 1), campaign("changed", 9, 1)], [])
    with duckdb.connect(str(tmp_path / "all.duckdb")) as connection:
        connection.execute("DELETE FROM statuses WHERE tag = 'changed' AND status = 'not_delivered'")
    page = visit(make_page(uri)).page
    assert look(page)["changed"][0].startswith("What is loaded can\u2019t be read, or does not add up.")
    assert "The counts of 1 campaign do not add up: changed." in page.locator("#sure").inner_text()
    uri = load(str(tmp_path / "data"), [campaign("fine", 9, 1), campaign("cut", 9, 1)], [])
    (path,) = (tmp_path / "data" / "statuses").glob("cut-*")
    path.write_bytes(path.read_bytes()[:200])
    page = visit(make_page(uri)).page
    assert row(page, "fine")[2:4] == ["10", "90.0%"]
    assert page.locator("#sure .f").count() > 0


def test_output(loaded: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A page is written as a whole over the old one, or to standard output."""
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")
    assert run_command(["report", loaded, "-o", str(target), "--title", "Nos <campagnes>", "--lang", "fr"]) == 0
    assert "délivrés\u00a0: Nos &lt;campagnes&gt;</title>" in target.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [target]
    capfdbinary.readouterr()
    assert run_command(["report", loaded, "-o", "-"]) == 0
    printed = capfdbinary.readouterr().out
    assert printed.startswith(b"<!doctype html>")
    assert printed.rstrip().endswith(b"</html>")


def test_far_is_settable(visit, make_page: Make) -> None:
    """How many points below the usual are far is for the reader to say."""
    assert "bought-list" in look(visit(make_page(far=34.0)).page)
    assert "points below" not in look(visit(make_page(far=35.0)).page)["bought-list"][0]


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [
        (["nowhere"], (2, "nothing was ever loaded into nowhere")),
        (["data", "-o", "data.duckdb"], (2, "name a file that ends in .html")),
        (["data", "-o", "folder.html"], (2, "it is a directory")),
        (["data", "--timezone", "Mars/Olympus"], (2, "there is no time zone 'Mars/Olympus'")),
        (["data", "-o", "data/statuses/report.html"], (2, "lies inside the dataset")),
        (["data", "-o", "missing/report.html"], (2, "missing")),
        (["empty"], (2, "no tag was ever loaded into empty")),
    ],
    ids=["nothing", "no-page", "directory", "zone", "inside", "missing", "empty"],
)
def test_refusals(arguments, ending: tuple[int, str], tmp_path: Path, monkeypatch, capsys) -> None:
    """What can't be done is said in a sentence, with its exit code, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    load("data", [campaign("one", 5)], [run_of("one", "complete")])
    with open_destination("empty").open(for_loading=True):
        pass
    Path("folder.html").mkdir()
    before = sorted(map(str, Path().rglob("*")))
    assert run_command(["report", *arguments]) == ending[0]
    assert ending[1] in capsys.readouterr().err
    assert sorted(map(str, Path().rglob("*"))) == before
