"""The fake run that the report's tests share; read-only, so one per session is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_run import add_comparison, add_spread, make_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("runs") / "demo", posts=7, models=("sft", "dpo", "mcm-dpo"))
    add_spread(folder)
    add_comparison(folder)
    return folder
