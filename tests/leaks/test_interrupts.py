"""A run that is interrupted tells neither key nor number, whatever it was doing."""

from __future__ import annotations

import signal
import threading
from typing import Any

import pytest
from smspartner_pipelines.sandbox import Fault

MOMENTS = {
    "an answer that does not come": Fault("slow", seconds=60),
    "a body that drips": Fault("drip", seconds=0.5),
    "a pause that the server asked for": Fault("rate_limit_seconds", seconds=60),
    "half of the pages": Fault("slow", page=2, seconds=60),
}


@pytest.mark.parametrize(
    ("moment", "signal_sent"), list(zip(MOMENTS, [signal.SIGINT, signal.SIGTERM] * 2, strict=True))
)
def test_interrupts(  # noqa: PLR0917
    start_sandbox: Any, campaigns: Any, start: Any, leaks: Any, files: Any, moment: str, signal_sent: signal.Signals
) -> None:
    """Interrupted while it waits, a process of its own ends with 130 and clean output, logs and files."""
    key = leaks.keys[signal_sent == signal.SIGINT]
    sandbox = start_sandbox(campaigns, faults=[MOMENTS[moment]], api_key=key, page_size=4)
    process = start(sandbox.url, key, "run", "promo", "other", "--to", "data", "--to", "all.csv", "--json", "-vv")
    kind = MOMENTS[moment].kind
    for _ in range(3000):
        if any(kind in record.faults for record in sandbox.requests):
            break
        threading.Event().wait(0.01)
    process.send_signal(signal_sent)
    out, err = process.communicate(timeout=30)
    outputs = {"stdout": out, "stderr": err, **files()}
    told = {name: text for name, text in outputs.items() if not name.startswith(("data/statuses", "data/quarantine"))}
    assert process.returncode == 130
    assert (leaks.of_keys(outputs), leaks.of_numbers(told)) == ([], [])
    assert "urllib3" in err
