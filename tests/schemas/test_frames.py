"""The typed pandas frame."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import STATUS_WORDS, STATUSES
from smspartner_schemas.frames import to_frame

DTYPES = {
    "tag": "category",
    "phone_number": str(pd.Series(dtype="str").dtype),  # `object` in pandas 2
    "occurrence": "int32",
    "country": "category",
    "status": "category",
    "stop_sms": "bool",
    "status_at": "datetime64[us, UTC]",
    "extracted_at": "datetime64[us, UTC]",
    "run_id": "category",
}
EMPTY = to_frame(empty_table(STATUSES))


def dtypes(frame: pd.DataFrame) -> dict[str, str]:
    """Return the dtypes as pandas prints them."""
    return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}


def test_rows_survive(statuses):
    """Every value of the Arrow table is in the frame, to the microsecond, in the native dtypes of the contract."""
    table = statuses({}, {"country": None, "status_at": None, "status": "waiting"})
    frame = to_frame(table)
    back = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    assert (back, list(frame.index), dtypes(frame)) == (table.to_pylist(), [0, 1], DTYPES)
    assert not isinstance(frame["status_at"].dtype, pd.ArrowDtype)


def test_empty_frames(statuses):
    """An empty frame has all columns with the same dtypes, text as categories, and the contract's words of `status`."""
    for frame in (EMPTY, to_frame(statuses({})[:0]), to_frame(statuses())):
        assert (dtypes(frame), len(frame)) == (DTYPES, 0)
    assert str(EMPTY["tag"].cat.categories.dtype) == DTYPES["phone_number"]
    assert list(EMPTY["status"].cat.categories) == list(STATUS_WORDS)


def test_status_categories(statuses):
    """`status` has the contract's words in the contract's order, and others behind them; frames concatenate so."""
    found = to_frame(statuses({"status": "lost"}, {"status": "ko"}))["status"]
    assert (list(found.cat.categories), list(found)) == ([*STATUS_WORDS, "lost"], ["lost", "ko"])
    frames = [to_frame(statuses({"status": word})) for word in STATUS_WORDS]
    assert str(pd.concat(frames)["status"].dtype) == "category"


def test_many_tags(statuses):
    """Tables with different dictionaries become one frame."""
    tables = [statuses({"tag": tag}) for tag in ("b", "a", "é")]
    assert list(to_frame(pa.concat_tables(tables))["tag"]) == ["b", "a", "é"]


def test_forbidden_nulls_stay(statuses):
    """A null where none is allowed stays a null, for validation to find."""
    frame = to_frame(statuses({}, {"occurrence": None, "stop_sms": None, "tag": None, "phone_number": None}))
    forbidden = ["occurrence", "stop_sms", "tag", "phone_number"]
    assert frame[forbidden].isna().to_numpy().tolist() == [[False] * 4, [True] * 4]
    assert dtypes(frame) == DTYPES | {"occurrence": "Int32", "stop_sms": "boolean"}


def test_foreign_encodings(statuses):
    """Large strings, other integers, dictionaries with a null or a word twice, another order, are read alike."""
    table = statuses({"status": "ko"}, {"status": "ko", "country": None}, {"status": "waiting"})
    null, twice = pa.array(["ko", None, "waiting"]), pa.array([table["run_id"][0].as_py()] * 2)
    foreign = table.set_column(4, "status", pa.DictionaryArray.from_arrays(pa.array([0, 0, 2], pa.int32()), null))
    foreign = foreign.set_column(8, "run_id", pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), twice))
    foreign = foreign.set_column(2, "occurrence", pc.cast(table["occurrence"], pa.int64()))
    foreign = foreign.set_column(0, "tag", pc.cast(table["tag"], pa.large_string()))
    for read in (foreign, foreign.select(foreign.column_names[::-1]).append_column("more", foreign["tag"])):
        pd.testing.assert_frame_equal(to_frame(read), to_frame(table))
