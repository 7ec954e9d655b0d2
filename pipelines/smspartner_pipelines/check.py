"""Is everything ready for a run? Says what is wrong and what to do, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smspartner.connection import Connection
from smspartner.errors import AccessRefused, DestinationError, RequestError, SettingsError

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.interrupt import Interrupt

Say = Callable[[str], object]


def check_all(connect: Callable[[], Connection], destinations: Sequence[str], say: Say) -> ExitCode:
    """Check settings, key and destinations, and say of each how it is; the first that fails gives the exit code."""
    codes = [_check_key(connect, say)]
    codes += [_check_destination(uri, say) for uri in destinations]
    return next((code for code in codes if code is not ExitCode.OK), ExitCode.OK)


def _check_key(connect: Callable[[], Connection], say: Say) -> ExitCode:
    from smspartner.client import Client

    trouble, code = "", ExitCode.OK
    try:
        connection = connect()
        client = Client(connection)
        try:
            client.fetch_account()
        finally:
            client.close()
    except SettingsError as exc:
        trouble, code = str(exc), ExitCode.WRONG_SETTINGS
    except AccessRefused as exc:
        trouble, code = (
            f"{exc}; check the key in your SMS Partner account, and that it may use the API",
            ExitCode.REFUSED,
        )
    except RequestError as exc:
        trouble, code = f"{exc}; check network, proxy and --base-url", ExitCode.NOT_DONE
    _tell(say, "API key", trouble, "accepted by the API")
    return code


def _check_destination(uri: str, say: Say) -> ExitCode:
    from smspartner.load import mask_secrets, open_destination

    trouble, name = "", mask_secrets(uri)
    try:
        destination = open_destination(uri)
        name = destination.uri
        with Interrupt() as interrupt:  # checking writes a file, and removes it
            destination.check()
        interrupt.check()
        loaded = len(destination.loaded_tags()) if destination.keeps_tags else None
    except (SettingsError, DestinationError) as exc:
        trouble, loaded = str(exc), None
    _tell(say, name, trouble, "can be written" if loaded is None else f"can be written; {loaded} tags are loaded")
    return ExitCode.WRONG_SETTINGS if trouble else ExitCode.OK


def _tell(say: Say, what: str, trouble: str, fine: str) -> None:
    say(f"FAIL  {what}: {trouble}" if trouble else f"ok    {what}: {fine}")
