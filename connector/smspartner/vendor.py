"""The vendor's words, as its public documentation gives them; where that is silent, what PHP back ends send.

Sources: the pages "Statut par tag", "Statut par message", "Statut multiple", "Statut unitaire", "Codes d'erreur" and
"Envoi par lots" of the developer documentation of SMS Partner.
"""

from __future__ import annotations

DEFAULT_BASE_URL = "https://api.smspartner.fr/v1"
STATUS_BY_TAG = "bulk-status-by-tag"
ACCOUNT = "me"

SUCCESS_CODE = 200
UNKNOWN_TAG_CODE = 4

ERROR_CODES = {
    1: "API key required",
    3: "message id required",
    4: "message not found",
    10: "wrong API key",
    20: "account disabled",
    30: "account blocked",
    40: "API access denied",
    90: "malformed JSON",
    96: "IP address not authorised",
}
"""Page "Codes d'erreur" (20 to 96 are documented API-wide)."""

REMEDIES = {
    1: "set SMSPARTNER_API_KEY",
    3: "report this bug",
    4: "check how the tag is spelled; one that was never sent is unknown, too",
    10: "check the key in your SMS Partner account",
    20: "ask SMS Partner's support to enable the account",
    30: "ask SMS Partner's support to unblock the account",
    40: "ask SMS Partner's support for access to the API",
    90: "report this bug",
    96: "allow this machine's IP address in your SMS Partner account",
}
"""What to do about each."""

REMEDY_OF_OTHERS = "ask SMS Partner's support what it means"

ACCESS_CODES = frozenset({1, 10, 20, 30, 40, 96})
"""The key or the account is refused, so every tag would be."""

LIST_KEYS = ("StatutResponse_List", "StatutResponseList")
"""The first as "Statut par tag" shows it, the second as its sibling endpoints spell it."""

STATUS_KEYS = ("status", "statut")
STOP_KEYS = ("stopSMS", "stopSms")
ROW_KEYS = frozenset({"phoneNumber", "date", *STATUS_KEYS, *STOP_KEYS})
ERROR_ROW_KEYS = frozenset({"success", "code"})
"""Sibling endpoints put an error of one message into its row."""

ROW_TYPES = {
    "phoneNumber": "string",
    "status": "string",
    "statut": "string",
    "stopSMS": "boolean",
    "stopSms": "string",
    "date": "string",
}
ENVELOPE_TYPES = {
    "success": "boolean",
    "code": "number",
    "currentPage": "number",
    "total": "number",
    **dict.fromkeys(LIST_KEYS, "array"),
}
"""The documented JSON type of each field; others are read where they can be, and reported as drift."""

STATUS_WORDS = {
    "delivered": "delivered",
    "not delivered": "not_delivered",
    "waiting": "waiting",
    "ko": "ko",
}
"""In lower case, as the error-code page lists them; the endpoint's own page capitalises."""

STOP_WORDS = {"0": False, "1": True, "false": False, "true": True}

LOCAL_TIME_ZONE = "Europe/Paris"
"""The zone of dates that come as text: the sibling endpoints' examples are in French local time."""

HOME_REGION = "FR"
"""The region of numbers that come without a calling code."""

LONGEST_DELIVERY_HOURS = 48
"""Delivery reports come within seconds, at most 48 hours."""
