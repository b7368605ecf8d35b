"""``trifacet diff``: whether an aligned model differs from its base. Invariant: one weight of each is in memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from trifacet.cli.common import EXIT_FINDINGS, err, out, plain, print_table, write_json
from trifacet.cli.describe import DeviceOption, Dtype, DtypeOption, read_words
from trifacet.settings.section import MOST

LEAST = 1e-6  # of the weights' norm: below, nothing was learned


def diff(
    base: Annotated[str, typer.Argument(help="Folder or hub id of the model it came from.", show_default=False)],
    aligned: Annotated[str, typer.Argument(help="Folder or hub id of the aligned model or adapter.")],
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Samples in any data format: also say how much their responses' log-probs changed."),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images; by default that of the data.")] = None,
    samples: Annotated[int, typer.Option(min=1, max=MOST, help="How many of them: the first N.")] = 8,
    dtype: DtypeOption = Dtype.FLOAT32,
    device: DeviceOption = "auto",
    json_path: Annotated[
        str | None, typer.Option("--json", metavar="PATH", help="Write every weight's change as JSON; - prints it.")
    ] = None,
) -> None:
    """Say which weights differ and by how much; exit code 1 where nothing does. LoRA adapters are seen through.

    Example: trifacet diff runs/demo/models/sft/model runs/demo/models/mcm-dpo/model --data runs/demo/data/test.jsonl
    """
    from trifacet.base.progress import Bar
    from trifacet.models.difference import by_part, compare_checkpoints

    with Bar("weights") as bar:
        found = compare_checkpoints(base, aligned, bar.update)
    scores = _scores(base, aligned, data, images or data.parent, samples, dtype, device) if data else []
    document: dict[str, Any] = {
        "base": base,
        "aligned": aligned,
        "weights": len(found.changes),
        "weights_changed": len(found.changed),
        "relative": found.relative,
        "only_base": found.only_base,
        "only_aligned": found.only_aligned,
        "changes": [
            {
                "name": change.name,
                "moved": change.moved,
                "relative": change.relative if math.isfinite(change.relative) else None,
                "largest": change.largest,
            }
            for change in found.changed
        ],
        "samples": scores,
    }
    if json_path:
        write_json(document, json_path)
    if json_path != "-":
        rows = [
            (plain(part), f"{changed} of {weights}", f"{relative:.2e}", f"{largest:.2e}")
            for part, changed, weights, relative, largest in sorted(by_part(found.changes), key=lambda row: -row[3])
        ]
        print_table("change of the weights", ("weight", "changed", "relative", "largest"), rows)
        if scores:
            rows = [(plain(s["id"]), f"{s['base']:.3f}", f"{s['aligned']:.3f}", f"{s['change']:+.4f}") for s in scores]
            print_table("log-probs of responses, nats per token", ("sample", "base", "aligned", "change"), rows)
        out.print(
            f"{len(found.changed)} of {len(found.changes)} weights differ; relative change of all {found.relative:.2e}"
        )
    for side, names in (("base", found.only_base), ("aligned", found.only_aligned)):
        if names:
            err.print(f"note: {len(names)} weights are in {side} alone, {plain(names[0])} first", soft_wrap=True)
    if not found.relative >= LEAST and not found.only_aligned:
        told = f" {plain(aligned)} is {plain(base)} but for rounding; of a trained model: nothing was learned"
        err.tell(("the same:", "bold yellow"), f"{told} (docs/curves.md)")
        raise typer.Exit(EXIT_FINDINGS)


def _scores(
    base: str, aligned: str, data: Path, images: Path, count: int, dtype: str, device: str
) -> list[dict[str, Any]]:
    """The first samples' responses under both models, asked as the aligned model was asked in training."""
    from trifacet.data.formats import read_samples
    from trifacet.data.records import TestSample
    from trifacet.engine.reference import score_batches
    from trifacet.engine.scoring import TrieScorer
    from trifacet.models.asking import WayOfAsking
    from trifacet.models.loading import load_model
    from trifacet.training.watching import responses_batch

    asked = WayOfAsking.read(Path(aligned))
    samples = [one for one in read_samples(data, "test")[:count] if isinstance(one, TestSample)]
    rows = _with_response(list(read_words(samples, images, asked.quoting)), data)
    logps = []
    lengths: list[int] = []
    for checkpoint in (aligned, base):
        loaded = load_model(checkpoint, dtype=dtype, device=device)
        encoder = asked.encoder(loaded.family)
        batch = responses_batch(encoder, images, rows)
        lengths = batch.lengths_C.tolist()
        scorer = TrieScorer(loaded.model, loaded.family)
        logps.append(next(score_batches(scorer, [batch], next(scorer.parameters()).device)).tolist())
        del loaded, scorer
    posts: list[TestSample] = [post for post, _ in rows]
    return [
        {"id": post.id, "tokens": tokens, "base": b / tokens, "aligned": a / tokens, "change": (a - b) / tokens}
        for post, tokens, a, b in zip(posts, lengths, *logps, strict=True)
    ]


def _with_response(samples: list[Any], data: Path) -> list[tuple[Any, str]]:
    """Each post with its first reference (a training file's chosen response is one)."""
    from trifacet.base.errors import TrifacetError

    rows = [(sample, sample.references[0]) for sample in samples if sample.references]
    if not rows:
        raise TrifacetError(f"{data}: none of the first {len(samples)} samples has a response or reference to score")
    return rows
