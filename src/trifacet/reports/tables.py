"""The report's tables as plain values: what a column means, which cell is best, and Markdown for other pages.

Invariant: a number is shown as it was computed; a missing one says that it is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from trifacet.base.markdown import markdown_text
from trifacet.evaluation.run_folder import ModelRun, number

_Better = Literal["higher", "lower", "neither"]
NOT_COMPUTED = "not computed"


@dataclass(frozen=True)
class Metric:
    """A column: its key in scores.json, heading, group, which direction is better, and a sentence in plain words."""

    key: str
    label: str
    group: str
    better: _Better
    meaning: str

    @property
    def title(self) -> str:
        """The heading where the group does not stand above it."""
        return f"{self.group}: {self.label.lower()}" if self.group == _FACTS else self.label


_LIKE = "Like the reference, by MCM-DPO's script"  # the paper profile: the COCO toolkit's values are others
_FACTS = "Facts right"
_BELIEVED = "The post believed"
_OBJECTS = "Things named"
_WORDS = "Words in the picture, by our own definition"
_FORM = "Form"
_METRICS = (
    Metric("bleu_4", "BLEU-4", _LIKE, "higher", "runs of four words shared with the reference, x 100"),
    Metric("bleu_4_cumulative", "BLEU 1–4", _LIKE, "higher", "cumulative BLEU-4: runs of one to four words, x 100"),
    Metric("meteor", "METEOR", _LIKE, "higher", "words shared with the reference, synonyms included, x 100"),
    Metric("rouge_l", "ROUGE-L", _LIKE, "higher", "longest sequence of words shared with the reference, x 100"),
    Metric("cider", "CIDEr", _LIKE, "higher", "shared phrases, rare ones counting more, x 100"),
    Metric(
        "grounding",
        "All",
        _FACTS,
        "higher",
        "share of the facts that are right, the mean of the columns beside it, in per cent",
    ),
    Metric(
        "grounding/name",
        "Name",
        _FACTS,
        "higher",
        "texts that say who or what it is, which only the post tells, in per cent",
    ),
    Metric(
        "grounding/colour",
        "Colour",
        _FACTS,
        "higher",
        "texts that say the right colour, which only the picture tells, in per cent",
    ),
    Metric(
        "grounding/shape",
        "Shape",
        _FACTS,
        "higher",
        "texts that say the right shape, which only the picture tells, in per cent",
    ),
    Metric(
        "grounding/count",
        "Count",
        _FACTS,
        "higher",
        "texts that say the right number, which only the picture tells, in per cent",
    ),
    Metric("grounding/answer", "Answer", _FACTS, "higher", "questions that are answered rightly, in per cent"),
    Metric(
        "tempted",
        "Tempted",
        _BELIEVED,
        "lower",
        "texts that say what their post gets wrong, of the posts that do, in per cent",
    ),
    Metric("objects/chair_s", "CHAIRs", _OBJECTS, "lower", "captions that name a thing that is not there, in per cent"),
    Metric("objects/chair_i", "CHAIRi", _OBJECTS, "lower", "mentions of things that are not there, in per cent"),
    Metric("objects/coverage", "Coverage", _OBJECTS, "higher", "things in the picture that are named, in per cent"),
    Metric("objects/f1", "F1", _OBJECTS, "higher", "of mentions that are right and coverage, x 100"),
    Metric(
        "objects/attributes", "Attributes", _OBJECTS, "lower", "described things with a wrong attribute, in per cent"
    ),
    Metric(
        "yes_bias", "Yes bias", _OBJECTS, "neither", "share of yes among answers less its share of the truth, x 100"
    ),
    Metric(
        "lettering/recall",
        "Lettering",
        _WORDS,
        "higher",
        "prominent words of the pictures that the texts have, in per cent",
    ),
    Metric(
        "lettering/recall_alone",
        "Not in post",
        _WORDS,
        "higher",
        "prominent words of the pictures, those that the posts do not have, that the texts have, in per cent",
    ),
    Metric(
        "lettering/precision",
        "Claims held",
        _WORDS,
        "higher",
        "words that texts say stand in the picture and that do, in per cent",
    ),
    Metric("lint_clean", "Clean", _FORM, "higher", "texts that the alt-text checks find no fault with, in per cent"),
    Metric("lint_no_error", "No error", _FORM, "higher", "texts in which these checks find no error, in per cent"),
    Metric("repetition", "Repetition", _FORM, "lower", "share of the word pairs that stood in the text before, 0 to 1"),
    Metric("length", "Words", _FORM, "neither", "mean number of words of a text; neither long nor short is better"),
)
_KNOWN = {metric.key: metric for metric in _METRICS}


@dataclass(frozen=True)
class TableCell:
    """What one cell shows; ``value`` is None where nothing was computed.

    ``interval``, ``verdict`` (how it stands to the baseline), its ``mark`` and ``p`` are "" where nothing is known of
    them. Of a best value ``alike`` names the models that no test tells it from; None: no test was made.
    """

    text: str
    value: float | None
    best: bool = False
    interval: str = ""
    verdict: str = ""
    mark: str = ""
    p: str = ""
    alike: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Summary:
    """Models x metrics. ``rows`` holds (model, cells in the order of ``metrics``)."""

    metrics: list[Metric]
    rows: list[tuple[ModelRun, list[TableCell]]]

    def groups(self) -> list[tuple[str, Summary]]:
        """A summary for each group of neighbouring columns, with the group's heading."""
        found = []
        for heading, placed in groupby(enumerate(self.metrics), lambda one: one[1].group):
            places = [place for place, _ in placed]
            rows = [(model, [cells[place] for place in places]) for model, cells in self.rows]
            found.append((heading, Summary([self.metrics[place] for place in places], rows)))
        return found


def metric_of(key: str) -> Metric:
    """What is known of the metric ``key``; one that is new here has no direction and so no best value."""
    return _KNOWN.get(key) or Metric(key, key, "Other", "neither", "")


def columns(keys: Iterable[str]) -> list[Metric]:
    """The metrics among ``keys`` in the report's order, unknown ones last."""
    present = list(dict.fromkeys(keys))
    known = [metric for metric in _METRICS if metric.key in present]
    return known + [metric_of(key) for key in present if key not in _KNOWN]


def summarise_runs(models: Sequence[ModelRun]) -> Summary:
    """The models that have scores; a column marks its best cells where its values differ."""
    scored = [model for model in models if model.metrics]
    metrics = columns(key for model in scored for key in model.metrics)
    best = {metric.key: _best([model.metrics.get(metric.key) for model in scored], metric) for metric in metrics}
    rows = []
    for model in scored:
        cells = []
        for metric in metrics:
            value = model.metrics.get(metric.key)
            shown = format_value(value, metric)
            cells.append(
                TableCell(shown, value, best=value is not None and shown == format_value(best[metric.key], metric))
            )
        rows.append((model, cells))
    return Summary(metrics, rows)


def format_value(value: float | None, metric: Metric) -> str:
    """The number with the metric's decimals."""
    if value is None:
        return NOT_COMPUTED
    if not math.isfinite(value):
        return "not a number"
    return f"{value:.{decimals(metric)}f}"


def decimals(metric: Metric) -> int:
    """How many decimals the metric's values bear."""
    return 3 if metric.key == "repetition" else 1


def markdown(summary: Summary, remarks: Sequence[str] = ()) -> str:
    """The summary as a Markdown table; best values in bold, degenerated models and ``remarks`` below."""
    lines = [
        "| Model | " + " | ".join(markdown_text(metric.title) for metric in summary.metrics) + " |",
        "|---|" + "---:|" * len(summary.metrics),
    ]
    for model, cells in summary.rows:
        shown = [_markdown_cell(cell) for cell in cells]
        lines.append(f"| {markdown_text(model.name)} | " + " | ".join(shown) + " |")
    degenerated = [
        f"{markdown_text(model.name)} degenerated: {markdown_text(model.degenerate)}"
        for model, _ in summary.rows
        if model.degenerate
    ]
    for below in (remarks, degenerated):
        lines += ["", *below] if below else []
    return "\n".join(lines) + "\n"


def _markdown_cell(cell: TableCell) -> str:
    value = f"**{cell.text}**" if cell.best else cell.text
    return " ".join(part for part in (value, cell.mark, markdown_text(cell.interval)) if part)


def runs_document(summary: Summary, notes: Sequence[str]) -> dict[str, Any]:
    """The summary for ``--json``: {"models": {name: {"metrics": {metric: value}, "degenerate": reason}}, "notes"}."""
    return {
        "models": {
            model.name: {"metrics": dict(model.metrics), "degenerate": model.degenerate} for model, _ in summary.rows
        },
        "notes": list(notes),
    }


def seeds_table(seeds: Mapping[str, Any]) -> tuple[list[Metric], list[tuple[str, list[str]]]]:
    """Mean and standard deviation over seeds: the columns, and (model, cells) for each model."""
    models: Mapping[str, Any] = seeds.get("models") or {}
    metrics = columns(key for scores in models.values() for key in scores)
    rows = []
    for name, scores in models.items():
        cells = []
        for metric in metrics:
            spread = scores.get(metric.key) or {}
            mean, std = number(spread.get("mean")), number(spread.get("std"))
            shown = format_value(mean, metric)
            cells.append(shown if mean is None or std is None else f"{shown} ± {format_value(std, metric)}")
        rows.append((str(name), cells))
    return metrics, rows


@dataclass(frozen=True)
class _Trial:
    """One line of the sweep: the cells are learning rate, deciding metric, repetition and length."""

    stage: str
    cells: list[str]
    chosen: bool
    degenerate: str


def sweep_table(sweep: Mapping[str, Any]) -> tuple[Metric, list[_Trial]]:
    """The metric that decided, and every training that was tried."""
    metric = metric_of(str(sweep.get("metric", "metric")))
    trials = []
    for row in sweep.get("rows") or []:
        rate = number(row.get("learning_rate"))
        cells = [
            "–" if rate is None else f"{rate:.2g}",
            format_value(number(row.get("value")), metric),
            format_value(number(row.get("repetition")), metric_of("repetition")),
            format_value(number(row.get("length")), metric_of("length")),
        ]
        trials.append(
            _Trial(str(row.get("stage", "")), cells, bool(row.get("chosen")), str(row.get("degenerate") or ""))
        )
    return metric, trials


def _best(values: Sequence[float | None], metric: Metric) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if metric.better == "neither" or len({format_value(value, metric) for value in finite}) < 2:
        return None  # where all look alike, none is best
    return max(finite) if metric.better == "higher" else min(finite)
