"""Modules that are loaded at their first use."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from smspartner_pipelines.late_imports import loaded_late


def test_loaded_at_the_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is named is loaded when something in it is asked for; others, and later ones, as usual."""
    for name in ("named", "other", "later"):
        (tmp_path / f"made_up_{name}.py").write_text("import sys\nsys.made_up += (__name__,)\nVALUE = __name__\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "made_up", (), raising=False)
    with loaded_late("made_up_named", "made_up_later", "made_up_missing"):
        named, _ = importlib.import_module("made_up_named"), importlib.import_module("made_up_other")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("made_up_missing")
    importlib.import_module("made_up_later")
    assert vars(sys)["made_up"] == ("made_up_other", "made_up_later")
    assert named.VALUE == "made_up_named"
    assert vars(sys)["made_up"][-1] == "made_up_named"


COMPARES = """
import sys
import pandas as pd
from smspartner_pipelines.gx import Engine

def loaded(name):
    return type(sys.modules.get(name)).__name__ == "module"

engine = Engine()
frame = pd.DataFrame({"status": pd.Categorical(["delivered"] * 9 + ["waiting"])})
in_set = engine.build("expect_column_values_to_be_in_set", {"column": "status", "value_set": ["delivered"]}, "set")
print([verdict.rows for verdict in engine.broken(frame, [in_set])], loaded("scipy.stats"), loaded("altair"))
objects = {"values": ["delivered", "waiting"], "weights": [0.9, 0.1]}
compared = engine.build(
    "expect_column_kl_divergence_to_be_less_than",
    {"column": "status", "partition_object": objects, "threshold": 0.1}, "compared",
)
print(engine.broken(frame, [compared]), loaded("scipy.stats"))
"""


def test_great_expectations_without_what_it_does_not_need() -> None:
    """Judging rows loads neither SciPy nor Altair; an expectation that compares distributions still does."""
    child = subprocess.run([sys.executable, "-c", COMPARES], capture_output=True, text=True, check=False)
    assert (child.stdout.splitlines(), child.stderr) == (["[(9,)] False False", "[] True"], "")
