"""A script that hands a study's jobs to SLURM: an array for each step, each step after the one before it.

Invariant: the script holds the jobs of the plan that it was written for, by name; a job that is finished ends at once,
so that the same script continues what was stopped.
"""

from __future__ import annotations

import shlex

from trifacet.studies.running import study_words
from trifacet.studies.settings import LoadedStudy
from trifacet.studies.works import Plan

_HEAD = """#!/bin/bash
# {words}: {runs} runs in {steps} steps.
# bash FILE [options of sbatch], such as: bash FILE --partition=gpu --gres=gpu:1 --cpus-per-task=8 --time=24:00:00
# From the folder where the study's paths hold, on machines that see it. What is finished is not done again.
set -euo pipefail
after=
"""
_STEP = """
last=$(sbatch --parsable "$@" $after --job-name={name} --array=0-{most} --wrap {body})
after=--dependency=afterany:${{last%%;*}}
"""
_END = """
sbatch "$@" $after --job-name={name} --wrap {body}
"""


def slurm_script(loaded: LoadedStudy, plan: Plan) -> str:
    """The script as text; its last job tells the outcome."""
    words = ["trifacet", *study_words(loaded.file, loaded.budget, loaded.given)]
    name, levels = shlex.quote(loaded.study.name), plan.levels()
    shown = " ".join(shlex.join(words).split())
    parts = [_HEAD.format(words=shown, runs=len(plan.jobs), steps=len(levels))]
    for level in levels:  # sbatch gives the words to sh, which has no arrays; names are letters, digits, . _ + - /
        body = f'set -- {" ".join(level)}; shift "$SLURM_ARRAY_TASK_ID"; {shlex.join(words)} --job "$1"'
        parts.append(_STEP.format(body=shlex.quote(body), name=name, most=len(level) - 1))
    parts.append(_END.format(name=name, body=shlex.quote(shlex.join([*words, "--report"]))))
    return "".join(parts)
