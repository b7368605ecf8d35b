"""A training step beside TRL's, as bench/step_time.py measures it, at the sizes that need a GPU."""

from __future__ import annotations

import importlib.util
import tempfile
from functools import partial
from pathlib import Path

from contest.inputs import make_inputs
from contest.machine import facts
from contest.results import document, measure
from gpu_parts.running import Setting, Tell
from gpu_parts.shapes import shape_of

CONTESTANTS = ("trl-dpo", "dpo", "mdpo", "mcm-dpo", "mcm-dpo-released")
EPOCHS = 3  # share one pass of the reference


def steps_at(name: str) -> partial[None]:
    """The part that measures the shape ``name``."""
    return partial(_steps, name)


def _steps(name: str, setting: Setting, tell: Tell, until: float) -> None:
    """``run``: the document of bench/step_time.py; ``notes``: what went wrong."""
    shape = shape_of(name, setting)
    names, notes = list(CONTESTANTS), []
    if importlib.util.find_spec("trl") is None:
        names.remove("trl-dpo")
        notes.append("trl-dpo: left out, trl is not installed: pip install 'trifacet[bench]'")
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), shape)
        records, best = measure(
            names,
            inputs,
            rounds=setting.rounds,
            threads=setting.threads,
            notes=notes,
            until=until,
            inside=setting.small and setting.device == "cpu",
        )
    run = document(inputs, records, best, epochs=EPOCHS, facts=facts(shape.device, setting.threads))
    tell(run=run, notes=notes)
