"""Reads tags as a pandas frame, and writes its rows: `pandas_rows.py TAGS_FILE OUT.parquet`."""

import sys

import smspartner
from smspartner.tags import read_tags_file

frame = smspartner.read_statuses(read_tags_file(sys.argv[1]))
frame.to_parquet(sys.argv[2])
