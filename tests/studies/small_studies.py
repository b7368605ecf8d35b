"""Studies of a few steps."""

from pathlib import Path

import yaml
from small_runs import STAGE, changed, values_of

STEP = {**STAGE, "max_steps": 1}


def study_values(output, data, model, changes=None) -> dict:
    """A study of three cells on files: one learning rate more, and SFT alone."""
    recipe = values_of(output, data, model, {"sft": dict(STEP), "align": {"mcm": {**STEP, "objective": "mcm-dpo"}}})
    for key in ("name", "output", "seed"):
        del recipe[key]
    recipe["generate"] = {"beams": 1, "max_new_tokens": 2, "limit": 3}
    values = {
        "name": "small",
        "title": "A small study",
        "output": str(output),
        "base": {**recipe, "name": "base", "output": "unused"},
        "cells": {
            "sft": {"stage": "sft"},
            "plain": {},
            "faster": {"set": {"align.mcm.learning_rate": 0.01}},
        },
        "seeds": [1, 2],
        "measures": ["length", "repetition"],
        "claims": ["plain > sft in length", "faster < plain, sft in length by 2"],
    }
    return changed(values, changes)


def write_study(folder: Path, values: dict) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path
