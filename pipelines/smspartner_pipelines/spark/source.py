"""The data source `smspartner`: a group of tags is a partition, which a task reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from smspartner_pipelines.spark.options import ReadOptions, read_options
from smspartner_pipelines.spark.schema import spark_schema
from smspartner_pipelines.spark.task import TagGroup, read_group

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType


class SmsPartnerSource(DataSource):
    """The tables `statuses`, `quarantine`, `tag_runs` of tags, or `everything`; each action reads them from the API."""

    @classmethod
    def name(cls) -> str:
        """Give the name of the format."""
        return "smspartner"

    def schema(self) -> StructType:
        """Give the schema of the table asked for.

        Raises:
            SettingsError: an option is unknown or wrong.
        """
        return spark_schema(read_options(self.options).table)

    def reader(self, schema: StructType) -> SmsPartnerReader:  # noqa: ARG002  # Spark checks it against the rows
        """Give what reads the tags."""
        return SmsPartnerReader(read_options(self.options))


class SmsPartnerReader(DataSourceReader):
    """Divides the tags among tasks, and reads the share of one."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options

    def partitions(self) -> list[InputPartition]:
        """Divide the tags into groups of neighbours, as equal as can be.

        Where the number is not given, it is that of this machine's cores: Spark tells a source nothing of its cluster.
        """
        tags = self._options.tags
        groups = min(self._options.partitions or os.cpu_count() or 1, len(tags))
        bounds = [len(tags) * number // groups for number in range(groups + 1)]
        return [
            InputPartition(TagGroup(number, groups, bounds[number], tags[bounds[number] : bounds[number + 1]]))
            for number in range(groups)
        ]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read a group of tags; this runs in a task."""
        return read_group(partition.value, self._options)

    def __reduce__(self) -> tuple[type[SmsPartnerReader], tuple[ReadOptions]]:
        """Go to the tasks without the tags, which stand in the partitions."""
        return type(self), (replace(self._options, tags=()),)
