"""``trifacet evaluate``: models through a test set and benchmarks, side by side.

Invariant: the same command continues what was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.benchmark_runs import FilesOption
from trifacet.cli.common import err, out, plain, write_json
from trifacet.cli.describe import (
    BatchOption,
    BeamsOption,
    DeviceOption,
    Dtype,
    DtypeOption,
    NewTokensOption,
    PromptOption,
    TemperatureOption,
)
from trifacet.cli.options import OwnMetricOption, ScoredReadOption
from trifacet.cli.score import read_lettering
from trifacet.generation.opening import load_for_generation
from trifacet.settings.section import LARGEST_SEED, MOST

if TYPE_CHECKING:
    from trifacet.benchmarks.registry import Entry
    from trifacet.benchmarks.running import Task
    from trifacet.evaluation.entries import Reader
    from trifacet.evaluation.evaluating import Tests
    from trifacet.generation.settings import Generation
    from trifacet.metrics.scores import Extra


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]MODEL...", help="Folders or hub ids of checkpoints.", show_default=False),
    ],
    *,
    output: Annotated[Path, typer.Option(help="Folder of the evaluation, made or continued.", show_default=False)],
    data: Annotated[Path | None, typer.Option(help="Test set in any data format.", show_default=False)] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of its pictures; by default that of the data.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="The first N samples of the test set only.")
    ] = None,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DATA[,IMAGES]", help="A benchmark and the folder of its files; give it again."),
    ] = None,
    benchmark_limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="The first N items of each benchmark only; not official then.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME.KEY=VALUE", help="An option of a benchmark; give it again."),
    ] = None,
    file: FilesOption = None,
    judge: Annotated[
        Path | None, typer.Option(help="YAML file with the judge's model, for the benchmarks that need one.")
    ] = None,
    probe: Annotated[
        bool, typer.Option(help="Also look into the models: attention, answers under noise, embeddings.")
    ] = True,
    read: ScoredReadOption = False,
    own_metric: OwnMetricOption = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model that the others are held against; default: the first.")
    ] = None,
    beams: BeamsOption = 3,
    temperature: TemperatureOption = 0.0,
    max_new_tokens: NewTokensOption = 256,
    answer_tokens: Annotated[
        int, typer.Option(min=1, max=100_000, help="Longest answer to a benchmark in tokens.")
    ] = 512,
    batch_size: BatchOption = 8,
    prompt: PromptOption = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of all draws.")] = 17,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever the output holds.")] = False,
) -> None:
    """All of the below for one or several models: texts, benchmarks, probes, and how sure each difference is; one page.

    Examples:
    trifacet evaluate runs/demo/models/sft/model runs/demo/models/mcm-dpo/model --data runs/demo/data/test.jsonl
    --max-new-tokens 48 --output results/demo

    trifacet evaluate base=llava-hf/llava-1.5-7b-hf mine=runs/mine/models/mcm-dpo/model --output results/mine
    --benchmark pope=data/pope,coco/val2014 --benchmark mmhal=data/mmhal --judge judge.yaml

    trifacet evaluate mine=runs/mine/models/mcm-dpo/model --output results/mine --benchmark colours=data/colours
    --file colours.py
    """
    from trifacet.base.progress import Bar
    from trifacet.benchmarks.registry import own_benchmarks
    from trifacet.evaluation.evaluating import evaluate as run_all
    from trifacet.evaluation.naming import name_models
    from trifacet.generation.settings import Generation
    from trifacet.metrics.scores import own_metric as open_metric

    if data is None and not benchmark:
        raise TrifacetError("there is nothing to evaluate on; give a test set with --data, or a --benchmark")
    named = name_models(models)
    if baseline is not None and baseline not in named:
        raise TrifacetError(f"--baseline {baseline!r} is none of the models; there are {', '.join(named)}")
    writing = Generation(beams=beams, temperature=temperature, max_new_tokens=max_new_tokens, batch_size=batch_size)
    answering = Generation(beams=1, temperature=0.0, max_new_tokens=answer_tokens, batch_size=batch_size)
    own, extras = own_benchmarks(file or ()), [open_metric(name) for name in own_metric or ()]
    tasks = _tasks(benchmark or [], benchmark_limit, set_ or [], own)
    tests = _tests(data, images, limit, tasks, judge, probe, writing, answering, seed, dtype.value)
    if read:
        if tests.images is None:
            raise TrifacetError("--read reads the pictures of a test set; give one with --data")
        read_lettering(tests.samples, tests.images)  # they are kept
    run_all(
        named,
        tests,
        output,
        lambda checkpoint: load_for_generation(checkpoint, prompt=prompt, dtype=dtype, device=device),
        lambda name: Bar(plain(name)),
        overwrite=overwrite,
    )
    _report(output, baseline, seed, own, extras, read_lettering if read else None)


def _tests(
    data: Path | None,
    images: Path | None,
    limit: int | None,
    tasks: Sequence[Task],
    judge: Path | None,
    probe: bool,
    writing: Generation,
    answering: Generation,
    seed: int,
    dtype: str,
) -> Tests:
    """What is asked for, with every file looked at: what is missing is told before minutes go into a model."""
    from trifacet.benchmarks.running import require_images, require_judge
    from trifacet.data.formats import read_samples
    from trifacet.data.records import TestSample
    from trifacet.evaluation.evaluating import Tests
    from trifacet.generation.results import check_images
    from trifacet.llm.asking import read_asked_model
    from trifacet.probing.probe import Looks

    samples = [one for one in read_samples(data, "test") if isinstance(one, TestSample)][:limit] if data else []
    root = images or (data.parent if data else None)
    if root is not None:
        check_images(samples, root, file=data)
    asked = read_asked_model(judge) if judge else None
    for task in tasks:
        if task.judge is not None:
            require_judge(task, asked)
        require_images(task)
    looks = None
    if probe and data:
        looks = Looks(max_new_tokens=writing.max_new_tokens, batch_size=writing.batch_size, seed=seed)
    return Tests(data, root, samples, writing, tasks, answering, asked, looks, seed, dtype)


def _tasks(given: Sequence[str], limit: int | None, sets: Sequence[str], own: Mapping[str, Entry]) -> list[Task]:
    """The benchmarks of ``NAME=DATA[,IMAGES]``, each once, with their ``NAME.KEY=VALUE``; every one of the user's files
    is asked for.
    """
    from trifacet.benchmarks.registry import known_benchmarks, pick
    from trifacet.benchmarks.running import open_task
    from trifacet.evaluation.naming import names_folder

    there = {**known_benchmarks(), **own}
    overrides: dict[str, list[str]] = {one.partition("=")[0]: [] for one in given}
    for one in sets:
        name, dot, override = one.partition(".")
        if not dot or "=" in name or name not in overrides:
            raise TrifacetError(f"--set {one!r}: write NAME.KEY=VALUE, with the NAME of one of the --benchmark")
        overrides[name].append(override)
    tasks: dict[str, Task] = {}
    for one in given:
        name, _, places = one.partition("=")
        data, _, images = places.partition(",")
        if not name or not data or name in tasks:
            raise TrifacetError(f"--benchmark {one!r}: write NAME=DATA or NAME=DATA,IMAGES, each name once")
        entry = pick(name, there)
        if not names_folder(name):
            raise TrifacetError(f"--benchmark {one!r}: its results' folder is called so; use a name like 'my-colours'")
        tasks[name] = open_task(entry, Path(data), images=Path(images) if images else None,
                                overrides=overrides[name], limit=limit)  # fmt: skip
    if unused := [entry.file for name, entry in own.items() if name not in tasks]:
        raise TrifacetError(f"--file {unused[0]}: no --benchmark is of this file; add --benchmark NAME=DATA")
    return list(tasks.values())


def _report(
    folder: Path,
    baseline: str | None,
    seed: int,
    own: Mapping[str, Entry],
    extras: Sequence[Extra],
    reader: Reader | None,
) -> None:
    """Tables on standard output, the same as Markdown, LaTeX and JSON, and a page; its path comes last."""
    from trifacet.base.files import write_atomically
    from trifacet.cli.compare_view import print_comparison
    from trifacet.comparing.comparison import ComparisonSettings, compare
    from trifacet.comparing.document import document
    from trifacet.evaluation.entries import read_entries
    from trifacet.evaluation.evaluating import read_probes
    from trifacet.reports.comparison import latex as comparison_latex
    from trifacet.reports.comparison import tables as comparison_tables
    from trifacet.reports.comparison.page import write_comparison
    from trifacet.reports.probes import probe_sections

    entered = read_entries([str(folder)], own=own, extras=extras, reader=reader)
    # A verdict that cannot be parsed or an empty text leaves a model without a value there: the others are compared.
    settings = ComparisonSettings(seed=seed, baseline=baseline, common=True)
    comparison = compare(entered.contestants, settings, entered.notes)
    page = folder / "report.html"
    write_comparison(
        page,
        comparison,
        entered.contestants,
        entered.samples,
        images=entered.images,
        extra=probe_sections(read_probes(folder)),
    )
    write_atomically(folder / "tables.md", comparison_tables.comparison_markdown(comparison))
    write_atomically(folder / "tables.tex", comparison_latex.latex(comparison))
    write_json(document(comparison), str(folder / "comparison.json"))
    for note in comparison.notes:
        err.print(f"note: {plain(note)}", soft_wrap=True)
    print_comparison(comparison, None)
    out.print(f"report: {plain(str(page))}")
