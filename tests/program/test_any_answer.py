"""Whatever a server answers: no exception but ours, nothing complete without proof, no row lost or made up."""

import json
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smspartner import Connection, Secret, iter_snapshots
from smspartner.errors import AccessRefused

LIST = "StatutResponse_List"
PROVING = ("success", "code", "currentPage", "total", LIST, "StatutResponseList")
YES = {"true", "1"}
PASSES = 2

GOOD = st.builds(
    lambda number, status, stop, date: {
        "phoneNumber": f"+336{number:08}", "status": status, "stopSMS": stop, "date": date
    },
    st.integers(0, 99_999_999),
    st.sampled_from(["Delivered", "Not delivered", "Waiting", "ko"]),
    st.booleans(),
    st.sampled_from(["", "1517989111", None, 1517989111, "2018-02-07 08:38:31"]),
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*PROVING, "phoneNumber", "status", "date", "x"]), inner, max_size=4)
    ),
    max_leaves=6,
)
ODD = JSON | st.builds(
    lambda row, more: {**row, **more}, GOOD, st.dictionaries(st.sampled_from(["status", "date", "x"]), JSON)
)
VALUES = (
    st.sampled_from([0, 1, 2, 3, "1", "2", " 3 ", True, False, None, 200, "200", 4, 10, -1, 1.0, [], {}, [None]]) | JSON
)
BODIES = st.builds(lambda value: json.dumps(value).encode(), JSON) | st.binary(max_size=60)
STATUSES = st.sampled_from([201, 202, 206, 301, 302, 304, 400, 401, 403, 404, 408, 410, 425, 429, 500, 502, 503, 529])


@st.composite
def mutated_pages(draw):
    """The pages of an honest population, as HTTP status and body each, with up to three things changed."""
    rows = draw(st.lists(GOOD | ODD, max_size=8))
    size = draw(st.integers(1, 3))
    count = max(1, -(-len(rows) // size))
    pages = [
        {"success": True, "code": 200, "currentPage": n + 1, "total": len(rows), LIST: rows[n * size : (n + 1) * size]}
        for n in range(count)
    ]
    answers = [[200, json.dumps(page).encode()] for page in pages]
    for _ in range(draw(st.integers(0, 3))):
        change(draw, draw(st.sampled_from(answers)))
    return answers


def change(draw, answer):
    """Change one thing about an answer: its HTTP status, its document, or its bytes."""
    what = draw(st.sampled_from(["status", "body", "cut", "bytes", "document", "document", "document", "document"]))
    text = answer[1]
    if what == "status":
        answer[0] = draw(STATUSES)
    elif what == "body":
        text = draw(BODIES)
    elif what == "cut":
        text = text[: draw(st.integers(0, len(text)))]
    elif what == "bytes":
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.binary(max_size=3)) + text[at + draw(st.integers(0, 3)) :]
    elif text.startswith(b'{"') and text.endswith(b"}"):
        text = edited(draw, text)
    answer[1] = text if answer[0] != 304 else b""


def edited(draw, text):
    """Change a document: a field dropped, of another type, one level deeper or given twice; a row more."""
    try:
        document = json.loads(text)
    except ValueError:
        return text
    name = draw(st.sampled_from([*document, "x"]))
    what = draw(st.sampled_from(["drop", "retype", "nest", "double", "insert", "insert", "insert"]))
    if what == "drop":
        document.pop(name, None)
    elif what == "retype":
        document[name] = draw(VALUES)
    elif what == "nest":
        document[name] = draw(st.sampled_from([[document.get(name)], {"0": document.get(name)}]))
    elif what == "insert" and isinstance(document.get(LIST), list):
        document[LIST].insert(draw(st.integers(0, len(document[LIST]))), draw(GOOD | ODD))
    text = json.dumps(document).encode()
    if what == "double" and document:
        field = b"%b: %b" % (json.dumps(name).encode(), json.dumps(draw(VALUES)).encode())
        text = draw(st.sampled_from([text[:-1] + b", " + field + b"}", b"{" + field + b", " + text[1:]]))
    return text


def sound_page(tag, page):
    """The one page of the tag beside."""
    row = {"phoneNumber": "+33639980001", "status": "Delivered", "stopSMS": False, "date": "1517989111"}
    return 200, json.dumps({"success": True, "code": 200, "currentPage": page, "total": 1, LIST: [row]}).encode()


def play(server, answers):
    """Serve these answers as the pages of the tag `any` (and none beyond), and the tag `sound` beside it."""
    beyond = 200, json.dumps({"success": True, "code": 200, "currentPage": 0, "total": 0, LIST: []}).encode()
    pages = dict(enumerate(map(tuple, answers), start=1))
    server.play(lambda tag, page: pages.get(page, beyond) if tag == "any" else sound_page(tag, page))


def connection(server):
    """Connect without retries: what is arbitrary will be so again."""
    how = {"retries": 0, "passes": PASSES, "pass_pauses": (), "concurrency": 1}
    return Connection(api_key=Secret("sandbox-key"), base_url=server.url, **how)


def check_proof(served, rows):
    """Check, by a reading of its own, that the last pass over the tag `any` proves a population of so many rows."""
    asked = [(page, status, body) for tag, page, status, body in served if tag == "any"]
    begin = max(place for place, (page, _, _) in enumerate(asked) if page == 1)
    last = sorted(asked[begin:])
    assert [page for page, _, _ in last] == list(range(1, len(last) + 1))
    first = rows_of(last[0][2])
    pages = -(-rows // len(first)) if first else 1
    assert len(last) - pages in {0, 1}
    if len(last) > pages:  # the look behind the end: nothing new stands there
        behind = numbers_of(rows_of(last.pop()[2]))
        assert not behind or behind in [numbers_of(rows_of(body)) for _, _, body in last]
    received, totals = 0, set()
    for page, status, body in last:
        pairs = read(body, object_pairs_hook=list)
        proving = [(name, value) for name, value in pairs if name in PROVING]
        document = dict(proving)
        assert all(value == document[name] for name, value in proving)
        assert (status, int(str(document["currentPage"])), int(str(document.get("code", 200)))) == (200, page, 200)
        assert str(document["success"]).strip().lower() in YES
        (sent,) = [document[name] for name in (LIST, "StatutResponseList") if name in document] or [None]
        received += len(sent or [])  # null or absent is a list without rows
        totals.add(int(str(document["total"])))
    assert totals == {received} == {rows}


def read(body, **how):
    """Read JSON as tolerantly as a page is read, with a byte order mark, control characters and bytes of Latin-1."""
    return json.loads(body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"), strict=False, **how)


def rows_of(body):
    """Give the rows of a body, none where it has no list of them."""
    try:
        document = read(body)
    except ValueError:
        return []
    if not isinstance(document, dict) or str(document.get("success")).strip().lower() not in YES:
        return []
    sent = document.get(LIST, document.get("StatutResponseList"))
    return list(sent.values()) if isinstance(sent, dict) else sent if isinstance(sent, list) else []


def numbers_of(rows):
    """Give what tells rows apart, in no order."""
    return sorted(str(row.get("phoneNumber")) if isinstance(row, dict) else json.dumps(row) for row in rows)


def check_snapshots(server, answers):
    """Read both tags through the library; give the verdict of `any`."""
    play(server, answers)
    snapshots = []
    try:
        snapshots.extend(iter_snapshots(["sound", "any"], connection(server)))
    except AccessRefused:
        return "refused"
    snapshot, sound = sorted(snapshots, key=lambda one: one.tag)
    assert (sound.verdict, sound.table.num_rows) == ("complete", 1)
    asked = sum(tag == "any" for tag, *_ in server.served)
    assert snapshot.requests == asked <= PASSES * (2 + max(snapshot.rows_declared or 0, 8))
    rows = snapshot.table.num_rows + snapshot.quarantine.num_rows
    if snapshot.verdict == "complete":
        assert rows == snapshot.rows_received == snapshot.rows_declared
        check_proof(server.served, rows)
    else:
        assert rows == 0
    return snapshot.verdict


def test_any_change(scripted):
    """Sound pages with fields dropped, retyped, nested or doubled, or bytes changed, are proved or not loaded."""
    verdicts = Counter()

    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=120)
    @given(mutated_pages())
    def check(answers):
        verdicts[check_snapshots(scripted, answers)] += 1

    check()
    assert {"complete", "failed", "incomplete"} <= verdicts.keys()
