"""The hostile server: the product's sandbox with every kind of fault that the product was ever tried with."""

from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, Fault, demo_campaigns

import faults.answer_faults
import faults.echo_faults
import faults.envelope_faults
import faults.population_faults
import faults.row_faults
import faults.transport_faults  # noqa: F401  # each registers its kinds
from faults.server import SILENT, HostileServer, RequestRecord
from faults.table import KINDS

PAGE_KINDS = frozenset(name for name, kind in KINDS.items() if kind.page)
"""The kinds that change a page of statuses; they strike no other answer."""

WIRE_KINDS = frozenset(name for name, kind in KINDS.items() if kind.wire)
"""The kinds that send an answer in a way of their own."""

__all__ = [
    "DOCUMENTED",
    "KINDS",
    "PAGE_KINDS",
    "SILENT",
    "WIRE_KINDS",
    "Campaign",
    "Fault",
    "HostileServer",
    "RequestRecord",
    "demo_campaigns",
]
