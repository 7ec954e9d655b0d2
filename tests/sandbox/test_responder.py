"""The sandbox answers as the documentation says, byte for byte where it shows bytes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from smspartner_pipelines.sandbox import Campaign, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]

DOCUMENTED_BODIES = Path(__file__).parents[1] / "fixtures" / "documented"
STATUSES = "/v1/bulk-status-by-tag"
SENT = 1_760_000_000
PROMO = Campaign("promo", 25, SENT)


def test_documented_example_byte_for_byte(ask: Ask) -> None:
    """The documented example is answered exactly as the documentation prints it."""
    with Sandbox() as sandbox:
        reply = ask(sandbox, "documented")

    assert (DOCUMENTED_BODIES / "statuses.json").read_bytes() == reply.body
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json; charset=utf-8")


def test_documented_error_byte_for_byte(ask: Ask) -> None:
    """A wrong key is answered exactly as the documentation prints it, with HTTP 200."""
    with Sandbox() as sandbox:
        reply = ask(sandbox, "documented", key="wrong")

    assert (DOCUMENTED_BODIES / "error_10.json").read_bytes() == reply.body
    assert reply.status == 200


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("", 1, "Clé API requise"),
        ("?apiKey=&tag=promo", 1, "Clé API requise"),
        ("?apiKey=sandbox-keY&tag=promo", 10, "Clé API incorrecte"),
        ("?apiKey=sandbox-key", 3, "Tag requis"),
        ("?apiKey=sandbox-key&tag=", 3, "Tag requis"),
        ("?apiKey=sandbox-key&tag=Promo", 4, "Message introuvable"),
    ],
)
def test_errors_of_requests(ask_raw: Ask, query: str, code: int, message: str) -> None:
    """Each mistake in a request has the vendor's code for it; tags are told apart by case."""
    with Sandbox([PROMO]) as sandbox:
        reply = ask_raw(sandbox, STATUSES + query)

    assert (200, {"success": False, "code": code, "message": message}) == (reply.status, reply.document)


def test_account(ask_raw: Ask) -> None:
    """`/v1/me` answers account and credits for the right key, and error 10 for a wrong one."""
    with Sandbox() as sandbox:
        account = ask_raw(sandbox, "/v1/me?apiKey=sandbox-key").document
        refused = ask_raw(sandbox, "/v1/me?apiKey=wrong").document

    assert (account["success"], account["code"], account["credits"]["currency"]) == (True, 200, "EUR")
    assert list(account) == ["success", "code", "user", "credits"]
    assert refused == {"success": False, "code": 10, "message": "Clé API incorrecte"}


def test_other_paths_are_not_found(ask_raw: Ask) -> None:
    """Any other path is HTTP 404."""
    with Sandbox() as sandbox:
        assert [ask_raw(sandbox, path).status for path in ("/", "/v1/elsewhere")] == [404, 404]


def test_any_key_is_accepted_if_so_wished(ask: Ask) -> None:
    """With `api_key=None` any key opens the sandbox, but none does not."""
    with Sandbox([PROMO], api_key=None) as sandbox:
        assert [ask(sandbox, "promo", key=key).document["code"] for key in ("whatever", None)] == [200, 1]


def test_pages_add_up(ask: Ask) -> None:
    """The pages of a tag are its population, in order; each says its number and the same total."""
    with Sandbox([PROMO], page_size=10, clock=lambda: SENT + 3600.0) as sandbox:
        pages = [ask(sandbox, "promo", number).document for number in (1, 2, 3)]

    assert PROMO.population(SENT + 3600) == [row for page in pages for row in page["StatutResponse_List"]]
    assert [(page["currentPage"], page["total"], len(page["StatutResponse_List"])) for page in pages] == [
        (1, 25, 10),
        (2, 25, 10),
        (3, 25, 5),
    ]


@pytest.mark.parametrize(
    ("asked", "current", "rows"),
    [
        (None, 1, 10),
        ("1", 1, 10),
        ("4", 4, 0),
        ("0", 1, 10),
        ("-2", 1, 10),
        ("two", 1, 10),
        ("", 1, 10),
        ("9" * 30, 1, 10),
    ],
)
def test_odd_pages(ask: Ask, asked: str | None, current: int, rows: int) -> None:
    """Without a page, or with one that is no positive number, page 1 answers; beyond the end there are no rows."""
    with Sandbox([PROMO], page_size=10) as sandbox:
        page = ask(sandbox, "promo", asked).document

    assert (current, 25, rows) == (page["currentPage"], page["total"], len(page["StatutResponse_List"]))


def test_empty_campaign(ask: Ask) -> None:
    """A tag without rows is an empty list, not an unknown tag."""
    with Sandbox() as sandbox:
        body = ask(sandbox, "empty").body

    assert (
        body
        == b'{\n  "success": true,\n  "code": 200,\n  "currentPage": 1,\n  "total": 0,\n  "StatutResponse_List": []\n}'
    )


@pytest.mark.parametrize("tag", ["soldes-été", "a&b=c", "100%", "+33", "日本", "'\";--"])
def test_tags_of_any_characters(ask: Ask, tag: str) -> None:
    """Tags may hold any character; what the URL encodes is decoded once."""
    with Sandbox([Campaign.of_rows(tag, [{"tag": tag}])]) as sandbox:
        page = ask(sandbox, tag).document

        assert [{"tag": tag}] == page["StatutResponse_List"]
        assert tag == sandbox.requests[0].tag


def test_given_rows_are_sent_as_they_are(ask: Ask) -> None:
    """Rows of raw JSON text are sent unchanged, also where they are no JSON at all."""
    with Sandbox([Campaign.of_rows("raw", ['{"n":1e3}', None, "{oops"])]) as sandbox:
        body = ask(sandbox, "raw").body

    assert body.endswith(b'"total": 3,\n  "StatutResponse_List": [\n    {"n":1e3},\n    null,\n    {oops\n  ]\n}')


def test_statuses_ripen_with_the_clock(ask: Ask) -> None:
    """As time goes by statuses become final, whatever was answered (and cached) before; the total holds still."""
    now = [SENT - 1.0]
    with Sandbox([PROMO], clock=lambda: now[0]) as sandbox:
        seen = []
        for moment in (SENT - 1, SENT + 3600, SENT + 2 * 86400, SENT + 3 * 86400):
            now[0] = moment
            seen.append(ask(sandbox, "promo").document)
    waiting = [sum(row["status"] == "Waiting" for row in page["StatutResponse_List"]) for page in seen]

    assert [page["total"] for page in seen] == [25] * 4
    assert waiting[0] == 25 > waiting[1] > waiting[2] == 0
    assert seen[2] == seen[3]


def test_populations_can_be_replaced(ask: Ask) -> None:
    """A population can be replaced, and a tag be forgotten, while the sandbox runs."""
    with Sandbox([PROMO]) as sandbox:
        totals = [ask(sandbox, "promo").document["total"]]
        sandbox.set_campaign(Campaign("promo", 7, SENT))
        totals.append(ask(sandbox, "promo").document["total"])
        sandbox.remove_campaign("promo")

        assert totals == [25, 7]
        assert ask(sandbox, "promo").document["code"] == 4
