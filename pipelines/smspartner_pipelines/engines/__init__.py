"""Doors for engines: a data source of Spark, a source of dlt, a task of Airflow, an asset of Dagster.

Each is one file that needs its engine, which the extra of that name brings. `job` runs the command for orchestrators.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Tell Airflow, which calls this by an entry point, of the connection type `smspartner` and its form."""
    return {
        "package-name": "smspartner-connector",
        "name": "SMS Partner",
        "description": "Delivery statuses of SMS Partner campaigns",
        "connection-types": [
            {
                "connection-type": "smspartner",
                "hook-name": "SMS Partner",
                "hook-class-name": f"{__name__}.airflow.SmsPartnerHook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "login", "port", "extra"],
                    "relabeling": {"password": "API key", "host": "Base URL"},
                    "placeholders": {"host": "empty for SMS Partner's own"},
                },
            }
        ],
    }
