"""``trifacet compare``: models side by side, with their error. Invariant: nothing is asked of a judge unless named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.benchmark_runs import FilesOption
from trifacet.cli.common import err, plain, write_json, write_text
from trifacet.cli.options import OwnFormatOption, OwnMetricOption, ScoredReadOption, a_number
from trifacet.cli.score import ProfileName, read_lettering
from trifacet.settings.section import LARGEST_SEED

if TYPE_CHECKING:
    from markupsafe import Markup

    from trifacet.comparing.comparison import ComparisonSettings
    from trifacet.comparing.contestants import Entered
    from trifacet.comparing.pairs import JudgedPairs
    from trifacet.statistics.measures import Better


class PairsName(StrEnum):
    """Which pairs are tested."""

    BASELINE = "baseline"
    ALL = "all"


class CorrectionName(StrEnum):
    """How p-values are corrected for the number of pairs."""

    HOLM = "holm"
    BH = "bh"
    NONE = "none"


class IntervalName(StrEnum):
    """How intervals are made of the draws."""

    BCA = "bca"
    PERCENTILE = "percentile"


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]PATH...",
            help="Two or more: files of texts, files of metrics per sample (JSONL), folders of benchmark results, or "
            "the folder of a run, which brings all its models. The same NAME again: the same model's results of "
            "another benchmark.",
        ),
    ],
    file: FilesOption = None,
    references: Annotated[
        Path | None, typer.Option(help="What texts are scored against; by default the test set of a run among PATHs.")
    ] = None,
    profile: Annotated[
        list[ProfileName] | None, typer.Option(help="Definitions of the metrics of texts; by default both.")
    ] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Compare the samples that all have, and say how many are left out.")
    ] = False,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that the others are held against; default: the first.")
    ] = None,
    pairs: Annotated[PairsName, typer.Option(help="baseline: each against it; all: every pair.")] = PairsName.BASELINE,
    metrics: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only these metrics (cider, or coco/cider); repeatable.")
    ] = None,
    one_table: Annotated[
        bool, typer.Option("--one-table", help="All metrics in one table, each named with its profile or benchmark.")
    ] = False,
    read: ScoredReadOption = False,
    own_metric: OwnMetricOption = None,
    format: OwnFormatOption = "auto",
    better: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=higher|lower|neither", help="Which direction is better, where it is not known."),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=100, max=1_000_000, help="Draws of bootstrap and permutation test.")
    ] = 10_000,
    level: Annotated[
        float, typer.Option(min=0.5, max=0.9999, callback=a_number, help="Level of the intervals.")
    ] = 0.95,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of all draws.")] = 17,
    interval: Annotated[IntervalName, typer.Option(help="Kind of bootstrap interval.")] = IntervalName.BCA,
    correction: Annotated[
        CorrectionName, typer.Option(help="Correction of p-values over the pairs of a metric.")
    ] = CorrectionName.HOLM,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the pictures, for the page, the judge and --read.")
    ] = None,
    judge: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Also have a language model judge every pair of texts.")
    ] = None,
    judge_prompt: Annotated[Path | None, typer.Option(metavar="FILE", help="A prompt of your own for it.")] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keeps the judge's answers; default: beside the YAML file.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what judging would still cost, and ask nothing.")
    ] = False,
    probe: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FILE", help="A model's results of 'trifacet probe', for the page.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="PATH", help="Write a page.")] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write the tables as Markdown; - for standard output.")
    ] = None,
    latex: Annotated[
        str | None, typer.Option(metavar="PATH", help="Write the tables as LaTeX (booktabs); - for standard output.")
    ] = None,
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write everything as JSON; - for standard output.")
    ] = None,
) -> None:
    """Compare models on the same samples: values with intervals, differences, tests, effect sizes, judged pairs.

    Examples:
    trifacet compare runs/demo --html compare.html

    trifacet compare sft=a.jsonl mcm-dpo=b.jsonl --references test.jsonl --images data/images --latex table.tex

    trifacet compare mine=results/pope mine=results/chair other=other/pope other=other/chair --one-table

    trifacet compare runs/demo --judge judge.yaml --estimate

    trifacet compare sft=a.jsonl mcm-dpo=b.jsonl --references test.jsonl --images photos --read

    trifacet compare results/mine colours/other --file colours.py
    """
    from trifacet.benchmarks.registry import own_benchmarks
    from trifacet.cli.compare_view import print_comparison
    from trifacet.comparing.comparison import ComparisonSettings
    from trifacet.comparing.comparison import compare as compare_models
    from trifacet.comparing.document import document
    from trifacet.data.formats import use_format
    from trifacet.evaluation.entries import PROFILES, read_entries
    from trifacet.metrics.scores import own_metric as open_metric
    from trifacet.reports.comparison import latex as comparison_latex
    from trifacet.reports.comparison import tables as comparison_tables

    settings = ComparisonSettings(
        draws,
        level,
        seed,
        correction.value,
        pairs.value,
        interval.value,
        baseline,
        tuple(metrics or ()),
        common,
        one_table,
    )
    printed = [path for path in (markdown, latex, json_path) if path == "-"]
    if len(printed) > 1:
        raise TrifacetError(
            "of --markdown, --latex and --json only one can go to standard output; give the others a path"
        )
    if (estimate or judge_prompt or answers) and judge is None:
        raise TrifacetError("--estimate, --judge-prompt and --answers belong to --judge; name the judge's file")
    sections, directions = _probes(probe or []), _directions(better or [])
    use_format(format)
    entered = read_entries(
        models,
        references=references,
        profiles=[one.value for one in profile] if profile else PROFILES,
        better=directions,
        common=common,
        own=own_benchmarks(file or ()),
        extras=[open_metric(name) for name in own_metric or ()],
        reader=read_lettering if read else None,
        images=images,
    )
    there = dict.fromkeys(metric for one in entered.contestants for _, metric in one.measures)
    if unknown := [name for name in directions if name not in there]:
        raise TrifacetError(f"--better {unknown[0]!r}: no model has such a metric; there are {', '.join(there)}")
    if estimate:
        assert judge is not None
        _estimate(entered, settings, images, judge, judge_prompt, answers, json_path)
        return
    if len(entered.contestants) < 2 and len(models) < 2:
        raise TrifacetError(f"only one model is given ({entered.contestants[0].name}); give two or more")
    comparison = compare_models(entered.contestants, settings, entered.notes)
    judged = _judge(entered, settings, images, judge, judge_prompt, answers) if judge else None
    if html is not None:
        from trifacet.reports.comparison.page import write_comparison

        shown = images or entered.images
        write_comparison(
            html, comparison, entered.contestants, entered.samples, images=shown, judged=judged, extra=sections
        )
    if markdown is not None:
        write_text(comparison_tables.comparison_markdown(comparison, judged), markdown)
    if latex is not None:
        write_text(comparison_latex.latex(comparison), latex)
    if json_path is not None:
        from trifacet.comparing.document import judged_document

        write_json(document(comparison) | {"judged": judged_document(judged) if judged else None}, json_path)
    for note in comparison.notes:
        err.print(f"note: {plain(note)}", soft_wrap=True)
    if not printed:
        print_comparison(comparison, judged)


def _directions(given: Sequence[str]) -> dict[str, Better]:
    known: dict[str, Better] = {"higher": "higher", "lower": "lower", "neither": "neither"}
    found: dict[str, Better] = {}
    for one in given:
        metric, _, direction = one.rpartition("=")
        if not metric or direction not in known:
            raise TrifacetError(f"--better {one!r}: write METRIC=higher, METRIC=lower or METRIC=neither")
        found[metric] = known[direction]
    return found


def _probes(given: Sequence[str]) -> list[Markup]:
    """The sections of ``--probe NAME=FILE``; [] without any."""
    if not given:
        return []
    from trifacet.reports.probes import probe_sections, read_probe

    found: dict[str, Mapping[str, Any]] = {}
    for one in given:
        name, _, path = one.partition("=")
        if not name or not path or name in found:
            raise TrifacetError(f"--probe {one!r}: write NAME=FILE, each name once")
        found[name] = read_probe(Path(path))
    return probe_sections(found)


def _judge(
    entered: Entered,
    settings: ComparisonSettings,
    images: Path | None,
    file: Path,
    prompt: Path | None,
    answers: Path | None,
) -> JudgedPairs:
    from rich.progress import Progress

    from trifacet.comparing.pairs import judge_pairs, text_pairs
    from trifacet.llm.asking import read_asked_model
    from trifacet.llm.prompts import load_prompt

    spec, kept = read_asked_model(file), answers or _answers_beside(file)
    questions = text_pairs(entered, settings, images or entered.images)
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("judging")
        return judge_pairs(
            spec,
            load_prompt("judge", prompt),
            kept,
            questions,
            seed=settings.seed,
            level=settings.level,
            draws=settings.draws,
            correction=settings.correction,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _estimate(
    entered: Entered,
    settings: ComparisonSettings,
    images: Path | None,
    file: Path,
    prompt: Path | None,
    answers: Path | None,
    json_path: str | None,
) -> None:
    from trifacet.cli.common import json_or_table
    from trifacet.comparing.pairs import estimate, text_pairs
    from trifacet.llm.asking import read_asked_model
    from trifacet.llm.prompts import load_prompt

    questions = text_pairs(entered, settings, images or entered.images)
    asked = estimate(read_asked_model(file), load_prompt("judge", prompt), answers or _answers_beside(file), questions)
    document = {
        "questions": asked.questions,
        "kept": asked.cached,
        "tokens_in": asked.tokens_in,
        "tokens_out": asked.tokens_out,
        "cost": asked.cost,
        "paid_before": asked.paid - asked.cost,
    }
    rows = [(name, f"{value:.6g}") for name, value in document.items()]
    title = "What judging would still cost, at most, if no answer had to be asked for again"
    json_or_table(document, json_path, title, ("of the judge", "value"), rows)


def _answers_beside(file: Path) -> Path:
    return file.with_name(f"{file.stem}.answers.sqlite")
