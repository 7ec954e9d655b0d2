"""The hostile server: the product's sandbox with every kind of fault that the product was ever tried with."""

from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, Fault, demo_campaigns

from faults.server import KINDS, HostileServer, RequestRecord

__all__ = ["DOCUMENTED", "KINDS", "Campaign", "Fault", "HostileServer", "RequestRecord", "demo_campaigns"]
