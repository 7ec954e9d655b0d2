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
TOO_MANY_CODE = 429

_NOT_ASKED_FOR = "report this bug: this endpoint was asked for delivery statuses only"

ERROR_CODES = {
    1: ("API key required", "set SMSPARTNER_API_KEY"),
    2: ("phone number required", _NOT_ASKED_FOR),
    3: ("message id required", _NOT_ASKED_FOR),
    4: ("message not found", "check how the tag is spelled; one that was never sent is unknown, too"),
    5: ("message already sent, or too late to change", _NOT_ASKED_FOR),
    6: ("message can't be cancelled", _NOT_ASKED_FOR),
    9: ("a parameter is wrong", "check the parameter that the API names"),
    10: ("wrong API key", "check the key in your SMS Partner account"),
    20: ("account disabled", "ask SMS Partner's support to enable the account"),
    30: ("account blocked", "ask SMS Partner's support to unblock the account"),
    40: ("API access denied", "ask SMS Partner's support for access to the API"),
    50: ("temporary, or not possible now", "run again later"),
    90: ("malformed JSON", "report this bug"),
    96: ("IP address not authorised", "allow this machine's IP address in your SMS Partner account"),
    429: ("too many requests", "run again later, or allow fewer requests with --rate"),
    500: ("internal error", "run again later; if it lasts, ask SMS Partner's support"),
}
"""What each code means, and what to do. Page "Codes d'erreur" (20 to 96 are documented API-wide); 200 is success. 9: as
its clients read it."""

OTHER_CODE = ("not documented", "ask SMS Partner's support what it means")

ACCESS_CODES = frozenset({1, 10, 20, 30, 40, 96})
"""The key or the account is refused, so every tag would be."""

RETRYABLE_CODES = frozenset({50, TOO_MANY_CODE, 500})
"""Also inside HTTP 200 or 4xx. 429 is in a table of the error page: 2,000 requests a minute and IP address."""

MOST_REQUESTS_A_MINUTE = 1_800
"""Sent to the vendor's host by default: below its 2,000, which everything behind one address shares."""

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

HABITS = {
    "code": frozenset({"string"}),
    "currentPage": frozenset({"string"}),
    "total": frozenset({"string"}),
    **dict.fromkeys(LIST_KEYS, frozenset({"object"})),
}
"""Other types that sibling endpoints send for the fields of an envelope, as PHP does: read, and no drift."""

STATUS_WORDS = {
    "delivered": "delivered",
    "not delivered": "not_delivered",
    "waiting": "waiting",
    "ko": "ko",
    **dict.fromkeys(("delivrd",), "delivered"),
    **dict.fromkeys(("undeliv", "rejectd", "expired", "deleted"), "not_delivered"),
    **dict.fromkeys(("acceptd", "enroute", "pending", "scheduled"), "waiting"),
}
"""In lower case, as the error-code page lists them; the endpoint's own page capitalises. The same page gives the SMPP
words with their meanings; its UNKNOWN says nothing of a delivery, and is not valid."""

STOP_WORDS = {"0": False, "1": True, "false": False, "true": True}

LOCAL_TIME_ZONE = "Europe/Paris"
"""The zone of dates that come as text: the sibling endpoints' examples are in French local time."""

LONGEST_DELIVERY_HOURS = 48
"""Delivery reports come within seconds, at most 48 hours."""
