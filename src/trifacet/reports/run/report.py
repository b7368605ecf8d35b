"""``report.html``: everything a run did, in one file that opens without network.

Invariant: every text from records, models and recipes is escaped by the template; the only markup let through is SVG
that ``svg.svg_of`` made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trifacet.base.bidi import isolated
from trifacet.base.files import write_atomically
from trifacet.base.words import without_folders
from trifacet.comparing.comparison import Comparison
from trifacet.data.source import FilesRead
from trifacet.data.words_read import Counted
from trifacet.evaluation.run_folder import Run, number, read_run
from trifacet.reports.plots import bar_chart
from trifacet.reports.run.curves import stage
from trifacet.reports.run.phases import COLUMNS
from trifacet.reports.run.posts import held_out_posts
from trifacet.reports.run.story import opening
from trifacet.reports.run.sureness import NOT_COMPARED, marked, sureness
from trifacet.reports.tables import Metric, Summary, format_value, seeds_table, summarise_runs, sweep_table
from trifacet.reports.words import duration, quantity
from trifacet.web.page import render_page
from trifacet.web.pictures import picture

SKIPPED_SHOWN = 20  # skipped.jsonl has all


def write_report(run_folder: Path, files: FilesRead | None = None) -> Path:
    """Write ``report.html`` into the folder of a run, from whatever files the run has written so far.

    ``files``: what its data files are known to hold, where the run itself asks.

    Returns:
        The path of the report.

    Raises:
        TrifacetError: when the folder holds no run, a file in it is damaged, or the report cannot be written.
    """
    path = run_folder / "report.html"
    write_atomically(path, render(read_run(run_folder, files)))
    return path


def render(run: Run) -> str:
    """The page. Control characters and lone surrogates, which no page may hold, become replacement characters."""
    return render_page(__name__, "report.html.jinja", {"duration": duration, "quantity": quantity}, **_view(run))


def _view(run: Run) -> dict[str, Any]:
    """What the template shows, section by section."""
    command = run.facts.get("command")
    summary = marked(summarise_runs(run.models), run.comparison)
    posts = held_out_posts(run)
    stages = [stage(model, f"curve-{index}", _drop_limit(run, model.name)) for index, model in enumerate(run.models)]
    seed_metrics, seed_rows = seeds_table(run.seeds)
    sweep_metric, sweep_rows = sweep_table(run.sweep)
    return {
        "run": run,
        "opening": opening(run, posts),
        "started": _moment(run.facts.get("started")),
        "command": without_folders(" ".join(command) if isinstance(command, list) else str(command or "")),
        "recipe_text": without_folders(run.recipe_text),
        "summary": summary,
        "sure": sureness(summary, run.comparison),
        "not_compared": NOT_COMPARED,
        "not_computed": sorted(
            {
                m.label
                for _, cells in summary.rows
                for m, c in zip(summary.metrics, cells, strict=True)
                if c.value is None
            }
        ),
        "bars": [
            _metric_bars(summary, index, run.comparison)
            for index in range(len(summary.metrics))
            if any(cells[index].value is not None for _, cells in summary.rows)
        ],
        "stages": [shown for shown in stages if shown],
        "phase_columns": COLUMNS,
        "posts": posts,
        "marked": any(told.facts for post in posts for told in post.told),
        "rejected": [_rejected(run, entry) for entry in run.rejected],
        "timed": [model for model in run.models if model.done],
        "seconds": {name: number(value) for name, value in _mapping(run.facts.get("seconds")).items()},
        "versions": _mapping(run.facts.get("versions")),
        "words": _words_read(run.words),
        "skipped": [_skipped(line) for line in run.skipped[:SKIPPED_SHOWN]],
        "skipped_counts": Counter(str(line.get("for")) for line in run.skipped),
        "seed_metrics": seed_metrics,
        "seed_rows": seed_rows,
        "seed_bars": [_seed_bars(run.seeds, metric, index) for index, metric in enumerate(seed_metrics)],
        "sweep_metric": sweep_metric,
        "sweep_rows": sweep_rows,
    }


def _words_read(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """By split, what came of reading the words of its pictures."""
    told = []
    for split, one in counts.items():
        known = {key: value for key, value in _mapping(one).items() if isinstance(value, int)}
        if known.keys() == Counted.__dataclass_fields__.keys():
            told.append((split, str(Counted(**known))))
    return told


def _drop_limit(run: Run, name: str) -> float | None:
    """The recipe's ``warn_chosen_drop`` of an alignment."""
    return number(_mapping(_mapping(run.recipe.get("align")).get(name)).get("warn_chosen_drop"))


def _metric_bars(summary: Summary, index: int, comparison: Comparison | None) -> tuple[Metric, Markup]:
    metric = summary.metrics[index]
    cells = {model.name: row[index] for model, row in summary.rows}
    said = "; ".join(f"{isolated(name)} {cell.text} {cell.interval}".rstrip() for name, cell in cells.items())
    found = comparison.cells if comparison else {}
    intervals = {name: cell.interval for (name, (_, key)), cell in found.items() if key == metric.key and cell.interval}
    return metric, bar_chart(
        {name: cell.value for name, cell in cells.items()},
        alternative=f"{isolated(metric.title)}: {said}.",
        texts={name: cell.text for name, cell in cells.items()},
        chart_id=f"bar-{index}",
        whiskers={name: intervals[name] for name in cells if name in intervals},
    )


def _seed_bars(seeds: Mapping[str, Any], metric: Metric, index: int) -> tuple[Metric, Markup]:
    spreads = {str(name): _mapping(scores.get(metric.key)) for name, scores in _mapping(seeds.get("models")).items()}
    means = {name: number(spread.get("mean")) for name, spread in spreads.items()}
    stds = {name: number(spread.get("std")) or 0.0 for name, spread in spreads.items()}
    shown = {name: format_value(mean, metric) for name, mean in means.items()}
    said = "; ".join(f"{isolated(name)} {shown[name]}, plus or minus {stds[name]:.2g}" for name in means)
    return metric, bar_chart(
        means,
        alternative=f"{isolated(metric.title)}, mean over seeds: {said}.",
        texts=shown,
        chart_id=f"seed-{index}",
        whiskers={
            name: (mean - stds[name], mean + stds[name])
            for name, mean in means.items()
            if mean is not None and stds[name]
        },
    )


def _rejected(run: Run, entry: Mapping[str, Any]) -> dict[str, Any]:
    chosen = run.folder / str(entry.get("chosen", ""))
    return {
        "id": str(entry.get("id", "")),
        "strategy": str(entry.get("strategy", "")),
        "chosen": picture(chosen.parent, chosen.name),
        "rejected": picture(run.folder, str(entry.get("rejected", ""))),
    }


def _skipped(line: Mapping[str, Any]) -> dict[str, str]:
    """A row that was left out, as text; – where something is not known."""
    known = {key: line.get(key) for key in ("for", "file", "row", "id", "field", "reason")}
    return {key: "–" if value is None else without_folders(str(value)) for key, value in known.items()}


def _moment(value: Any) -> str:
    """An ISO time to the minute, without the T; anything else as it is."""
    text = str(value or "")
    return f"{text[:10]} {text[11:16]}" if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text) else text


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
