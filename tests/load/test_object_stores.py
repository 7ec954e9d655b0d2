"""The Parquet dataset in object stores: what a reader finds, what a run may rely on, and what goes wrong in words."""

import traceback
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pyarrow.dataset
import pyarrow.fs
import pytest
from smspartner.erasure import Person
from smspartner.errors import DestinationError, SettingsError
from smspartner_pipelines.load import open_destination, open_store
from smspartner_pipelines.load.dataset import file_name
from smspartner_pipelines.load.object_files import ObjectFiles
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES

RUN_ID = "20261123T180000Z-ab12cd34"
LATER = "20261124T180000Z-ef56ab78"
SECRET = "wJalrXUtnFEMI/of+the/tests"


def load(uri, *snapshots, run_id=RUN_ID):
    """Load snapshots in one run."""
    with open_destination(uri) as dataset:
        return [file for files in dataset.replace_tags(snapshots, run_id) for file in files]


def loaded(uri):
    """What is loaded."""
    return dict(open_destination(uri).loaded_tags())


def rows(bucket, folder):
    """All rows of a folder, as a reader that knows nothing of this product finds them."""
    address = bucket.endpoint.removeprefix("http://")
    store = pyarrow.fs.S3FileSystem(endpoint_override=address, scheme="http", region="us-east-1")
    found = pyarrow.dataset.dataset(f"{bucket.name}/{folder}", filesystem=store).to_table()
    return sorted(found.to_pylist(), key=str)


@pytest.fixture(params=["s3", "memory"])
def uri(request):
    """A prefix in each kind of store, with nothing in it."""
    if request.param == "memory":
        yield f"memory://{request.node.originalname}/data"
    else:
        yield f"{request.getfixturevalue('bucket').uri}/team/data"


# What a reader finds.


def test_layout(bucket, make_snapshot, make_tag_runs):
    """Objects lie as files of a dataset do; besides them there are the lock and an index, which hide."""
    written = load(f"{bucket.uri}/data", make_snapshot("Promo.Nov!", quarantined=1), make_snapshot("relance"))
    with open_destination(f"{bucket.uri}/data") as dataset:
        written += dataset.finish(make_tag_runs("gone"), RUN_ID)
        dataset.save_report(b"{}", RUN_ID)
    expected = [
        *("data/.index/footers.json.z", "data/.lock/00000002"),
        *("data/quarantine/promo-nov-228768cc47667e67.parquet", f"data/runs/{RUN_ID}.json"),
        *("data/statuses/promo-nov-228768cc47667e67.parquet", "data/statuses/relance-7d28f71d8356364d.parquet"),
        f"data/tag_runs/{RUN_ID}.parquet",
    ]
    assert bucket.objects() == expected
    assert [file.path.removeprefix(f"{bucket.uri}/") for file in written] == [expected[n] for n in (4, 2, 5, 6)]
    assert [len(bucket.read(file.path.removeprefix(f"{bucket.uri}/"))) for file in written] == [
        file.size for file in written
    ]


def test_readers(bucket, make_snapshot):
    """PyArrow's own S3 file system finds the contract's schema and rows, and so does `pandas.read_parquet`."""
    one, two = make_snapshot("one", 5, quarantined=2), make_snapshot("two", 3)
    load(f"{bucket.uri}/data", one, make_snapshot("none", 0), two)
    assert rows(bucket, "data/statuses") == sorted(one.table.to_pylist() + two.table.to_pylist(), key=str)
    assert rows(bucket, "data/quarantine") == sorted(one.quarantine.to_pylist(), key=str)
    options = {"client_kwargs": {"endpoint_url": bucket.endpoint}, "skip_instance_cache": True}
    frame = pd.read_parquet(f"{bucket.uri}/data/statuses", storage_options=options)
    assert (len(frame), tuple(frame.columns)) == (8, STATUSES.column_names)


def test_stored(uri, make_snapshot):
    """What was loaded is given back whole: state, rows and quarantine, with the contract's types."""
    snapshot = make_snapshot("one", 5, quarantined=2)
    load(uri, snapshot)
    store = open_store(uri)
    stored = store.stored_tag(store.loaded_tags()["one"])
    assert stored.rows.equals(snapshot.table.cast(arrow_schema(STATUSES)))
    assert stored.quarantine.equals(snapshot.quarantine)
    assert (stored.state.rows_loaded, stored.state.rows_quarantined, stored.state.run_id) == (5, 2, RUN_ID)


def test_replaced(uri, make_snapshot):
    """A tag's new rows and quarantine take the places of the old; other tags stay."""
    load(uri, make_snapshot("one", 5, quarantined=2), make_snapshot("two", 3, quarantined=1))
    load(uri, make_snapshot("one", 6), run_id=LATER)
    states = loaded(uri)
    assert {tag: (state.rows_loaded, state.rows_quarantined, state.run_id) for tag, state in states.items()} == {
        "one": (6, 0, LATER),
        "two": (3, 1, RUN_ID),
    }
    assert all(state.consistent for state in states.values())
    store = open_store(uri)
    assert store.stored_tag(states["one"]).quarantine.num_rows == 0


def test_loaded_twice(bucket, make_snapshot):
    """Loading the same once more changes no byte of what a reader sees."""
    snapshots = [make_snapshot("one", 5, quarantined=2), make_snapshot("two", 3)]
    seen = []
    for _ in range(2):
        load(f"{bucket.uri}/data", *snapshots)
        seen.append({key: bucket.read(key) for key in bucket.objects("data/") if "/." not in key})
    assert seen[0] == seen[1]


def test_erased(uri, make_snapshot):
    """A person's rows and quarantine leave, the record stays, and erasing once more finds nothing."""
    person = Person("+33600000001", PhonePrivacy(key=Secret("a phone key of 26 letters!")))
    load(uri, make_snapshot("one", 5), make_snapshot("two", 1))
    with open_store(uri) as store:
        first = store.erase(person, datetime(2026, 11, 24, tzinfo=UTC))
        second = store.erase(person, datetime(2026, 11, 25, tzinfo=UTC))
        state = store.loaded_tags()["one"]
        kept = store.stored_tag(state).rows["phone_number"].to_pylist()
        assert [one.number_hash for one in store.erasures()] == [first.number_hash]
    assert (first.removed, second.removed["rows"]) == ({"tags": 1, "rows": 1, "quarantined": 0}, 0)
    assert (state.rows_loaded, state.erased_places, "+33600000001" in kept) == (4, (1,), False)


@pytest.mark.parametrize("prefix", ["", "/", "/a b/été=1/+%41"], ids=["none", "slash", "odd"])
def test_prefixes(bucket, make_snapshot, prefix):
    """A bucket without a prefix holds a dataset as well, and a prefix may have any characters."""
    load(bucket.uri + prefix, make_snapshot("one", quarantined=1))
    assert loaded(bucket.uri + prefix)["one"].consistent
    assert f"{prefix}/statuses/{file_name('one')}".lstrip("/") in bucket.objects()


def test_many_side_by_side(bucket, make_snapshot):
    """Tags are written side by side, and are told in the order given."""
    tags = [f"tag-{number}" for number in range(40)]
    written = load(f"{bucket.uri}/data", *[make_snapshot(tag) for tag in tags])
    assert [file.path.rsplit("/", 1)[-1] for file in written] == [file_name(tag) for tag in tags]
    assert set(loaded(f"{bucket.uri}/data")) == set(tags)


# What is loaded is known without opening every object.


def reads(bucket):
    """Count the requests that read rows or footers."""
    return sum(method == "GET" and ("statuses/" in key or "quarantine/" in key) for method, key in bucket.requests())


def test_index_spares_requests(bucket, make_snapshot):
    """A run knows what is loaded from two listings and one object, however many tags there are."""
    load(f"{bucket.uri}/data", *[make_snapshot(f"tag-{number}", quarantined=number % 2) for number in range(20)])
    bucket.faults()
    assert len(loaded(f"{bucket.uri}/data")) == 20
    assert (reads(bucket), len(bucket.requests()) < 8) == (0, True)


def test_index_never_lies(bucket, make_snapshot):
    """An object that anybody changed since is judged by its own footer."""
    place = f"{bucket.uri}/data"
    load(place, make_snapshot("one", 5), make_snapshot("two", 3, quarantined=1))
    before = bucket.read(f"data/statuses/{file_name('one')}"), bucket.read(f"data/quarantine/{file_name('two')}")
    load(place, make_snapshot("one", 6), make_snapshot("two", 3, quarantined=1), run_id=LATER)
    bucket.put(f"data/statuses/{file_name('one')}", before[0])
    bucket.put(f"data/quarantine/{file_name('two')}", before[1])
    found = loaded(place)
    assert (found["one"].rows_loaded, found["one"].run_id) == (5, RUN_ID)
    assert (found["one"].consistent, found["two"].consistent) == (True, False)


@pytest.mark.parametrize("content", [b"", b"no index", b"x\x9cK\xce\x00"], ids=["empty", "garbage", "cut"])
def test_index_is_not_needed(bucket, make_snapshot, content):
    """A damaged index costs time and nothing else."""
    load(f"{bucket.uri}/data", make_snapshot("one", 5), make_snapshot("two", quarantined=1))
    expected = loaded(f"{bucket.uri}/data")
    bucket.put("data/.index/footers.json.z", content)
    assert loaded(f"{bucket.uri}/data") == expected


def test_long_footers(bucket, make_snapshot):
    """A footer longer than what is read at first is read whole."""
    many = replace(
        make_snapshot("one", 5),
        erased_places=tuple(range(100_000, 110_000)),
        rows_received=10_005,
        rows_declared=10_005,
    )
    load(f"{bucket.uri}/data", many)
    bucket.client.delete_object(Bucket=bucket.name, Key="data/.index/footers.json.z")
    assert loaded(f"{bucket.uri}/data")["one"].erased_places == many.erased_places


@pytest.mark.parametrize("content", [b"", b"no parquet"], ids=["empty", "garbage"])
def test_damaged(bucket, make_snapshot, content):
    """A damaged object is named, with what to do."""
    load(f"{bucket.uri}/data", make_snapshot("one"))
    bucket.put("data/statuses/one.parquet", content)
    with pytest.raises(DestinationError, match=rf"^{bucket.uri}/data/statuses/one.parquet is damaged, or no file of"):
        loaded(f"{bucket.uri}/data")


# Before anything is requested.


def test_check(bucket):
    """Checking leaves nothing behind, and does not make a dataset."""
    place = open_destination(f"{bucket.uri}/data")
    place.check()
    assert (bucket.objects(), place.exists()) == ([], False)


def test_foreign_objects(bucket):
    """A prefix that holds something else is left alone."""
    bucket.put("data/holiday.jpg", b"")
    with pytest.raises(DestinationError, match=rf"^{bucket.uri}/data holds other objects and is no dataset"):
        open_destination(f"{bucket.uri}/data").check()


@pytest.mark.parametrize("inside", ["statuses", "quarantine/x", "runs/x/y"])
def test_inside_a_dataset(bucket, make_snapshot, inside):
    """The folders of a dataset take no other, in which a reader would find rows twice."""
    load(f"{bucket.uri}/data", make_snapshot("one"))
    with pytest.raises(DestinationError, match="lies inside the dataset"):
        open_destination(f"{bucket.uri}/data/{inside}").check()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://KEY:hidden@bucket/x", "credentials do not belong into s3://KEY"),
        ("s3://KEY@bucket/x", "credentials do not belong into s3://KEY"),
        ("s3:///x", "names no bucket; write s3://BUCKET/PREFIX"),
        ("s3://bucket/x?versionId=1", "holds a [?] or #, which no prefix may"),
        ("s3://bucket/all.csv", r"writes no single files like s3://bucket/all.csv into object stores"),
        ("gs://bucket/x", "gs:// needs another package: .*gcsfs"),
        ("abfs://box@account/x", "abfs:// needs another package: .*adlfs"),
    ],
)
def test_refused(bucket, place, message):
    """What can't be loaded into is refused by name before anything is requested, and shows no secret."""
    with pytest.raises(SettingsError, match=message) as refused:
        open_destination(place)
    assert "hidden" not in str(refused.value)
    assert bucket.requests() == []


def test_parquet_prefix(bucket):
    """`parquet:s3://…` is the same place, whatever its name ends with."""
    assert open_destination(f"parquet:{bucket.uri}/x.csv").keeps_tags
    assert open_destination(f"{bucket.uri}/x").uri == f"{bucket.uri}/x"


# What goes wrong.

REFUSALS = [
    (404, "NoSuchBucket", "there is no such bucket; create it"),
    (403, "AccessDenied", "access is denied; allow these credentials to list, read, write and delete there"),
    (403, "InvalidAccessKeyId", "the access key is not known there; correct AWS_ACCESS_KEY_ID"),
    (403, "SignatureDoesNotMatch", "the secret key does not fit the access key; correct AWS_SECRET_ACCESS_KEY"),
    (400, "ExpiredToken", "the session token is not valid, or not any more; renew the credentials"),
    (403, "RequestTimeTooSkewed", "the clock of this machine is wrong; set it"),
    (301, "PermanentRedirect", "the bucket is in another region; name its region in AWS_REGION"),
    (503, "SlowDown", "the store is overloaded or out of order; run again later"),
    (500, "InternalError", "the store is overloaded or out of order; run again later"),
    (418, "Teapot", r"the store refused \(Teapot\); mend this and run again"),
]


@pytest.mark.parametrize(("status", "code", "message"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_refusals(bucket, status, code, message, method):
    """Each refusal becomes one sentence with a remedy; what the library said of it goes with the exception chain."""
    bucket.faults({"method": method, "status": status, "code": code})
    with pytest.raises(DestinationError, match=f"failed: {message}") as refused:
        open_destination(f"{bucket.uri}/data").check()
    told = "".join(traceback.format_exception(refused.value))
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)
    assert not any(word in told for word in (SECRET, "Signature=", "AKIA", "botocore"))


def test_unreachable(bucket, monkeypatch):
    """A store that refuses connections is told in one sentence."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(DestinationError, match="failed: the store can't be reached; check the network, AWS_ENDPOINT"):
        open_destination(f"{bucket.uri}/data").check()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ACCESS_KEY_ID", None, "there are no credentials; give them as AWS tools take them"),
        ("AWS_PROFILE", "nobody", "there is no such profile; correct AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "no url", "the address of the store is none; check AWS_ENDPOINT_URL"),
    ],
)
def test_settings(bucket, monkeypatch, name, value, message):
    """Credentials that can't be had, and an address that is none, are told in one sentence."""
    monkeypatch.delenv(name, raising=False)
    if value is None:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(DestinationError, match=f"failed: {message}"):
        open_destination(f"{bucket.uri}/data").check()


def test_tried_again(bucket, make_snapshot, monkeypatch):
    """A store that is busy for a moment is asked again, as often as AWS_MAX_ATTEMPTS says."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    bucket.faults({"method": "PUT", "key": "statuses/", "times": 1, "status": 503, "code": "SlowDown"})
    load(f"{bucket.uri}/data", make_snapshot("one"))
    assert loaded(f"{bucket.uri}/data")["one"].rows_loaded == 4


@pytest.mark.parametrize("fault", [{"cut": True}, {"status": 500, "code": "InternalError"}], ids=["cut", "refused"])
def test_half_an_object(bucket, make_snapshot, fault):
    """A request that breaks off puts nothing in place: the old rows stay, the other tags are loaded."""
    place = f"{bucket.uri}/data"
    load(place, make_snapshot("one", 5))
    bucket.faults({"method": "PUT", "key": f"statuses/{file_name('one')}", **fault})
    with pytest.raises(DestinationError, match=r"^writing .* failed: "):
        load(place, make_snapshot("two", 3), make_snapshot("one", 6), run_id=LATER)
    bucket.faults()
    assert {tag: state.rows_loaded for tag, state in loaded(place).items()} == {"one": 5, "two": 3}


def test_large_objects(bucket):
    """An object that goes in parts appears as a whole, or not at all."""
    files = ObjectFiles(f"{bucket.uri}/data")
    content = bytes(101 * 2**20)
    bucket.faults({"method": "PUT", "key": "large", "after": 1, "status": 500, "code": "InternalError"})
    with pytest.raises(DestinationError, match=r"^writing "):
        files.replace("statuses/large", content)
    assert bucket.objects() == []
    bucket.faults()
    files.replace("statuses/large", content)
    assert bucket.client.head_object(Bucket=bucket.name, Key="data/statuses/large")["ContentLength"] == len(content)


def test_broken_while_it_is_made(bucket):
    """What breaks while an object's content is made puts nothing there."""

    def broken(sink):
        sink.write(b"half")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match=r"^broken$"):
        ObjectFiles(f"{bucket.uri}/data").replace("statuses/x", broken)
    assert bucket.objects() == []
