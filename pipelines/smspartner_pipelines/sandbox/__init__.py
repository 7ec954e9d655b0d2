"""A faithful local stand-in of the SMS Partner "status by tag" API, also when that behaves badly."""

from smspartner_pipelines.sandbox.campaigns import DOCUMENTED, Campaign, demo_campaigns
from smspartner_pipelines.sandbox.faults import FAULT_KINDS, Fault, FaultSchedule, parse_fault
from smspartner_pipelines.sandbox.responder import RequestRecord
from smspartner_pipelines.sandbox.server import Sandbox, serve

__all__ = [
    "DOCUMENTED",
    "FAULT_KINDS",
    "Campaign",
    "Fault",
    "FaultSchedule",
    "RequestRecord",
    "Sandbox",
    "demo_campaigns",
    "parse_fault",
    "serve",
]
