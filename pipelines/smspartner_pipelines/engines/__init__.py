"""Doors for engines: a data source of Spark, a source of dlt, a task of Airflow, an asset of Dagster.

Each is one file that needs its engine, which the extra of that name brings. `job` runs the command for orchestrators.
"""
