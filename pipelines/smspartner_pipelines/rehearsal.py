"""Rehearsals without an API key: the sandbox as a server of its own, and the demonstration on it."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from smspartner.connection import Connection
from smspartner.errors import SettingsError
from smspartner.redaction import Secret

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.interrupt import raised
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.report import print_loaded_tags, print_summary
from smspartner_pipelines.run import run
from smspartner_pipelines.sandbox import FAULT_KINDS, Sandbox, parse_fault
from smspartner_pipelines.settings import RunSettings

SANDBOX_KEY = "sandbox-key"
DEMO_TAGS = ("promo-nov", "soldes-été", "relance", "rdv-rappel", "otp", "empty", "never-sent")


def serve_sandbox(
    port: int, page_size: int, latency: float, faults: tuple[str, ...], say: Callable[[str], None]
) -> None:
    """Serve the sandbox until Ctrl-C; `say` is given how to use it.

    Raises:
        SettingsError: a fault is not understood, or the port is taken.
    """
    try:
        parsed = [parse_fault(fault) for fault in faults]
        sandbox = Sandbox(faults=parsed, page_size=page_size, latency=latency, port=port, api_key=SANDBOX_KEY)
    except ValueError as exc:
        raise SettingsError(str(exc), remedy="`smspartner sandbox --list-faults` lists them") from None
    try:
        sandbox.start()
    except OSError as exc:
        raise SettingsError(
            f"port {port} can't be used ({exc.strerror})", remedy="choose another with --port"
        ) from None
    try:
        with raised():
            say(_how_to_use(sandbox.url))
            sandbox.wait()
    except KeyboardInterrupt:  # the way to end it
        pass
    finally:
        sandbox.stop()


def _how_to_use(url: str) -> str:
    return (
        f"The sandbox serves {url} (Ctrl-C ends it). In another terminal:\n\n"
        f"  export SMSPARTNER_API_KEY={SANDBOX_KEY} SMSPARTNER_BASE_URL={url}\n"
        f"  smspartner run {' '.join(DEMO_TAGS[:3])} --to data/\n"
    )


def describe_faults() -> str:
    """List the kinds of fault, with what each does."""
    width = max(map(len, FAULT_KINDS))
    return "\n".join(f"{name:<{width}}  {kind.meaning}" for name, kind in FAULT_KINDS.items())


def run_demo(directory: str, console: Console) -> ExitCode:
    """Run the main job twice on the sandbox and show what was loaded."""
    with Sandbox(api_key=SANDBOX_KEY) as sandbox:
        connection = Connection(api_key=Secret(SANDBOX_KEY), base_url=sandbox.url)
        settings = RunSettings(tags=DEMO_TAGS, connection=connection, to=(directory,))
        console.print(f"[bold]First run[/]: {len(DEMO_TAGS)} tags of the sandbox into {directory}/")
        outcome = run(settings)
        print_summary(outcome, console)
        if outcome.exit_code is not ExitCode.OK:
            return outcome.exit_code
        console.print("\n[bold]Second run[/]: what is settled is not asked for again")
        outcome = run(settings)
        print_summary(outcome, console)
    console.print("\n[bold]What is loaded[/]")
    loaded = open_destination(directory).loaded_tags()
    print_loaded_tags(sorted(loaded.values(), key=lambda tag: tag.tag), console)
    console.print(f"\nRead it with pandas: pandas.read_parquet('{directory}/statuses')")
    return outcome.exit_code
