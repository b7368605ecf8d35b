"""Looking at a model while it trains: what it writes of a few posts, and a warning when chosen responses sink.

Invariant: looking changes nothing: no random number of the training is drawn, no weight is touched, and the rows in
``samples.jsonl`` are those of the steps that the training kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback, TrainerControl, TrainerState

from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.images import MAX_PIXELS
from trifacet.base.progress import console
from trifacet.data.records import SupervisedSample, TestSample
from trifacet.data.writing import Written
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.reference import score_batches
from trifacet.engine.scoring import Batch, Rows, TrieScorer
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.lettering.settings import COLUMN
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import Blackness
from trifacet.training.bad_rows import usable_posts
from trifacet.training.callbacks import StepTime
from trifacet.training.drift import chosen_drop, looks
from trifacet.training.examples import Collator, Examples, Rejection
from trifacet.training.recipe import Align, Supervised
from trifacet.training.reference import OnlineReference
from trifacet.training.stage import Watch

SAMPLES = "samples.jsonl"  # beside log.jsonl
Reference = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class WatchedPosts:
    """The posts that are described at every look, and the way of asking."""

    watch: Watch
    encoder: SampleEncoder
    posts: Sequence[TestSample]

    def generate(self, model: Any, *, temperature: float, seed: int) -> list[Written]:
        """A text of each post: greedy, or drawn at ``temperature``."""
        watch = self.watch
        settings = Generation(
            beams=1, temperature=temperature, max_new_tokens=watch.max_new_tokens, batch_size=len(self.posts)
        )
        writer = FamilyWriter(model, self.encoder, settings, seed, watch.max_pixels)
        return writer.write(self.posts, watch.source.images)

    def batch(self, texts: Sequence[tuple[TestSample, str]]) -> Batch:
        """The posts with these texts as their responses, for a scorer: one cell each."""
        watch = self.watch
        return responses_batch(self.encoder, watch.source.images, texts, max_pixels=watch.max_pixels, rows=watch.rows)


def as_post(sample: Any) -> TestSample:
    """What is shown of a sample of any kind: pictures, their words, post, request and what the system says."""
    shown = {key: getattr(sample, key) for key in ("id", "image", "more_images", "context", "prompt")}
    asked = {COLUMN: sample.extra[COLUMN]} if COLUMN in sample.extra else {}
    return TestSample(**shown, extra=asked | ({"system": sample.system} if sample.system else {}))


def responses_batch(
    encoder: SampleEncoder,
    images: Path,
    texts: Sequence[tuple[TestSample, str]],
    *,
    max_pixels: int = MAX_PIXELS,
    rows: Rows = "batch",
) -> Batch:
    """Posts with a response each as one batch for a scorer: one cell per post, in their order."""
    samples = [
        SupervisedSample(response=text, **as_post(post).model_dump(exclude={"references"})) for post, text in texts
    ]
    nothing_rejected = Rejection(Blackness())
    examples = Examples(samples, OBJECTIVES["sft"], encoder, images, nothing_rejected, max_pixels=max_pixels)
    # no DataLoader: it would draw its seed from the training's random numbers
    return Collator(examples, rows=rows).seen([examples[index] for index in range(len(examples))])


def watched_posts(watch: Watch, encoder: SampleEncoder) -> WatchedPosts:
    """The posts of ``watch``, asked by ``encoder``."""
    samples = usable_posts(watch.source, watch.count, max_pixels=watch.max_pixels)
    return WatchedPosts(watch, encoder, [as_post(sample) for sample in samples])


def watchers(
    settings: Supervised | Align,
    name: str,
    folder: Path,
    posts: WatchedPosts | None,
    scorer: TrieScorer,
    online: OnlineReference | None,
    step_time: StepTime,
) -> list[TrainerCallback]:
    """The callbacks that a stage's settings ask for."""
    found: list[TrainerCallback] = []
    if isinstance(settings, Align) and settings.warn_chosen_drop is not None:
        found.append(WarnOfDrop(name, settings.warn_chosen_drop))
    if settings.eval_every and posts is not None:
        adapter_off = getattr(scorer.model, "disable_adapter", None)
        reference = online or (OnlineReference(scorer, adapter_off) if adapter_off else None)
        draws = isinstance(settings, Align)
        found.append(
            WatchTexts(name, folder / SAMPLES, settings.eval_every, posts, scorer, reference, step_time, draws=draws)
        )
    return found


class WatchTexts(TrainerCallback):
    """Texts of the watched posts before the first step, every few steps, and after the last.

    For an alignment a second text per post is drawn at temperature 1 and scored by the policy and, where it is at hand,
    by the reference: KL needs texts as the policy draws them. Elsewhere ``fill_reference`` adds the reference's scores.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        every: int,
        posts: WatchedPosts,
        scorer: TrieScorer,
        reference: Reference | None,
        step_time: StepTime,
        *,
        draws: bool,
    ) -> None:
        self.name, self.path, self.every, self.posts, self.draws = name, path, every, posts, draws
        self.scorer, self.reference, self.step_time = scorer, reference, step_time
        self.rows: list[dict[str, Any]] = []
        self.able = True  # on the main process, which has all weights

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.able = state.is_world_process_zero and whole(self.scorer)
        if state.is_world_process_zero and not self.able:
            console.print(f"{self.name}: eval_every is left out, since the weights are spread over processes")
        # of a resumed training: the rows after its checkpoint will come again
        self.rows = [row for row in read_samples_file(self.path) if row["step"] <= state.global_step]
        if state.global_step == 0:
            self.look(0)

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            self.look(state.global_step)

    def look(self, step: int) -> None:
        """Add the rows of ``step``, unless they are there."""
        if not self.able or any(row["step"] == step for row in self.rows):
            return
        began = time.monotonic()
        device = next(self.scorer.parameters()).device
        # as the scorer computes: adapters in float32 over a bfloat16 base do not meet otherwise
        precision = torch.autocast(device.type, torch.bfloat16, enabled=self.scorer.mixed_precision)
        with torch.random.fork_rng(), precision:
            self.rows += self._rows(step, device)
        _write(self.path, self.rows)
        self.step_time.elsewhere += time.monotonic() - began
        now = looks(self.rows)[-1]
        kl = f", KL to the reference {now.divergence.k1:.2f} nats per text" if now.divergence else ""
        console.print(
            f"{self.name}, step {step}: {now.words:.1f} words, repetition {now.repetition:.2f}, "
            f"{now.at_limit:.0%} of {now.texts} texts at the limit{kl}"
        )

    def _rows(self, step: int, device: torch.device) -> list[dict[str, Any]]:
        posts, limit, seed = self.posts, self.posts.watch.max_new_tokens, self.posts.watch.seed
        written = posts.generate(self.scorer.model, temperature=0.0, seed=seed)
        rows = [
            {"step": step, "id": text.id, "text": text.text, "at_limit": text.new_tokens >= limit} for text in written
        ]
        if not self.draws:
            return rows
        drawn = posts.generate(self.scorer.model, temperature=1.0, seed=seed + step)
        for row, text in zip(rows, drawn, strict=True):
            # one that ran into the limit has no end, and a score of it would count one
            whole = bool(text.text) and text.new_tokens < limit
            row |= {"drawn": text.text, "drawn_tokens": 0, "logp": None, "reference_logp": None, "scored": whole}
        _score(posts, rows, "logp", lambda batch: next(score_batches(self.scorer, [batch], device)))
        if self.reference is not None:
            reference = self.reference
            _score(posts, rows, "reference_logp", lambda batch: reference(batch.to(device)).float().cpu())
        return rows


def whole(module: nn.Module) -> bool:
    """Whether this process holds all weights: neither FSDP2's pieces nor ZeRO-3's empty places."""
    return not any(isinstance(weight, DTensor) or not weight.numel() for weight in module.parameters())


def _score(posts: WatchedPosts, rows: Sequence[dict[str, Any]], key: str, scorer: Reference) -> None:
    """Put the log-probs of the drawn texts into ``rows[...][key]``: tokenised anew, the end included."""
    known = {post.id: post for post in posts.posts}
    whole = [row for row in rows if row["scored"] and row["id"] in known]
    if not whole:
        return
    batch = posts.batch([(known[row["id"]], row["drawn"]) for row in whole])
    logps_C = scorer(batch)
    for row, logp, tokens in zip(whole, logps_C.tolist(), batch.lengths_C.tolist(), strict=True):
        row[key], row["drawn_tokens"] = logp, tokens


def fill_reference(posts: WatchedPosts, path: Path, scorer: TrieScorer) -> None:
    """Add the reference's scores of drawn texts where they are not known: the policy has left the memory by then."""
    rows = read_samples_file(path)
    unknown = [row for row in rows if row.get("scored") and row["reference_logp"] is None]
    device = next(scorer.parameters()).device
    for step in sorted({row["step"] for row in unknown}):
        mine = [row for row in unknown if row["step"] == step]
        _score(posts, mine, "reference_logp", lambda batch: next(score_batches(scorer, [batch], device)))
    if unknown:
        _write(path, rows)


def read_samples_file(path: Path) -> list[dict[str, Any]]:
    """The rows of ``samples.jsonl``, none where there is no such file. Raises DataError where it is damaged."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise DataError(f"is not JSON lines ({error})", fix="delete it and run again", file=path) from None


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


class WarnOfDrop(TrainerCallback):
    """Says once on standard error that chosen responses have become much less likely than under the reference."""

    def __init__(self, name: str, limit: float) -> None:
        self.name, self.limit, self.said = name, limit, False

    def on_log(
        self, args: Any, state: TrainerState, control: TrainerControl, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        drop = chosen_drop([{"step": state.global_step, **(logs or {})}], self.limit)
        if drop is not None and not self.said:
            self.said = True
            console.tell(
                ("warning:", "bold yellow"),
                f" {self.name}: at step {drop.step} chosen responses are {-drop.last:.2f} "
                f"nats per token less likely than under the reference (warn_chosen_drop {self.limit:g}): add an anchor "
                "term, lower the learning rate or take fewer steps, and read the texts",
            )
