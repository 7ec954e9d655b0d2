"""What an analyst would write: `requests.get`, a frame for each page, Great Expectations afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import requests

EXPECTATIONS = [
    gxe.ExpectColumnValuesToNotBeNull(column="tag"),
    gxe.ExpectColumnValuesToMatchRegex(column="phoneNumber", regex=r"^\+[1-9]\d{6,14}$"),
    gxe.ExpectColumnValuesToBeInSet(column="status", value_set=["Delivered", "Not delivered", "Waiting", "ko"]),
    gxe.ExpectColumnValuesToBeInSet(column="stopSMS", value_set=[True, False]),
    gxe.ExpectColumnValuesToNotBeNull(column="date"),
]


def read_tag(base_url: str, tag: str) -> list[pd.DataFrame]:
    """Read a tag page by page."""
    frames, rows, total = [], 0, 1
    while rows < total:
        parameters = {"apiKey": os.environ["SMSPARTNER_API_KEY"], "tag": tag, "page": len(frames) + 1}
        body = requests.get(f"{base_url}/bulk-status-by-tag", params=parameters, timeout=30).json()
        frames.append(pd.DataFrame(body["StatutResponse_List"]).assign(tag=tag))
        rows, total = rows + len(frames[-1]), body["total"]
    return frames


def validate(frame: pd.DataFrame) -> None:
    """Judge the frame.

    Raises:
        SystemExit: an expectation failed.
    """
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("statuses")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    result = batch.validate(gx.ExpectationSuite(name="statuses", expectations=EXPECTATIONS))
    if not result.success:
        raise SystemExit("an expectation failed")


def main() -> None:
    """Read, validate, write."""
    base_url, tags, directory = sys.argv[1:]
    frames = [frame for tag in Path(tags).read_text(encoding="utf-8").split() for frame in read_tag(base_url, tag)]
    frame = pd.concat(frames, ignore_index=True)
    frame["date"] = pd.to_datetime(frame["date"].astype("int64"), unit="s", utc=True)
    validate(frame)
    frame.to_parquet(Path(directory, "statuses.parquet"))


if __name__ == "__main__":
    main()
