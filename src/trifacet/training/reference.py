"""Scoring every sample with the reference, batch by batch, each kept on disk as soon as it is scored.

Invariant: which samples share a batch depends on their order and the batch size alone, never on what is done already
or on how many processes score: so a pass that was killed and resumed ends with the bytes of one that was not.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from trifacet.base.digests import text_digest
from trifacet.base.files import append_durably, cannot_write
from trifacet.base.progress import Bar, console
from trifacet.data.source import FilesRead
from trifacet.engine.reference import Scores, load_scores, refuse_broken_scores, save_reference, score_batches
from trifacet.engine.scoring import Batch, TrieScorer
from trifacet.preferences.facets import CORNERS
from trifacet.training import ranks
from trifacet.training.examples import Collator, Examples
from trifacet.training.loader_workers import OutliveSignal, sound
from trifacet.training.recipe import Align, Supervised
from trifacet.training.stage import Stage


def batches_in_order(samples: int, batch_size: int) -> list[list[int]]:
    """The samples' indices, ``batch_size`` at a time."""
    return [list(range(at, min(at + batch_size, samples))) for at in range(0, samples, batch_size)]


def score_missing(
    examples: Examples,
    scorer: TrieScorer,
    plan: Sequence[list[int]],
    parts: ReferenceParts,
    collator: Collator,
    *,
    workers: int = 0,
    entropies: bool = False,
) -> list[Tensor]:
    """The scores of every batch of ``plan``: each process scores its share of those that ``parts`` lacks.

    A tensor per batch: (C,) log-probs or, with ``entropies``, (2, C) of ``TrieScorer.with_entropies``.

    What the first process finds in ``parts`` counts, so that all agree on what is missing.

    Raises:
        TrifacetError: a score that is not finite, with the samples of its batch; a full disk.
    """
    parts.done = ranks.first_does(lambda: parts.done)
    missing = [number for number in range(len(plan)) if number not in parts.done]
    if missing and len(missing) < len(plan):
        console.print(f"reference: {len(plan) - len(missing)} of {len(plan)} batches are scored already")
    share = missing[ranks.rank() :: ranks.count()]
    loader: Any = DataLoader(
        examples,
        batch_sampler=[plan[number] for number in share],
        collate_fn=collator.of_loader,
        num_workers=workers,
        worker_init_fn=OutliveSignal(),
    )
    device = next(scorer.parameters()).device
    with ranks.agreed(), Bar("reference") as bar:
        batches = (batch for batch, _ in map(sound, loader))
        for position, logps_C in enumerate(score_batches(scorer, batches, device, entropies=entropies)):
            number = share[position]
            refuse_broken_scores(logps_C, [examples.samples[index].id for index in plan[number]])
            parts.add(number, logps_C)
            bar.update(position + 1, len(share))
    for scored in ranks.gather({number: parts.done[number] for number in share}):
        parts.done.update(scored)
    return [parts.done[number] for number in range(len(plan))]


def reference_fingerprint(
    examples: Examples, scorer: TrieScorer, dtype: str, weights: str, files: FilesRead | None = None
) -> dict[str, str]:
    """What the reference's scores of ``examples`` depend on.

    Args:
        examples: what is scored.
        scorer: how.
        dtype: of the reference's weights in memory.
        weights: the fingerprint of its weights.
        files: what is read already.
    """
    told = f"bfloat16 over {dtype}" if scorer.mixed_precision else dtype
    return {**examples.fingerprint(files), "weights": weights, "dtype": told}


class Reference(NamedTuple):
    """What is known of a stage's reference before training: its scores, or the way to compute them in each step.

    Neither where the objective has no reference. ``entropies``: the mean token entropies of the same cells.
    """

    logps: list[Tensor] | None = None
    online: OnlineReference | None = None
    entropies: list[Tensor] | None = None


def reference_scores(
    stage: Stage, examples: Examples, scorer: TrieScorer, weights: str, *, entropies: bool = False
) -> Reference:
    """Cached scores, or the way to compute them in each step, or neither where the objective has no reference.

    ``entropies``: where the scores are yet to be cached, the same pass gives the entropies too.
    """
    settings, start, scoring = stage.settings, stage.start, stage.scoring
    if isinstance(settings, Supervised) or not examples.objective.needs_reference:
        return Reference()
    if settings.reference == "online":
        adapter_off = getattr(scorer.model, "disable_adapter", None)
        if adapter_off is not None:
            return Reference(online=OnlineReference(scorer, adapter_off))
        frozen = scoring.load(start.path).model
        frozen.requires_grad_(False)
        return Reference(online=OnlineReference(scoring.scorer(frozen, scorer.family, scorer.kept)))
    corners = "-".join(str(corner) for corner in examples.objective.corners)
    everything = len(examples.objective.corners) == len(CORNERS)
    beside = "-beside" if examples.objective.beside else ""
    name = f"{start.name}-{'all' if everything else corners}{beside}"
    known = kept_scores(stage, examples, scorer, weights, name, entropies=entropies)
    return Reference(known.logps, entropies=known.entropies)


def kept_scores(
    stage: Stage, examples: Examples, scorer: TrieScorer, weights: str, name: str, *, entropies: bool = False
) -> Scores:
    """The scores of ``examples``, from the run's folder ``reference`` or computed and kept there under ``name``.

    Scores that were kept without entropies are given without.

    Raises:
        TrifacetError: what is kept is damaged or stale, a score is not finite, a full disk.
    """
    assert isinstance(stage.settings, Align)
    first = f"-first-{stage.settings.limit}" if stage.settings.limit else ""
    weighed = examples.changed_tokens
    told = f"-weighed-{text_digest(weighed.model_dump_json())[:8]}" if weighed else ""
    path = stage.run / "reference" / f"{name}{first}{told}.safetensors"
    dtype = stage.scoring.model.dtype
    fingerprint = ranks.first_does(lambda: reference_fingerprint(examples, scorer, dtype, weights, stage.files))
    known = ranks.first_does(lambda: load_scores(path, fingerprint) if path.exists() else None)
    size = stage.settings.batch_size
    made_for = {**fingerprint, "batch size": str(size), **({"entropies": "too"} if entropies else {})}
    parts = ReferenceParts(path.with_suffix(".parts"), made_for, ranks.rank())
    if known is not None:
        ranks.first_does(parts.remove)  # left by a kill between the cache's last byte and its removal
        return known
    plan = examples.groups.members if examples.groups else batches_in_order(len(examples), size)
    found = score_in_batches(stage, examples, scorer, plan, parts, entropies=entropies)
    scores = [found[index] for index in range(len(examples))]
    made = Scores([one[0] for one in scores], [one[1] for one in scores]) if entropies else Scores(scores)
    ranks.first_does(lambda: save_reference(path, made.logps, fingerprint, made.entropies))
    ranks.first_does(parts.remove)
    return made


def score_in_batches(
    stage: Stage,
    examples: Examples,
    scorer: TrieScorer,
    plan: Sequence[list[int]],
    parts: ReferenceParts,
    *,
    entropies: bool = False,
) -> dict[int, Tensor]:
    """The scores of the samples in the batches of ``plan``, by index: (cells,), or with entropies (2, cells)."""
    collator = Collator(examples, rows=stage.scoring.rows)
    batches = score_missing(examples, scorer, plan, parts, collator, workers=stage.samples.workers, entropies=entropies)
    order = [index for batch in plan for index in batch]
    cells = [len(examples.cells(index)) for index in order]
    return dict(zip(order, torch.cat(batches, -1).split(cells, -1), strict=True))


class OnlineReference:
    """Reference scores computed in the step: by the model with its adapter off, or by a frozen copy."""

    def __init__(self, scorer: TrieScorer, adapter_off: Any = None) -> None:
        self.scorer, self.adapter_off = scorer, adapter_off

    def __call__(self, batch: Batch) -> Tensor:
        was_training = self.scorer.training
        trains = [(weight, weight.requires_grad) for weight in self.scorer.parameters()]
        self.scorer.eval()
        try:
            with torch.no_grad():
                if self.adapter_off is None:
                    return self.scorer(batch.to(next(self.scorer.parameters()).device))
                with self.adapter_off():
                    return self.scorer(batch)
        finally:
            self.scorer.train(was_training)
            for weight, wanted in trains:  # switching the adapter on again would thaw the whole of what it copied
                weight.requires_grad_(wanted)


class ReferenceParts:
    """A folder with one file per process that scores; each appends to its own, all read those of all.

    Args:
        folder: beside the cache that the pass is making.
        fingerprint: what the scores depend on, how the samples are grouped into batches included.
        writer: names this process's file (its rank).
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, object], writer: int = 0) -> None:
        self.folder, self.path = folder, folder / f"{writer}.jsonl"
        self._head = json.dumps(fingerprint, sort_keys=True) + "\n"
        self._ready = False
        self.done: dict[int, Tensor] = {}
        self.read()

    def read(self) -> None:
        """Fill ``done`` from all files of the folder, lines that are torn or of another pass left out."""
        self.done = {}
        for path in sorted(self.folder.glob("*.jsonl")):
            head, *lines = path.read_bytes().split(b"\n")
            if head.decode("utf-8", "replace") + "\n" == self._head:
                self.done.update(known for line in lines if (known := _parsed(line)) is not None)

    def add(self, number: int, logps_C: Tensor) -> None:
        """Keep the scores (float32, one or two per cell) of batch ``number``: on disk when this returns.

        Raises:
            TrifacetError: it cannot be written.
        """
        try:
            if not self._ready:
                self._make_ready()
        except OSError as error:
            raise cannot_write(self.path, error) from None
        append_durably(self.path, _line(number, logps_C))
        self.done[number] = logps_C

    def remove(self) -> None:
        """The pass is finished, and its cache is written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_ready(self) -> None:
        """Let the own file begin with the fingerprint of this pass and end with a whole line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        head = self._head.encode()
        content = self.path.read_bytes() if self.path.is_file() else b""
        if content.startswith(head):
            os.truncate(self.path, content.rfind(b"\n") + 1)  # a kill may have left the last line without its end
        else:
            self.path.write_bytes(head)  # new, or of a pass with other settings
        self._ready = True


def _line(number: int, logps_C: Tensor) -> bytes:
    # JSON's shortest form of a double gives a float32 back exactly
    body = json.dumps([number, logps_C.tolist()])
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def _parsed(line: bytes) -> tuple[int, Tensor] | None:
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body) or not body:
        return None
    number, values = json.loads(body)
    return number, torch.tensor(values, dtype=torch.float32)
