"""All scores of one model's texts: by both profiles, by facts, by words in pictures, by the texts alone, by models.

Invariant: texts and samples are matched by id, all of them, or nothing is scored; every value is that of a ``Measure``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.extensions import load_extension
from trifacet.data.records import TestSample
from trifacet.metrics import coco, paper, texts
from trifacet.metrics.cider import ONE_SAMPLE
from trifacet.metrics.grounding import ground, tempted
from trifacet.metrics.lettering import lettering_measures
from trifacet.metrics.lint import clean_measures
from trifacet.metrics.matching import match_ids
from trifacet.metrics.objects import object_measures
from trifacet.metrics.target import Target
from trifacet.statistics.keys import TEXTS, Key
from trifacet.statistics.measures import Better, Measure, mean_measure

Profile = Literal["coco", "paper"]


class Part(NamedTuple):
    """Metrics that are computed together, in their order (None: not computed, a note says why), and notes."""

    measures: Mapping[str, Measure | None]
    notes: Sequence[str] = ()


# Further metrics that the caller asks for: the texts and the samples, in one order -> a part.
Extra = Callable[[Sequence[str], Sequence[Target]], Part]


class TextMeasure(NamedTuple):
    """A metric that reads texts alone: ``of`` takes all texts of a model and gives a value for each."""

    name: str
    of: Callable[[Sequence[str]], Sequence[float]]
    better: Better


TEXT_MEASURES = (
    TextMeasure("repetition", lambda written: [texts.repetition(text) for text in written], "lower"),
    TextMeasure("length", lambda written: [float(texts.length(text)) for text in written], "neither"),
)


@dataclass(frozen=True)
class Scores:
    """The scores of one model.

    ``metrics`` are the values of the whole set, in a fixed order; None: not computed, and ``notes`` says why, or not
    defined, such as a share of mentions where nothing is mentioned.
    ``per_sample`` has the same metrics for each sample, less those it lacks. ``measures`` hold what both come from, for
    intervals and comparisons. The profiles, grounding and lettering are x 100, repetition is a share (0 to 1), length
    in words.
    ``degenerate`` is the reason or None.
    """

    metrics: dict[str, float | None]
    per_sample: dict[str, dict[str, float]]
    notes: list[str] = field(default_factory=list)
    degenerate: str | None = None
    measures: tuple[Measure, ...] = ()


def score_texts(
    hypotheses: Mapping[str, str],
    samples: Sequence[Target],
    *,
    profiles: Sequence[Profile] = ("paper",),
    extras: Sequence[Extra] = (),
    at_limit: int = 0,
) -> Scores:
    """Score the text of each sample.

    A sample without a reference has no metrics of the profiles but counts for everything else.

    Args:
        hypotheses: the generated text by sample id.
        samples: the test set.
        profiles: whose definitions of BLEU, METEOR, ROUGE-L and CIDEr to use; names differ, so both is fine.
        extras: metrics beyond the profiles: METEOR 1.5, CLIPScore, BERTScore.
        at_limit: how many texts ended only because the limit of new tokens was reached (see ``texts.degenerate``).

    Raises:
        DataError: for ids that are doubled, missing or too many, and for malformed facts or words of pictures.
    """
    match_ids(hypotheses, samples)
    written = [hypotheses[sample.id] for sample in samples]
    parts = [
        *(_PROFILES[profile](written, samples) for profile in dict.fromkeys(profiles)),
        *(extra(written, samples) for extra in extras),
        _facts(written, samples),
        Part(object_measures(written, samples)),
        Part(*lettering_measures(written, samples)),
        _lint(written, samples),
        _alone(written, samples),
    ]
    notes = list(
        dict.fromkeys([*_missing(written, samples, profiles), *(note for part in parts for note in part.notes)])
    )
    measures: dict[str, Measure | None] = {}
    for part in parts:
        if twice := part.measures.keys() & measures.keys():
            raise TrifacetError(f"two metrics are called {min(twice)!r}; give your own a name of its own")
        measures |= part.measures
    reason = texts.degenerate(written, at_limit)
    if reason:
        notes.append(f"the texts degenerated: {reason}")
    known = tuple(measure for measure in measures.values() if measure is not None)
    values = ((name, measure.value if measure is not None else np.nan) for name, measure in measures.items())
    metrics = {name: None if np.isnan(value) else value for name, value in values}
    return Scores(metrics, _rows(known, samples), notes, reason, known)


def with_references(written: Sequence[str], samples: Sequence[Target]) -> tuple[list[str], list[Target]]:
    """The texts and samples of which there is a reference."""
    kept = [(text, sample) for text, sample in zip(written, samples, strict=True) if sample.references]
    return [text for text, _ in kept], [sample for _, sample in kept]


def tokenized_captions(written: Sequence[str], samples: Sequence[Target]) -> coco.Tokenized:
    """The PTB tokens of the samples that have references."""
    kept, scored = with_references(written, samples)
    return coco.tokenized([sample.id for sample in scored], kept, [sample.references for sample in scored])


def meteor_1_5(written: Sequence[str], samples: Sequence[Target]) -> Part:
    """METEOR 1.5 by its own Java program: an ``Extra``."""
    from trifacet.metrics.meteor_jar import METEOR, meteor_measure

    captions = tokenized_captions(written, samples)
    if not captions.ids:
        return Part({METEOR: None})
    try:
        return Part({METEOR: meteor_measure(captions)})
    except TrifacetError as error:
        return Part({METEOR: None}, [f"METEOR 1.5 is not computed: {error}"])


def own_metric(metric: str | Callable[[Sequence[str], Sequence[Target]], Sequence[Measure]]) -> Extra:
    """A metric of the user's own, or the name of one, as an ``Extra``.

    It is a function of the texts and their samples, in one order, that gives measures whose units are ids of samples.

    Raises:
        TrifacetError: there is no such object; and when it is asked, what it gives are no such measures.
    """
    function = load_extension(metric, "metric") if isinstance(metric, str) else metric
    if not callable(function):
        raise TrifacetError(f"metric {metric!r} is of type {type(function).__name__}; name a function")

    def extra(written: Sequence[str], samples: Sequence[Target]) -> Part:
        measures = function(written, samples)
        known = {sample.id for sample in samples}
        if not isinstance(measures, list | tuple) or not all(isinstance(one, Measure) for one in measures):
            raise TrifacetError(f"metric {metric!r} gives no list of measures; see trifacet.mean_measure")
        if strange := [unit for one in measures for unit in one.units if unit not in known]:
            raise TrifacetError(f"metric {metric!r} has a value for {strange[0]!r}, which is no sample; use their ids")
        return Part({measure.name: measure for measure in measures})

    return extra


def absent(names: Sequence[str], reason: str) -> Extra:
    """Metrics that were asked for and cannot be computed: an ``Extra``."""
    return lambda written, samples: Part(dict.fromkeys(names), [reason])


def _missing(written: Sequence[str], samples: Sequence[Target], profiles: Sequence[Profile]) -> list[str]:
    """What a reader must know of samples without a reference, of empty texts and of unspaced scripts."""
    if not profiles:
        return []
    kept, scored = with_references(written, samples)
    if not scored:
        return ["no sample has a reference: BLEU, METEOR, ROUGE-L and CIDEr are not computed"]
    notes = []
    if len(scored) < len(samples):
        notes.append(
            f"{len(samples) - len(scored)} of {len(samples)} samples have no reference and no metric that needs one"
        )
    empty = sum(not text.strip() for text in kept)
    if empty:
        notes.append(f"{empty} of {len(samples)} texts are empty and score 0")
    if len(scored) == 1:
        notes.append(ONE_SAMPLE)
    unspaced = sum(texts.unspaced(text) for text in [*kept, *(text for sample in scored for text in sample.references)])
    if unspaced:
        notes.append(
            f"{unspaced} texts or references are in a script without spaces between words; metrics that count words "
            "take each run of letters there as one word"
        )
    return notes


def _coco(written: Sequence[str], samples: Sequence[Target]) -> Part:
    captions = tokenized_captions(written, samples)
    if not captions.ids:
        return Part(dict.fromkeys(coco.COCO_METRICS))
    return Part({measure.name: measure for measure in coco.coco_measures(captions)})


def _paper(written: Sequence[str], samples: Sequence[Target]) -> Part:
    """The paper profile, which knows one reference: a sample's first."""
    kept, scored = with_references(written, samples)
    if not scored:
        return Part(dict.fromkeys(paper.PAPER_METRICS))
    result = paper.paper_scores(kept, [sample.references[0] for sample in scored])
    ids = [sample.id for sample in scored]
    measures: dict[str, Measure | None] = dict.fromkeys(paper.PAPER_METRICS)
    for name in result.rows[0]:
        values = dict(zip(ids, (row[name] for row in result.rows), strict=True))
        unofficial, nothing = result.unofficial.get(name, ""), paper.NOTHING.get(name)
        measures[name] = mean_measure(name, values, unofficial=unofficial, nothing=nothing)
    notes = list(result.notes)
    several = sum(len(sample.references) > 1 for sample in scored)
    if several:
        notes.append(f"{several} of {len(samples)} samples have several references; the paper profile takes the first")
    return Part(measures, notes)


_PROFILES: dict[Profile, Extra] = {"coco": _coco, "paper": _paper}


def _facts(written: Sequence[str], samples: Sequence[Target]) -> Part:
    """Whether each text is right about its sample's facts, the mean over the facts last; and whether it states what a
    post gets wrong, of the samples whose posts do.
    """
    columns: dict[str, dict[str, float]] = {}
    believed: dict[str, float] = {}
    for text, sample in zip(written, samples, strict=True):
        try:
            facts, believes = ground(text, sample.extra).values, tempted(text, sample.extra)
        except DataError as error:
            raise DataError(f"sample {sample.id!r}: {error}") from None
        for name, value in facts.items():
            columns.setdefault(name, {})[sample.id] = 100.0 * value
        if believes is not None:
            believed[sample.id] = 100.0 * believes
    if "grounding" in columns:
        columns["grounding"] = columns.pop("grounding")
    measures = {name: mean_measure(name, values) for name, values in columns.items()}
    return Part(measures | ({"tempted": mean_measure("tempted", believed, better="lower")} if believed else {}))


def _alone(written: Sequence[str], samples: Sequence[Target]) -> Part:
    ids = [sample.id for sample in samples]
    return Part(
        {
            name: mean_measure(name, dict(zip(ids, of(written), strict=True)), better=better)
            for name, of, better in TEXT_MEASURES
        }
    )


def _lint(written: Sequence[str], samples: Sequence[Target]) -> Part:
    """The share of texts that the alt-text checks find no fault with."""
    posts = {sample.id: sample.context for sample in samples if isinstance(sample, TestSample)}
    texts_by_id = {sample.id: text for sample, text in zip(samples, written, strict=True)}
    return Part({measure.name: measure for measure in clean_measures(texts_by_id, posts)})


def _rows(measures: Iterable[Measure], samples: Sequence[Target]) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {sample.id: {} for sample in samples}
    for measure in measures:
        values = measure.of_units()
        for unit, value, defined in zip(measure.units, values.tolist(), ~np.isnan(values), strict=True):
            if defined:
                rows[unit][measure.name] = value
    return rows


def measures_of(scores: Scores) -> dict[Key, Measure]:
    """The measures of a model's texts, by profile and name."""
    return {_key(one.name): one for one in scores.measures if one.units}


def _key(metric: str) -> Key:
    """Profile and name of a metric of ours, as ``score_texts`` calls it."""
    if metric in coco.COCO_METRICS:
        return "coco", metric.removeprefix("coco/")
    return "paper" if metric in paper.PAPER_METRICS else TEXTS, metric
