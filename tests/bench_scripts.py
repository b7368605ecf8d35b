"""Benchmarks run as a user would, and what they say where they refuse to run."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "bench"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=900, env=environment)


def refused(script: str, arguments: list[str], monkeypatch, capsys) -> str:
    """The last line of a benchmark that ends at once, with exit code 2."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    assert end.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]
