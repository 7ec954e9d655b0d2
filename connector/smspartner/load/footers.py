"""What a Parquet footer says of a tag: the state that a later run judges by, read without reading rows."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from smspartner.load.destinations import LoadedTag
from smspartner_schemas.contract import CONTRACT_VERSION, WAITING
