"""The dataset in object stores: what a reader finds, who may load, and what goes wrong, in words."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pyarrow.dataset
import pyarrow.fs
import pytest
from load.looking import LATER, RUN_ID, load, loaded, refused, rows_of, scan, states_and_damages
from smspartner.errors import DestinationBusy, DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.dataset import Dataset
from smspartner_pipelines.load.object_files import ObjectFiles
from smspartner_pipelines.load.parquet import file_name, state_in
from smspartner_schemas.contract import QUARANTINE, STATUSES

SECRET = "wJalrXUtnFEMI/of+the/tests"


@pytest.fixture
def uri(bucket):
    """A prefix with nothing in it."""
    return f"{bucket.uri}/team/data"


def test_readers(bucket, uri, make_snapshot):
    """PyArrow's own S3 reads the rows of today; what was replaced is gone."""
    load(uri, make_snapshot("one", 5, quarantined=2), make_snapshot("two", quarantined=1))
    new = [make_snapshot("one", 6, quarantined=1, run_id=LATER), make_snapshot("two", run_id=LATER)]
    load(uri, *new)
    address = bucket.endpoint.removeprefix("http://")
    store = pyarrow.fs.S3FileSystem(endpoint_override=address, scheme="http", region="us-east-1")
    for folder, name in (("statuses", "table"), ("quarantine", "quarantine")):
        found = pyarrow.dataset.dataset(f"{bucket.name}/team/data/{folder}", filesystem=store).to_table()
        assert rows_of(found) == rows_of(*(getattr(one, name) for one in new))


@pytest.mark.parametrize("prefix", ["", "/", "/a b/été=1/+%41"], ids=["none", "slash", "odd"])
def test_prefixes(bucket, make_snapshot, prefix):
    """A bucket without a prefix holds a dataset as well, and a prefix may have any characters."""
    load(bucket.uri + prefix, make_snapshot("one", quarantined=1))
    assert loaded(bucket.uri + prefix).keys() == {"one"}
    assert f"{prefix}/statuses/{file_name('one')}".lstrip("/") in bucket.objects()


def test_large_files(bucket, uri, make_snapshot):
    """Of a large object its end alone is read, to know what is loaded; many are read side by side."""
    load(uri, make_snapshot("large", 50_000), *[make_snapshot(f"tag-{number}", 1) for number in range(40)])
    bucket.faults()
    assert len(loaded(uri)) == 41
    assert len(bucket.requests()) < 50


def test_replaced_since_it_was_listed(uri, make_snapshot):
    """An object that another run replaced after it was listed, by a shorter or longer one, is read as it is now."""
    load(uri, make_snapshot("shorter", 9_000), make_snapshot("longer", 8_000))
    files, names = ObjectFiles(uri), [f"statuses/{file_name(tag)}" for tag in ("shorter", "longer")]
    files.names("statuses")
    load(uri, make_snapshot("shorter", 1, run_id=LATER), make_snapshot("longer", 9_000, run_id=LATER))
    for name in names:
        state = state_in(files.tail(name), name.partition("/")[2])
        assert state.run_id == LATER


KILLED = """
import json
from smspartner_pipelines.load import open_destination
dataset = open_destination(sys.argv[1])
sys.stdin.readline()
with dataset.open(for_loading=True):
    tags = json.loads(sys.argv[2])
    made = [conftest.build_snapshot(tag, rows, quarantined=bad, run_id="LATER") for tag, rows, bad in tags]
    list(dataset.replace(made))
"""
OLD, NEW = [("gains", 5, 0), ("loses", 5, 2)], [("gains", 6, 3), ("loses", 6, 0)]
"""Rows and quarantined rows of tags."""


def test_killed_at_every_request(bucket, start, make_snapshot):
    """Whenever a run dies, each tag's rows are old or new, nothing loaded is half, and the next run heals."""
    old = {tag: make_snapshot(tag, rows, quarantined=bad) for tag, rows, bad in OLD}
    new = {tag: make_snapshot(tag, rows, quarantined=bad, run_id="LATER") for tag, rows, bad in NEW}
    for after in range(40):
        uri = f"{bucket.uri}/killed-{after}"
        load(uri, *old.values())
        child = start(KILLED, uri, json.dumps(NEW))
        bucket.faults({"kill": child.pid, "after": after})
        child.communicate("go\n")
        bucket.faults()
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
        states, damages = states_and_damages(uri)
        assert {*states, *(damage.tag for damage in damages)} == {"gains", "loses"}
        for table, name in ((STATUSES, "table"), (QUARANTINE, "quarantine")):
            rows = scan(uri, table)[0]
            for tag in old:
                versions = [rows_of(getattr(one[tag], name)) for one in (old, new)]
                found = [row for row in rows if row["tag"] == tag]
                assert found in versions
                assert tag not in states or found == versions[states[tag].run_id == "LATER"]
        bucket.put(f"killed-{after}/.lock/holder.json", b'{"seconds": -60}')  # as if its lease had run out by now
        load(uri)
        assert (len(loaded(uri)), bucket.objects(f"killed-{after}/.staging")) == (2, [])
    assert after > 7


# Who may load.


def leased(uri, seconds=60.0):
    """A dataset with leases of so many seconds."""
    return Dataset(ObjectFiles(uri, lease_seconds=seconds), uri)


def until(what, *, patience=30.0):
    """Ask until it is so; asking pauses, and no answer depends on how long it took."""
    pause = threading.Event()
    for _ in range(int(patience / 0.05)):
        if what():
            return
        pause.wait(0.05)
    raise AssertionError("that never came")


def is_busy(uri):
    """Whether another run can't enter; if it can, it leaves at once."""
    try:
        with leased(uri).open(for_loading=True):
            return False
    except DestinationBusy:
        return True


def is_lost(held):
    """Whether the lease is known to be lost."""
    try:
        held.save_report(b"{}", RUN_ID)
    except DestinationError as error:
        return str(error).startswith("the lock on ")
    return False


def test_second_run(bucket, uri):
    """While a run holds the place nobody else enters, and `check` says so; once it has left or died, anybody may."""
    says = (
        rf"^{uri} is in use by another run; wait until it has ended, or load somewhere else "
        r"\(if it was killed, its lock runs out in (59|60|61) s\)$"
    )
    with leased(uri).open(for_loading=True):
        for act in (leased(uri).open(for_loading=True).__enter__, leased(uri).check):
            with pytest.raises(DestinationBusy, match=says):
                act()
    leased(uri).check()
    assert not is_busy(uri)
    record = {"owner": "dead", "seconds": 0.5, "released": False}  # of a run that was killed: it runs out by itself
    bucket.put("team/data/.lock/holder.json", json.dumps(record).encode())
    until(lambda: not is_busy(uri))


@pytest.mark.parametrize("before", [False, True], ids=["new", "released"])
def test_one_of_many_wins(uri, before):
    """Of many runs that begin at the same moment one enters."""
    if before:
        load(uri)
    with ThreadPoolExecutor(6) as runs, ExitStack() as entered:
        together = threading.Barrier(6)

        def enter(_):
            one = leased(uri)
            together.wait()
            try:
                entered.enter_context(one.open(for_loading=True))
            except DestinationBusy:
                return False
            return True

        assert sum(runs.map(enter, range(6))) == 1


def test_renewed(bucket, uri):
    """A run that lasts longer than its lease keeps it; each renewal is another version, which nobody can confuse."""
    held = leased(uri, 4.0)
    versions = set()

    def renewed_thrice():
        versions.add(bucket.client.head_object(Bucket=bucket.name, Key="team/data/.lock/holder.json")["ETag"])
        return len(versions) > 3

    with held.open(for_loading=True):
        until(renewed_thrice)
        assert is_busy(uri)
        held.save_report(b"{}", RUN_ID)


def test_taken_over(bucket, uri, make_snapshot):
    """A run that finds another one in its place writes nothing more, says so, and leaves the lock of the other."""
    files = ObjectFiles(uri, lease_seconds=4.0)
    held = Dataset(files, uri)
    with held.open(for_loading=True):
        list(held.replace([make_snapshot("one")]))
        bucket.put("team/data/.lock/holder.json", b'{"owner": "another", "seconds": 60}')
        until(lambda: is_lost(held))
        before = bucket.objects()
        for snapshot in (make_snapshot("two"), make_snapshot("one", quarantined=1)):
            with pytest.raises(DestinationError, match=f"^the lock on {uri} was lost: "):
                list(held.replace([snapshot]))
        here = f"statuses/{file_name('one')}"
        for act, what in ((files.write, {"x": b""}), (files.move, {here: "x"}), (files.remove, [here])):
            with pytest.raises(DestinationError, match=r"^the lock on "):
                act(what)  # each request by itself: the lock may be lost between two
    assert bucket.objects() == before
    assert is_busy(uri)


def test_cut_off(bucket, uri, caplog):
    """A run that can't renew its lock stops writing, though nobody has taken it yet."""
    held = leased(uri, 2.0)
    with held.open(for_loading=True):
        bucket.faults({"method": "PUT", "key": "/.lock/", "status": 403, "code": "AccessDenied"})
        until(lambda: is_lost(held))
    assert "could not be renewed" in caplog.text


@pytest.mark.parametrize("before", [False, True], ids=["created", "updated"])
def test_lost_answer(bucket, uri, before):
    """A lock that was taken while the answer got lost is recognised as one's own."""
    if before:
        load(uri)
    bucket.faults({"method": "PUT", "key": "/.lock/holder", "times": 1, "cut_after": True})
    assert not is_busy(uri)


def test_store_without_conditions(bucket, uri, caplog):
    """A store that can't exclude is named in a warning; one that can is not."""
    with caplog.at_level(logging.WARNING):
        load(uri)
        assert "smspartner" not in {record.name.split(".")[0] for record in caplog.records}
        bucket.faults({"method": "PUT", "key": "/.lock/", "unconditional": True})
        load(f"{uri}/other")
    assert "two runs that begin at the same moment may both load there" in caplog.text


# What goes wrong.


def test_not_ours(bucket, uri, make_snapshot):
    """A prefix that holds something else, or lies within a dataset, is refused."""
    load(uri, make_snapshot("one"))
    bucket.put("photos/holiday.jpg", b"")
    for inside in ("statuses", "quarantine/x", "runs/x/y"):
        assert "lies inside the dataset" in refused(f"{uri}/{inside}")
    assert refused(f"{bucket.uri}/photos").startswith(f"{bucket.uri}/photos holds other objects and is no dataset")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://KEY:hidden@bucket/x", r"^s3://KEY:\*\*\*@bucket/x names something else .*, and give credentials in"),
        ("s3://KEY@bucket/x", "^s3://KEY@bucket/x names something else than a bucket"),
        ("s3:///x", "names something else than a bucket and a prefix; write s3://BUCKET/PREFIX"),
        ("s3://bucket/x?versionId=1", "names something else than a bucket"),
        ("az://box/x", "the configuration of az:// is incomplete or not valid; correct .* AZURE_STORAGE_ACCOUNT_NAME"),
        ("gs:///x", "names something else than a bucket and a prefix; write gs://BUCKET/PREFIX"),
    ],
)
def test_refused(bucket, place, message):
    """What can't be loaded into is refused before anything is requested, and shows no secret."""
    with pytest.raises(SettingsError, match=message) as refused:
        open_destination(place)
    assert "hidden" not in str(refused.value)
    assert bucket.requests() == []


REFUSALS = [
    (404, "NoSuchBucket", SettingsError, "there is no such bucket (NoSuchBucket); create it"),
    (403, "AccessDenied", SettingsError, "access is denied (AccessDenied); allow these credentials to list, read"),
    (403, "InvalidAccessKeyId", SettingsError, "the access key is not known there (InvalidAccessKeyId); correct AWS"),
    (403, "SignatureDoesNotMatch", SettingsError, "the secret key does not fit the access key (Signature"),
    (400, "ExpiredToken", SettingsError, "the session token is not valid any more (ExpiredToken); renew"),
    (403, "RequestTimeTooSkewed", SettingsError, "the clock of this machine is wrong (RequestTimeTooSkewed); set it"),
    (400, "AuthorizationHeaderMalformed", SettingsError, "the bucket is in another region (AuthorizationHeader"),
    (404, "", SettingsError, "there is no such bucket; create it"),
    (403, "", SettingsError, "access is denied; allow these credentials to list, read"),
    (401, "", SettingsError, "access is denied; allow these credentials to list, read"),
    (503, "SlowDown", DestinationError, "the store can't be reached, or is out of order (SlowDown); check"),
    (418, "Teapot", DestinationError, "the store can't be reached, or is out of order (Teapot); check"),
]


@pytest.mark.parametrize(
    ("status", "code", "kind", "message"), REFUSALS, ids=[code or str(status) for status, code, _, _ in REFUSALS]
)
def test_refusals(bucket, uri, status, code, kind, message):
    """Each refusal is one sentence with a remedy; what the library says of it is not passed on."""
    for method in ("GET", "PUT"):
        bucket.faults({"method": method, "status": status, "code": code})
        says = refused(uri, kind)
        assert f" failed: {message}" in says
        assert not any(word in says for word in (SECRET, "Signature=", "AKIA", "<Error>"))


def test_unreachable(uri, monkeypatch):
    """A bucket that is not there is a setting, whichever request finds out; a store that can't be reached is none."""
    missing = open_destination("s3://no-such-bucket/data")
    for act in (missing.check, missing.open(for_loading=True).__enter__):
        with pytest.raises(SettingsError, match="there is no such bucket"):
            act()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert "failed: the store can't be reached" in refused(uri, DestinationError)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without credentials, in an environment without any."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (None, None, "there are no credentials for the object store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("AWS_CONFIG_FILE", os.devnull, "there are no credentials for the object store"),
        ("AWS_PROFILE", "nobody", "there are no credentials for the object store; .*AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "http://minio.example:9000", "the object store's endpoint is http://"),
    ],
)
def test_settings(bucket, uri, home, monkeypatch, name, value, message):
    """Without credentials nobody is asked for any, and what is missing is named; a key goes out over https only."""
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", bucket.endpoint)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    if name:
        monkeypatch.setenv(name, value)
    if name == "AWS_ENDPOINT_URL":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    with pytest.raises(SettingsError, match=message) as caught:
        open_destination(uri)
    assert caught.value.__context__ is None
    assert bucket.requests() == []


def test_profile(bucket, uri, home, monkeypatch, make_snapshot):
    """Credentials and endpoint of a profile are taken from ~/.aws."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(f"[mine]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n")
    (home / ".aws" / "config").write_text(f"[profile mine]\nregion = us-east-1\nendpoint_url = {bucket.endpoint}\n")
    load(uri, make_snapshot("one"))
    assert bucket.objects("team/data/statuses") != []


@pytest.mark.parametrize("fault", [{"cut": True, "times": 1}, {"status": 503, "code": "SlowDown", "times": 1}], ids=str)
def test_tried_again(bucket, uri, make_snapshot, fault):
    """A store that breaks off, or is busy for a moment, is asked again."""
    bucket.faults({"method": "PUT", "key": "statuses/", **fault})
    load(uri, make_snapshot("one"))
    assert loaded(uri).keys() == {"one"}


def test_refused_write(bucket, uri, make_snapshot):
    """A request that is refused puts nothing in place: the old rows stay."""
    load(uri, make_snapshot("one", 5))
    bucket.faults({"method": "PUT", "key": f"statuses/{file_name('one')}", "status": 403, "code": "AccessDenied"})
    with pytest.raises(DestinationError, match=r"^writing .* failed: access is denied"):
        load(uri, make_snapshot("one", 6, run_id=LATER))
    bucket.faults()
    assert scan(uri, STATUSES)[0] == rows_of(make_snapshot("one", 5).table)


def test_library_is_missing(tmp_path):
    """Without obstore the extra is named; nothing else needs it."""
    (tmp_path / "obstore.py").write_text("raise ModuleNotFoundError(name='obstore')")
    program = "from smspartner_pipelines.load import open_destination as o; o('out'); o('s3://b/p')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "needs obstore; pip install 'smspartner-connector[s3]'" in done.stderr
