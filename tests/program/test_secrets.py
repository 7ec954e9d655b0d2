"""The key is nowhere but on the wire; phone numbers are nowhere but in the tables asked for, in the form asked for."""

import base64
import hmac
import json
import re
import socket
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
import pytest
from smspartner_pipelines.sandbox import Campaign, Fault

KEY = "k3y+/=&% secret"
PHONE_KEY = "a phone key of 26 letters!"
FORMS = {
    KEY,
    quote(KEY),
    quote(KEY, safe=""),
    quote(KEY, safe="").lower(),
    quote(quote(KEY, safe=""), safe=""),
    quote_plus(KEY),
    base64.b64encode(KEY.encode()).decode(),
    base64.urlsafe_b64encode(KEY.encode()).decode(),
    json.dumps(KEY)[1:-1],
    KEY.encode().hex(),
}
ANY_NUMBER = re.compile(rb"(?:\+|00)?33[ .]?6[ .]?39[ .]?98|06[ .]?39[ .]?98|6399800")
"""How the fictional numbers of the tests begin, in all the spellings they are sent in; longer than a port's number."""

TROUBLE = {
    "none": ([], 0),
    "wrong key, HTTP 200": ([Fault("vendor_error_10")], 5),
    "wrong key, HTTP 401": ([Fault("vendor_error_10_http_401")], 5),
    "error of the vendor": ([Fault("vendor_error_999")], 3),
    "HTTP 503": ([Fault("unavailable", seconds=0)], 3),
    "HTTP 429": ([Fault("rate_limit_seconds", seconds=0)], 3),
    "HTTP 404": ([Fault("not_found")], 3),
    "HTML": ([Fault("html")], 3),
    "redirect": ([Fault("redirect")], 3),
    "connection reset": ([Fault("reset")], 3),
    "connection closed": ([Fault("close")], 3),
    "body cut": ([Fault("cut_body")], 3),
    "chunks cut": ([Fault("cut_chunked")], 3),
    "gzip cut": ([Fault("gzip_cut")], 3),
    "broken UTF-8": ([Fault("utf8_broken")], 3),
    "timeout": ([Fault("slow", seconds=60)], 3),
}
LOGS = {"text": ("-vv", "--log-format", "text"), "json": ("-vv", "--log-format", "json")}


@pytest.fixture
def serve(start_sandbox, api_row):
    """Serve rows with numbers in several spellings, some of them doubtful, to whoever has the key."""
    spellings = ("+33639980001", "06 39 98 00 02", "0033639980003")
    doubtful = [
        api_row(4, status="Teleported"),
        api_row(5, phoneNumber="06 39 98 00 05", status="lost at 0639980005"),
        {"phoneNumber": "+33639980006 bis", "status": "Delivered", "numero": 33639980006, "date": "1517989111"},
        {"success": False, "code": 4, "status": "Numéro 06.39.98.00.07 introuvable"},
        '"+33639980008"',
        [{"phoneNumber": "+33 6 39 98 00 09"}],
        api_row(10, status="?", note={"0639980010": "0639980010"}),
    ]
    believed = [api_row(1, phoneNumber=number) for number in spellings]
    return lambda *faults: start_sandbox(
        [Campaign.of_rows("promo", [*believed, *doubtful]), Campaign.of_rows("sound", believed)],
        faults=faults,
        api_key=KEY,
        page_size=4,
    )


def read(files):
    """Give the content of every file: its bytes, and for Parquet also what is in them."""
    return {name: content + _decoded(name) for name, content in files.items()}


def _decoded(name):
    if not name.endswith(".parquet"):
        return b""
    table = pq.read_table(name)
    return repr((table.to_pylist(), table.schema.metadata)).encode()


def leaks(text):
    """List the forms of the key that stand in a text."""
    data = text if isinstance(text, bytes) else text.encode()
    return sorted(form for form in FORMS if form.encode() in data)


@pytest.mark.parametrize("logs", LOGS.values(), ids=LOGS.keys())
@pytest.mark.parametrize("case", TROUBLE.values(), ids=TROUBLE.keys())
def test_key_is_told_nowhere(serve, command, files, case, logs):
    """Whatever goes wrong, the key is in no form in output, in logs of every library at debug level, or in any file."""
    faults, code = case
    timeout = "0.3" if "slow" in [fault.kind for fault in faults] else "30"
    ended = command(
        serve(*faults),
        *("run", "sound", "--to", "data", "--to", "all.csv", "--timeout", timeout, "--json", *logs),
        SMSPARTNER_API_KEY=KEY,
    )
    written = {name: leaks(content) for name, content in read(files(".")).items()}
    assert (code, [], [], {key: [] for key in written}) == (
        ended.returncode,
        leaks(ended.stdout),
        leaks(ended.stderr),
        written,
    )
    assert "urllib3" in ended.stderr
    assert any(name.startswith("data/runs/") for name in written)


def test_logged_urls_are_redacted(serve, command):
    """The HTTP library's own log lines are there at debug level, with `***` in the key's place."""
    ended = command(serve(), "run", "sound", "--to", "data", "-vv", SMSPARTNER_API_KEY=KEY)
    assert '"GET /v1/bulk-status-by-tag?apiKey=***&tag=sound HTTP/1.1" 200' in ended.stderr


def test_key_is_told_nowhere_without_any_server(smspartner):
    """Where the connection is refused, a process of its own tells so without the key."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        given = {"SMSPARTNER_API_KEY": KEY, "SMSPARTNER_BASE_URL": url}
        ended = smspartner(None, "run", "promo", "--to", "data", "-vv", **given)
        checked = smspartner(None, "check", "-vv", **given)
    assert (
        ended.returncode,
        checked.returncode,
        leaks("".join((ended.stdout, ended.stderr, checked.stdout, checked.stderr))),
    ) == (3, 1, [])
    assert "page 1: no answer: the connection was refused (3 requests)" in ended.stderr
    told = "FAIL  API key: no answer: the connection was refused; check network, proxy and --base-url"
    assert checked.stdout.splitlines()[0] == told


def test_key_as_a_field_name(start_sandbox, command, files):
    """Where the API itself names a field like the key, drift is told without it."""

    def echo():
        return Campaign.of_rows("promo", [{"phoneNumber": "+33639980001", "status": "Waiting", KEY: 1}])

    ended = command(start_sandbox([echo()], api_key=KEY), "run", "promo", "--to", "data", SMSPARTNER_API_KEY=KEY)
    written = {name: leaks(content) for name, content in read(files(".")).items()}
    assert (0, [], {key: [] for key in written}) == (ended.returncode, leaks(ended.stderr), written)


@pytest.mark.parametrize("form", ["plain", "masked", "hashed"])
def test_phone_numbers_are_in_the_tables_only(serve, command, files, form):
    """No phone number is in output, logs, reports or `tag_runs`, in any spelling, also not those of doubtful rows."""
    ended = command(
        serve(),
        *("run", "promo", "sound", "--to", "data", "--json", "-vv", "--phone-numbers", form),
        SMSPARTNER_API_KEY=KEY,
        SMSPARTNER_PHONE_KEY=PHONE_KEY,
    )
    told = {
        name: content for name, content in read(files(".")).items() if name.startswith(("data/runs/", "data/tag_runs/"))
    }
    assert (ended.returncode, len(told)) == (4, 2)
    found = {name: ANY_NUMBER.findall(content) for name, content in told.items()}
    found |= {"stdout": ANY_NUMBER.findall(ended.stdout.encode()), "stderr": ANY_NUMBER.findall(ended.stderr.encode())}
    assert {key: [] for key in found} == found


def test_phone_numbers_as_field_names(start_sandbox, api_row, report, command):
    """A number that comes as the name of a field is not told as drift."""
    sandbox = start_sandbox([Campaign.of_rows("promo", [api_row(1, **{"+33639980001": "called"})])])
    _, found = report(sandbox, "promo", "--to", "data")
    ended = command(sandbox, "run", "promo", "--to", "all.csv")
    assert (len(found["drift"]["promo"]), ANY_NUMBER.findall((json.dumps(found) + ended.stderr).encode())) == (1, [])


def test_phone_numbers_are_not_told_by_great_expectations(serve, command, here):
    """Rows that fail an expectation are counted in the report, not shown."""
    expectation = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "phone_number", "value_set": ["x"]},
    }
    (here / "mine.json").write_text(json.dumps({"name": "mine", "expectations": [expectation]}))
    given = ("--validate", "gx", "--expectations", "mine.json", "--json", "-vv")
    ended = command(serve(), "run", "sound", "--to", "data", *given, SMSPARTNER_API_KEY=KEY)
    assert (ended.returncode, ANY_NUMBER.findall((ended.stdout + ended.stderr).encode())) == (4, [])


def protected(form, number):
    """Give a number in the form asked for, by the definition of the form."""
    if form == "hashed":
        key_id, of_number = (
            hmac.new(PHONE_KEY.encode(), text, "sha256").hexdigest() for text in (b"key id", number.encode())
        )
        return f"{key_id[:8]}:{of_number}"
    return f"+33*******{number[-2:]}"


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_phone_numbers_in_the_form_asked_for(serve, command, files, rows, form):
    """Masked or hashed, no plain number is in any file, the raw JSON of the quarantine included; countries are kept."""
    ended = command(
        serve(),
        *("run", "promo", "sound", "--to", "data", "--to", "all.csv", "--to", "all.parquet", "--phone-numbers", form),
        SMSPARTNER_API_KEY=KEY,
        SMSPARTNER_PHONE_KEY=PHONE_KEY,
    )
    numbers = ("+33639980001", "+33639980002", "+33639980003")
    expected = sorted((tag, protected(form, number), "FR") for tag in ("promo", "sound") for number in numbers)
    assert (4, expected) == (
        ended.returncode,
        [(row["tag"], row["phone_number"], row["country"]) for row in rows("data")],
    )
    found = {name: ANY_NUMBER.findall(content) for name, content in read(files(".")).items()}
    assert {name: [] for name in found} == found


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_raw_rows_of_the_quarantine(serve, command, rows, form):
    """The quarantine's raw JSON keeps what is no number, and the number in the form asked for."""
    command(
        serve(),
        *("run", "promo", "--to", "data", "--phone-numbers", form),
        SMSPARTNER_API_KEY=KEY,
        SMSPARTNER_PHONE_KEY=PHONE_KEY,
    )
    raw = [json.loads(row["raw"]) for row in rows("data", "quarantine")]
    facts = {"stopSMS": False, "date": "1517989111"}
    expected = [
        {"phoneNumber": protected(form, "+33639980004"), "status": "Teleported", **facts},
        {"phoneNumber": protected(form, "+33639980005"), "status": "***", **facts},
        {"phoneNumber": "***", "status": "Delivered", "numero": "***", "date": "1517989111"},
        {"success": False, "code": 4, "status": "***"},
        "***",
        [{"phoneNumber": protected(form, "+33639980009")}],
        {"phoneNumber": protected(form, "+33639980010"), "status": "?", **facts, "note": {"***": "***"}},
    ]
    assert expected == raw


def test_hashes_join(serve, command, rows):
    """Under one key, a number has one hash in every tag and run; under another key, another."""
    seen = []
    for key in (PHONE_KEY, PHONE_KEY, PHONE_KEY[::-1]):
        command(
            serve(),
            *("run", "sound", "--to", "data", "--refresh", "all", "--phone-numbers", "hashed"),
            SMSPARTNER_API_KEY=KEY,
            SMSPARTNER_PHONE_KEY=key,
        )
        seen.append({row["phone_number"] for row in rows("data")})
    assert (seen[0], set()) == (seen[1], seen[0] & seen[2])


def test_phone_key_is_told_nowhere(serve, command, files):
    """The key of the hashes is in no output and in no file."""
    ended = command(
        serve(),
        *("run", "promo", "--to", "data", "--json", "-vv", "--phone-numbers", "hashed"),
        SMSPARTNER_API_KEY=KEY,
        SMSPARTNER_PHONE_KEY=PHONE_KEY,
    )
    everything = [ended.stdout.encode(), ended.stderr.encode(), *read(files(".")).values()]
    assert [content for content in everything if PHONE_KEY.encode() in content] == []


def test_settings_of_the_report(serve, report):
    """The report's settings name neither a key nor a key file."""
    _, found = report(serve(), "sound", "--to", "data", SMSPARTNER_API_KEY=KEY, SMSPARTNER_PHONE_KEY=PHONE_KEY)
    assert [name for name in found["settings"] if "key" in name] == []
