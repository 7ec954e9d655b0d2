"""`spark_rows.py TAGS_FILE OUT.parquet`: reads the tags through the data source, and writes the rows of `statuses`."""

from __future__ import annotations

import os
import sys

import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from smspartner_pipelines.engines.spark import SmsPartnerSource


def main(tags_file: str, out: str) -> None:
    """Read, and write."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else the first Python on the path, which may be another one
    settings = {"spark.ui.enabled": "false", "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1"}
    spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    spark.dataSource.register(SmsPartnerSource)
    statuses = spark.read.format("smspartner").option("tagsFile", tags_file).load()
    pq.write_table(statuses.toArrow(), out)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
