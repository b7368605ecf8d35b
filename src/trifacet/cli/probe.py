"""``trifacet probe``: looks into a model. Invariant: nothing is written before all of it is known."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trifacet.cli.common import err, json_or_table, plain
from trifacet.cli.describe import (
    BatchOption,
    DeviceOption,
    Dtype,
    DtypeOption,
    ModelOption,
    NewTokensOption,
    PromptOption,
    read_words,
)
from trifacet.cli.options import FormatOption, a_text
from trifacet.generation.opening import load_for_generation, way_of_asking
from trifacet.settings.section import LARGEST_SEED, MOST

if TYPE_CHECKING:
    from trifacet.data.records import TestSample


class Whose(StrEnum):
    """Whose words' attention is taken."""

    GENERATED = "generated"
    REFERENCE = "reference"


def probe(
    data: Annotated[Path, typer.Argument(help="Test set in any data format.", show_default=False)],
    *,
    model: ModelOption,
    output: Annotated[Path, typer.Option(help="Where the whole document goes.")] = Path("probe.json"),
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images; by default that of the data.", show_default=False)
    ] = None,
    format: FormatOption = "auto",
    references: Annotated[
        Path | None,
        typer.Option(help="JSONL of id and text or texts; by default the data's own.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, help="The first N samples only.")] = None,
    name: Annotated[
        str | None, typer.Option(callback=a_text, help="What to call the model; by default after its folder.")
    ] = None,
    attention: Annotated[bool, typer.Option(help="Shares of attention.")] = True,
    text: Annotated[Whose, typer.Option(help="Whose words' attention: the model's own or the reference's.")] = (
        Whose.GENERATED
    ),
    noise: Annotated[bool, typer.Option(help="Which answers change under noise.")] = True,
    steps: Annotated[str, typer.Option(help="Strengths t of the noise, 0 (none) to 1000, by commas.")] = "500,900",
    embeddings: Annotated[bool, typer.Option(help="Distances of generated and reference texts.")] = True,
    vectors: Annotated[
        Path | None, typer.Option(help="Also write the hidden states, for --joint.", show_default=False)
    ] = None,
    joint: Annotated[
        list[Path] | None,
        typer.Option(help="Vectors of another model of the same base, to share a plane with; again for more."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page with charts.", show_default=False)] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Another model's document to show on the page; again for more.")
    ] = None,
    max_new_tokens: NewTokensOption = 256,
    batch_size: BatchOption = 8,
    prompt: PromptOption = None,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of noise and intervals.")] = 17,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="The numbers as JSON; - for standard output.")
    ] = None,
) -> None:
    """Look into a model: where its words look, which answers noise in the picture changes, how far its texts lie off.

    Example: trifacet probe runs/demo/data/test.jsonl --model runs/demo/models/mcm-dpo/model --max-new-tokens 48
    --html probe.html
    """
    from trifacet.base.errors import TrifacetError
    from trifacet.base.files import write_atomically
    from trifacet.base.progress import Bar
    from trifacet.data.formats import read_samples, use_format
    from trifacet.data.records import TestSample
    from trifacet.evaluation.naming import name_models
    from trifacet.generation.results import check_images
    from trifacet.probing.probe import Looks, Prober
    from trifacet.probing.vectors import read_vectors, write_vectors
    from trifacet.reports.probes import read_probe, write_page

    use_format(format)
    if not (attention or noise or embeddings):
        raise TrifacetError("--no-attention --no-noise --no-embeddings leaves nothing to look at; drop one of them")
    if (vectors or joint) and not embeddings:
        raise TrifacetError("--vectors and --joint are about embeddings; drop --no-embeddings")
    if beside and not html:
        raise TrifacetError("--beside is for the page; say where with --html")
    _check_outputs({"--output": output, "--vectors": vectors, "--html": html})
    looks = Looks(
        attention=attention, text=text.value, steps=_steps(steps) if noise else (), embeddings=embeddings,
        max_new_tokens=max_new_tokens, batch_size=batch_size, seed=seed,
    )  # fmt: skip
    shown = {str(path): read_probe(path) for path in beside or ()}
    others = [read_vectors(path) for path in joint or ()]
    samples = [sample for sample in read_samples(data, "test", format) if isinstance(sample, TestSample)][:limit]
    texts = _references(samples, references)
    root = images or data.parent
    check_images(samples, root, file=data, format=format)  # before minutes go into loading the model
    asked = way_of_asking(model, prompt=prompt)
    posts = read_words(samples, root, asked.quoting)
    loaded, encoder = load_for_generation(model, prompt=prompt, dtype=dtype, device=device, asked=asked)
    called = name or next(iter(name_models([model])))
    with Bar(plain(f"probe {called}")) as bar:
        prober = Prober(loaded, encoder, posts, texts, root, looks, bar.update)
        document, states = prober.probe(model=called, data=data.name, others=others)
    write_atomically(output, document.model_dump_json(indent=1) + "\n")
    if vectors and states:
        write_vectors(states, vectors)
    if html:
        write_page({**shown, str(output): document.model_dump()}, html)
    for note in document.notes:
        err.print(f"note: {plain(note)}")
    summary = document.summary()
    json_or_table(summary, json_path, f"{len(samples)} samples", ["look", "value", "95 %", "what"], _rows(summary))


def _check_outputs(paths: Mapping[str, Path | None]) -> None:
    """Refuse, before hours go into the texts, what could not be written then. Raises TrifacetError."""
    from trifacet.base.errors import TrifacetError

    options: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None:
            continue
        if path.is_dir():
            raise TrifacetError(f"{option} {path} is a folder; name a file")
        if (other := options.setdefault(path.resolve(), option)) != option:
            raise TrifacetError(f"{other} and {option} both name {path}; give each a file of its own")


def _steps(given: str) -> tuple[int, ...]:
    """The strengths of noise. Raises TrifacetError for what is none."""
    from trifacet.base.errors import TrifacetError
    from trifacet.preferences.rejected.pixels import abar

    try:
        steps = tuple(dict.fromkeys(int(step) for step in given.split(",")))
    except ValueError:
        raise TrifacetError(f"--steps {given!r} is no list of numbers; write such as 500,900") from None
    for step in steps:
        abar(step)
    return steps


def _references(samples: list[TestSample], path: Path | None) -> dict[str, str]:
    """The first reference of each sample that has one. Raises DataError for a file of other samples."""
    from trifacet.base.errors import DataError
    from trifacet.metrics.inputs import read_targets

    targets = read_targets(path) if path else samples
    texts = {target.id: target.references[0] for target in targets if target.references}
    known = {sample.id for sample in samples}
    if path and not known & texts.keys():
        raise DataError("has no reference for any of the samples", fix="give one with the data's ids", file=path)
    return {name: text for name, text in texts.items() if name in known}


def _rows(summary: dict[str, Any]) -> list[list[str]]:
    """The table: one line per number."""
    rows: list[list[str]] = []

    def row(name: str, value: float | None, between: list[float] | None, what: str) -> None:
        if value is not None:
            rows.append([name, f"{value:.3f}", "" if between is None else f"{between[0]:.3f}–{between[1]:.3f}", what])

    if attention := summary["attention"]:
        for group, share in attention["shares"].items():
            ratio = attention["relative"][group]
            what = "no such token" if ratio is None else f"{ratio:.2f} x its share of the tokens"
            row(f"attention to {group}", share, attention["intervals"][group], what)
        row("attention within the answer", attention["response_share"], None, "of all; the four are shares of the rest")
    for noise in summary["noise"] or ():
        what = f"{noise['changed_count']} of {noise['samples']} answers; {noise['kept']:.0%} of the signal is left"
        row(f"changed at t = {noise['t']}", noise["changed"], noise["interval"], what)
        row(f"similarity at t = {noise['t']}", noise["similarity"], noise["similarity_interval"], "ROUGE-L of both")
        if facts := noise["grounding"]:
            what = f"right facts from {facts['clean']:.3f} to {facts['noised']:.3f}"
            row(f"grounding lost at t = {noise['t']}", facts["drop"], facts["interval"], what)
    if embeddings := summary["embeddings"]:
        for name, distance in embeddings["distances"].items():
            row(f"{name}", distance["value"], distance["interval"], "generated to reference texts" * (name != "spread"))
        row("silhouette", embeddings["silhouette"], None, "0: one cloud, 1: two far apart")
    return rows
