"""The environment variables that hold secrets, or say where one is: there is no option for them."""

from smspartner.api_key import KEY_FILE_VARIABLE, KEY_VARIABLE, PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE

__all__ = ["KEY_FILE_VARIABLE", "KEY_VARIABLE", "PHONE_KEY_VARIABLE", "RETIRED_KEYS_VARIABLE"]
