"""``trifacet benchmarks run`` and ``score``: what a model, or answers that are there, are worth.

Invariant: every number is shown with whether it is the official one, and why not where it isn't.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.common import err, json_or_table, out, plain, print_table, write_json
from trifacet.cli.describe import (
    BatchOption,
    BeamsOption,
    DeviceOption,
    Dtype,
    DtypeOption,
    SeedOption,
    TemperatureOption,
)
from trifacet.settings.section import MOST

if TYPE_CHECKING:
    from trifacet.benchmarks.running import Scored, Task
    from trifacet.llm.asking import Asked

NameArgument = Annotated[str, typer.Argument(help="The benchmark's name.", show_default=False)]
DataOption = Annotated[Path, typer.Option(help="Folder of the benchmark's own files.", show_default=False)]
ImagesOption = Annotated[
    Path | None, typer.Option(help="Folder of its pictures; by default that of the data.", show_default=False)
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        help="A Python file of your own that holds a BENCHMARK, or package.module:name of one; it is run.",
        show_default=False,
    ),
]
FilesOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A Python file of your own that holds a BENCHMARK, or package.module:name of one; it is run. Repeatable.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    str | None, typer.Option("--json", metavar="PATH", help="Write the result as JSON; - for standard output.")
]
JudgeOption = Annotated[
    Path | None, typer.Option(help="YAML file with the judge's model, as under 'models' of a build's recipe.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the benchmark; give it again.")
]
PerSampleOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Write answer, verdict and values of each item as JSONL.")
]
EstimateOption = Annotated[bool, typer.Option("--estimate", help="Say what asking would cost, and ask nothing.")]
_OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Begin anew, whatever the output holds.")]


def run(
    name: NameArgument,
    data: DataOption,
    output: Annotated[Path, typer.Option(help="Folder of the result, made or continued.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="Folder or hub id of a checkpoint, run here.", show_default=False)
    ] = None,
    endpoint: Annotated[
        Path | None, typer.Option(help="Instead: YAML file with a model behind an endpoint.", show_default=False)
    ] = None,
    images: ImagesOption = None,
    judge: JudgeOption = None,
    set_: SetOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="The first N items only; not official then.")
    ] = None,
    beams: BeamsOption = 1,
    temperature: TemperatureOption = 0.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, max=100_000, help="Longest answer in tokens.")] = 512,
    batch_size: BatchOption = 8,
    seed: SeedOption = 17,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    file: FileOption = None,
    estimate: EstimateOption = False,
    json_path: JsonOption = None,
    per_sample: PerSampleOption = None,
    overwrite: _OverwriteOption = False,
) -> None:
    """Put a benchmark's questions to a model, judge the answers if needed, and score them; run it again to continue.

    Example: trifacet benchmarks run pope --data data/pope --images coco/val2014 --model MODEL --output results/pope
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.base.progress import Bar
    from trifacet.benchmarks import results, running
    from trifacet.benchmarks.answering import answer, settings_of
    from trifacet.benchmarks.registry import find_entry
    from trifacet.data.writing import Writer
    from trifacet.generation.opening import load_for_generation
    from trifacet.generation.settings import Generation
    from trifacet.llm.asking import read_asked_model
    from trifacet.llm.writer import EndpointWriter

    if (model is None) == (endpoint is None):
        raise TrifacetError("say which model answers: --model for one that runs here, or --endpoint; not both")
    if endpoint is not None and beams > 1:
        raise TrifacetError("--beams is for a model that runs here; leave it out with --endpoint")
    task = running.open_task(find_entry(name, file), data, images=images, overrides=set_ or (), limit=limit)
    asked_judge = read_asked_model(judge) if judge else None
    asked_model = read_asked_model(endpoint) if endpoint else None
    if task.judge is not None:
        running.require_judge(task, asked_judge)
    running.require_images(task)
    generation = Generation(
        beams=beams, temperature=temperature, max_new_tokens=max_new_tokens, batch_size=batch_size
    )  # fmt: skip
    asker = None
    if asked_model is None:
        settings = settings_of(str(model), generation, seed, dtype.value)
    else:
        asker = EndpointWriter(asked_model, output / results.ENDPOINT_BOOKS, max_new_tokens, temperature)
        settings = {"max_new_tokens": max_new_tokens, "temperature": temperature, "by": "endpoint",
                    "model": asked_model.model, "image_side": asked_model.image_side}  # fmt: skip
    if estimate:
        costs = running.estimate(
            task, {}, asked_judge, output / "judge.sqlite", asker=asker, max_new_tokens=max_new_tokens
        )
        return _print_costs(costs, json_path)
    with results.claimed(output, task.manifest(settings, asked_judge), overwrite=overwrite):
        with Bar("answers") as bar:
            writer: Writer | None = asker
            if writer is None:
                from trifacet.generation.writer import FamilyWriter  # torch, which endpoints do without

                loaded, encoder = load_for_generation(str(model), prompt=None, dtype=dtype, device=device)
                writer = FamilyWriter(loaded.model, encoder, generation, seed)
            answers = answer(task, writer, output, on_progress=bar.update)
        told = settings | ({"asked": asker.asked.document()} if asker and asker.asked else {})
        scored = _judge_and_score(task, list(task.items), answers, asked_judge, output, told)
        results.write_document(output, scored.document)
    _print_scored(scored, json_path, per_sample)


def score(
    name: NameArgument,
    data: DataOption,
    answers: Annotated[
        list[Path],
        typer.Option(help="Answers: ours, the benchmark's own form, lmms-eval's or VLMEvalKit's; give it again."),
    ],
    images: ImagesOption = None,
    judge: JudgeOption = None,
    set_: SetOption = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Score what is answered where some items are not; not official then.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder that keeps the result, for 'trifacet compare'.", show_default=False)
    ] = None,
    file: FileOption = None,
    estimate: EstimateOption = False,
    json_path: JsonOption = None,
    per_sample: PerSampleOption = None,
    overwrite: _OverwriteOption = False,
) -> None:
    """Score answers that are there; a judge's verdicts are kept beside them, or in the output folder.

    Example: trifacet benchmarks score pope --data data/pope --answers 20250101_samples_pope.jsonl
    """
    from trifacet.base.digests import text_digest
    from trifacet.benchmarks import results, running
    from trifacet.benchmarks.answers import complete, read_answers
    from trifacet.benchmarks.registry import find_entry
    from trifacet.llm.asking import read_asked_model

    task = running.open_task(find_entry(name, file), data, images=images, overrides=set_ or ())
    asked_judge = read_asked_model(judge) if judge else None
    if task.judge is not None:
        running.require_judge(task, asked_judge)
    matched = read_answers(task.benchmark, task.items, answers)
    for how in matched.how:
        err.print(f"note: {plain(how)}", soft_wrap=True)
    items = complete(task.items, matched.answers, partial=partial)
    books = output / "judge.sqlite" if output else answers[0].with_name(f"{answers[0].name}.judge.sqlite")
    if estimate:
        return _print_costs(running.estimate(task, matched.answers, asked_judge, books), json_path)
    texts = "".join(f"{item.id}\0{matched.answers[item.id]}\0" for item in items)
    told = {"by": "files", "files": [path.name for path in answers], "matched": matched.how,
            "sha256": text_digest(texts)}  # fmt: skip
    if output is None:
        scored = _judge_and_score(task, items, matched.answers, asked_judge, None, told, books)
    else:
        with results.claimed(output, task.manifest(told, asked_judge), overwrite=overwrite):
            results.write_answers(output, items, matched.answers)
            scored = _judge_and_score(task, items, matched.answers, asked_judge, output, told)
            results.write_document(output, scored.document)
    _print_scored(scored, json_path, per_sample)


def _judge_and_score(
    task: Task, items: list[Any], answers: dict[str, str], judge: Any, output: Path | None, told: dict[str, Any],
    books: Path | None = None,
) -> Scored:  # fmt: skip
    from trifacet.base.progress import Bar
    from trifacet.benchmarks import results, running

    keep = (lambda verdicts: results.write_verdicts(output, items, verdicts)) if output else (lambda verdicts: None)
    books = books or (output or Path()) / "judge.sqlite"
    with Bar("verdicts") as bar:
        return running.judge_and_score(
            task, items, answers, judge, books, told=told, on_progress=bar.update, on_verdicts=keep
        )


def _print_scored(scored: Scored, json_path: str | None, per_sample: Path | None) -> None:
    import json

    from trifacet.base.files import write_atomically
    from trifacet.benchmarks.results import per_sample_rows
    from trifacet.reports.comparison.tables import arrow
    from trifacet.statistics.significance import LEVEL

    told = scored.document
    if per_sample is not None:
        rows = per_sample_rows(scored.answered, scored.outcome)
        write_atomically(per_sample, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    reasons = list(dict.fromkeys(metric["reason"] for metric in told["metrics"].values() if metric["reason"]))
    table = [
        (
            plain(name) + arrow(metric["better"]),
            _shown(metric["value"]),
            "-" if metric["interval"] is None else " to ".join(map(_shown, metric["interval"])),
            f"no [{reasons.index(metric['reason']) + 1}]" if metric["reason"] else "yes",
        )
        for name, metric in told["metrics"].items()
    ]
    title, between = f"{plain(told['benchmark'])}: {told['items']} of {told['of']} items", f"{100 * LEVEL:g} % interval"
    json_or_table(told, json_path, title, ("metric", "value", between, "official"), table)
    if json_path == "-":
        return
    for number, reason in enumerate(reasons, start=1):
        out.print(plain(f"[{number}] not official: {reason}"))
    for note in told["notes"]:
        out.print(f"note: {plain(note)}")
    if "asked" in told["answers"]:
        out.print(plain(_told_asking("model", told["answers"]["asked"], "answers with a problem")))
    if told["judge"]:
        out.print(plain(_told_asking("judge", told["judge"], "without a verdict")))


def _shown(value: float | None) -> str:
    """Two decimals of a percentage, four of what is small."""
    return "-" if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def _told_asking(who: str, asked: dict[str, Any], lacking: str) -> str:
    problems = ", ".join(f"{count} {problem}" for problem, count in asked["problems"].items())
    return (
        f"{who} {asked['model']}: {asked['questions']} questions, {asked['cached']} answers kept before, "
        f"{lacking}: {problems or 'none'}; {asked['tokens_in']} + {asked['tokens_out']} tokens, "
        f"cost {asked['cost']:.6g}, paid in all {asked['paid']:.6g}"
    )


def _print_costs(costs: dict[str, Asked], json_path: str | None) -> None:
    rows = [
        {"step": step, "model": cost.model, "questions": cost.questions - cost.cached, "answered_before": cost.cached,
         "tokens_in": cost.tokens_in, "tokens_out": cost.tokens_out, "cost": cost.cost}
        for step, cost in costs.items()
    ]  # fmt: skip
    if json_path:
        write_json({"estimate": rows}, json_path)
    if json_path != "-":
        table = [[plain(str(row["step"])), plain(str(row["model"])), row["questions"], row["answered_before"],
                  row["tokens_in"], row["tokens_out"], f"{row['cost']:.6g}"] for row in rows]  # fmt: skip
        columns = ("step", "model", "questions", "answered before", "tokens in", "tokens out, at most", "cost, at most")
        print_table("What asking would cost", columns, table)
