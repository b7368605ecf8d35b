"""``trifacet score``: scores of generated texts against references. Invariant: reads two files, computes, prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.common import err, json_or_table, plain, print_unofficial, starred
from trifacet.cli.options import OwnMetricOption, ScoredReadOption

if TYPE_CHECKING:
    from trifacet.metrics.scores import Extra, Profile, Scores
    from trifacet.metrics.target import Target


class ProfileName(StrEnum):
    """Which definitions of the metrics are meant; scores of different profiles are never comparable."""

    COCO = "coco"
    PAPER = "paper"


class MeteorName(StrEnum):
    """Where METEOR comes from beside the profiles."""

    JAR = "jar"


def score(
    predictions: Annotated[
        Path, typer.Argument(help='Generated texts: JSONL with one {"id", "text"} per sample, or COCO results (JSON).')
    ],
    references: Annotated[
        Path,
        typer.Option(
            help='Test set in any data format, JSONL of {"id", "text"} or {"id", "texts": [..]}, or COCO annotations.'
        ),
    ],
    profile: Annotated[
        list[ProfileName] | None,
        typer.Option(
            help="Definitions of the metrics; coco: the COCO caption toolkit's, paper: those of MCM-DPO's script "
            "(default). May be given twice."
        ),
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="Score only the samples that have a text, and say how many have none.")
    ] = False,
    meteor: Annotated[
        MeteorName | None, typer.Option(help="jar: METEOR 1.5 by its own program (needs Java and pycocoevalcap; slow).")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="MODEL", help="CLIPScore by this CLIP model (folder or hub id).")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the images; by default that of the references.")
    ] = None,
    bert_score: Annotated[
        str | None, typer.Option(metavar="MODEL", help="BERTScore by this text encoder (folder or hub id).")
    ] = None,
    bert_score_layer: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Layer for BERTScore; by default what its package recommends for the model."
        ),
    ] = None,
    read: ScoredReadOption = False,
    own_metric: OwnMetricOption = None,
    intervals: Annotated[
        bool, typer.Option("--intervals", help="Also give the 95 % interval of every value (BCa bootstrap).")
    ] = False,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write the scores as JSON; - for standard output.")
    ] = None,
    per_sample: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the scores of each sample as JSONL.")
    ] = None,
) -> None:
    """Score generated texts: BLEU, METEOR, ROUGE-L, CIDEr, a sample's facts, words in pictures, repetition, length.

    Examples:
    trifacet score runs/demo/generations/sft.jsonl --references runs/demo/data/test.jsonl --json scores.json

    trifacet score captions_val2014_model_results.json --references captions_val2014.json --profile coco --subset

    trifacet score texts.jsonl --references test.jsonl --images photos --read --intervals
    """
    from trifacet.base.files import write_atomically
    from trifacet.metrics.inputs import read_predictions, read_targets
    from trifacet.metrics.matching import match_ids, other_data, predicted_only
    from trifacet.metrics.scores import own_metric as open_metric
    from trifacet.metrics.scores import score_texts
    from trifacet.statistics.significance import LEVEL, bca_intervals

    hypotheses, samples = read_predictions(predictions), read_targets(references)
    notes = [other_data(predictions, hypotheses, samples)]
    if subset:
        samples, left = predicted_only(samples, hypotheses, predictions)
        notes.append(left)
    match_ids(hypotheses, samples, predictions)
    if read:
        samples = read_lettering(samples, images or references.parent)
    asked = profile or [ProfileName.PAPER]
    profiles: list[Profile] = ["coco" if name is ProfileName.COCO else "paper" for name in dict.fromkeys(asked)]
    extras = [open_metric(name) for name in own_metric or ()]
    extras += _extras(meteor, clip, images or references.parent, bert_score, bert_score_layer)
    scores = score_texts(hypotheses, samples, profiles=profiles, extras=extras)
    scores.notes[:0] = [note for note in notes if note]
    for note in scores.notes:
        err.print(f"note: {plain(note)}", soft_wrap=True)
    if per_sample is not None:
        rows = (json.dumps({"id": name, **row}, ensure_ascii=False) for name, row in scores.per_sample.items())
        write_atomically(per_sample, "".join(f"{row}\n" for row in rows))
    title = f"{' and '.join(profiles)} profile{'s' if len(profiles) > 1 else ''}, {len(samples)} samples"
    document, columns = _document(scores, profiles), ["metric", "value"]
    table = _table(scores, document["unofficial"])
    if intervals:
        ends = zip((measure.name for measure in scores.measures), bca_intervals(scores.measures), strict=True)
        document["intervals"] = dict.fromkeys(scores.metrics) | dict(ends)
        columns.append(f"{100 * LEVEL:g} % interval")
        for row, between in zip(table, document["intervals"].values(), strict=True):
            row.append("-" if between is None else " to ".join(f"{end:.4f}" for end in between))
    json_or_table(document, json_path, title, columns, table)
    if json_path != "-":
        print_unofficial(document["unofficial"])


def read_lettering(samples: Sequence[Target], images: Path) -> list[Target]:
    """The samples with the words read in their pictures. Raises TrifacetError where no engine is there."""
    from trifacet.base.progress import Bar
    from trifacet.metrics.lettering import with_lettering

    with Bar("words in pictures") as bar:
        return with_lettering(samples, images, on_progress=bar.update)


def _extras(
    meteor: MeteorName | None, clip: str | None, images: Path, bert_score: str | None, layer: int | None
) -> list[Extra]:
    """The metrics beyond the profiles; one whose model cannot be loaded is there, without a value."""
    from trifacet.base.errors import TrifacetError
    from trifacet.metrics.scores import absent, meteor_1_5

    extras: list[Extra] = [meteor_1_5] if meteor else []
    if clip is not None:
        from trifacet.metrics.clipscore import CLIP_SCORE, clip_extra

        try:
            extras.append(clip_extra(clip, images))
        except TrifacetError as error:
            extras.append(absent((CLIP_SCORE,), f"CLIPScore is not computed: {error}"))
    if bert_score is not None:
        from trifacet.metrics.bertscore import BERT_SCORES, bert_extra

        try:
            extras.append(bert_extra(bert_score, layer=layer))
        except TrifacetError as error:
            extras.append(absent(BERT_SCORES, f"BERTScore is not computed: {error}"))
    return extras


def _document(scores: Scores, profiles: Sequence[str]) -> dict[str, Any]:
    return {
        "profile": "+".join(profiles),
        "samples": len(scores.per_sample),
        "metrics": scores.metrics,
        "unofficial": {measure.name: measure.unofficial for measure in scores.measures if measure.unofficial},
        "degenerate": scores.degenerate,
        "notes": scores.notes,
    }


def _table(scores: Scores, unofficial: Mapping[str, str]) -> list[list[str]]:
    """Four decimals: some metrics are x 100, some are not."""
    return [
        [starred(name, unofficial), "-" if value is None else f"{value:.4f}"] for name, value in scores.metrics.items()
    ]
