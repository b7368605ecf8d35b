"""``trifacet score``: scores of generated texts against references. Invariant: reads two files, computes, prints."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trifacet.cli.common import err, json_or_table


class Profile(StrEnum):
    """Which definitions of the metrics are meant; scores of different profiles are never comparable."""

    PAPER = "paper"


def score(
    predictions: Annotated[Path, typer.Argument(help='Generated texts: JSONL with one {"id", "text"} per sample.')],
    references: Annotated[
        Path,
        typer.Option(help='Test set in any data format, or JSONL of {"id", "text"} or {"id", "texts": [..]}.'),
    ],
    profile: Annotated[
        Profile, typer.Option(help="Definitions of the metrics; paper: those of MCM-DPO's script.")
    ] = Profile.PAPER,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the scores as JSON; - for standard output.")
    ] = None,
    per_sample: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the scores of each sample as JSONL.")
    ] = None,
) -> None:
    """Score generated texts: BLEU-4, METEOR, ROUGE-L, CIDEr, the facts of a sample, repetition and length.

    Example: trifacet score runs/demo/generations/sft.jsonl --references runs/demo/data/test.jsonl --json scores.json
    """
    from rich.markup import escape

    from trifacet.evaluation.inputs import read_predictions, read_targets
    from trifacet.evaluation.scores import score_texts
    from trifacet.files import write_atomically

    scores = score_texts(read_predictions(predictions), read_targets(references))
    for note in scores.notes:
        err.print(f"note: {escape(note)}", soft_wrap=True)
    if per_sample is not None:
        rows = (json.dumps({"id": name, **row}, ensure_ascii=False) for name, row in scores.per_sample.items())
        write_atomically(per_sample, "".join(f"{row}\n" for row in rows))
    count = len(scores.per_sample)
    document = {
        "profile": profile.value,
        "samples": count,
        "metrics": scores.metrics,
        "degenerate": scores.degenerate,
        "notes": scores.notes,
    }
    table = [(escape(name), "-" if value is None else value) for name, value in scores.metrics.items()]
    json_or_table(document, json_path, f"{profile.value} profile, {count} samples", ("metric", "value"), table)
