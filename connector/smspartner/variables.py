"""The environment variables that hold secrets, or say where one is: there is no option for them."""

from __future__ import annotations

KEY_VARIABLE = "SMSPARTNER_API_KEY"
KEY_FILE_VARIABLE = "SMSPARTNER_API_KEY_FILE"
PHONE_KEY_VARIABLE = "SMSPARTNER_PHONE_KEY"
RETIRED_KEYS_VARIABLE = "SMSPARTNER_RETIRED_PHONE_KEYS"
