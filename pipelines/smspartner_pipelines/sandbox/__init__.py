"""A faithful local stand-in of the SMS Partner "status by tag" API, with a dozen faults to rehearse a job on."""

from smspartner_pipelines.sandbox.campaigns import DOCUMENTED, Campaign, demo_campaigns, shop_campaigns
from smspartner_pipelines.sandbox.faults import FAULT_KINDS, Fault, parse_fault
from smspartner_pipelines.sandbox.server import Sandbox

__all__ = [
    "DOCUMENTED",
    "FAULT_KINDS",
    "Campaign",
    "Fault",
    "Sandbox",
    "demo_campaigns",
    "parse_fault",
    "shop_campaigns",
]
