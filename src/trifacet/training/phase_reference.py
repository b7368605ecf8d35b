"""The model as one phase of a curriculum left it, as the reference of the next.

Invariant: a phase's reference is the one whose digest its checkpoints name, so that a training that goes on has the one
that it had. Cached scores are made at the border by the policy itself; for an online reference its weights are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from trifacet.base.digests import text_digest
from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing
from trifacet.engine.reference import load_reference, save_reference
from trifacet.engine.scoring import TrieScorer
from trifacet.models.loading import weights_fingerprint
from trifacet.training import ranks
from trifacet.training.course import Course
from trifacet.training.examples import Collator, Examples
from trifacet.training.reference import OnlineReference, ReferenceParts, reference_fingerprint, score_in_batches
from trifacet.training.stage import Stage

WEIGHTS = "previous.safetensors"  # in a stage's folder while it trains with an online reference


class PhaseReference:
    """Makes the policy's weights at a phase's first step that phase's reference, from the second phase on."""

    def __init__(self, stage: Stage, examples: Examples, collator: Collator, course: Course, *, online: bool) -> None:
        self.stage, self.examples, self.collator, self.course = stage, examples, collator, course
        self.online = online
        self._at = 0

    def begin(self, scorer: TrieScorer, phase: int, digest: str | None) -> tuple[str, OnlineReference | None] | None:
        """Have the reference of ``phase`` ready; None where it is.

        Args:
            scorer: the policy.
            phase: from 0.
            digest: of the weights of a reference that was made before a stop; None: the policy's are to be it.

        Returns:
            its digest and, where it scores in each step, what does so; cached scores are the collator's from now on.

        Raises:
            TrifacetError: what was kept of the reference is gone or damaged; a score is not finite; a full disk.
        """
        if phase == self._at:
            return None
        weights = digest or ranks.first_does(lambda: weights_fingerprint(scorer))
        online = None
        if self.online:
            online = self._kept_weights(scorer, weights, fresh=digest is None)
        else:
            self._scores(scorer, phase, weights, fresh=digest is None)
        self._at = phase
        return weights, online

    def _scores(self, scorer: TrieScorer, phase: int, weights: str, *, fresh: bool) -> None:
        stage, examples = self.stage, self.examples
        members = self.course.phases[phase].members
        path = stage.run / "reference" / f"{stage.name}-phase-{phase + 1}.safetensors"

        def made_for() -> dict[str, str]:
            dtype = stage.scoring.model.dtype
            found = reference_fingerprint(examples, scorer, dtype, weights, stage.files)
            return {**found, "phase": text_digest(str(members))}

        fingerprint = ranks.first_does(made_for)

        def known() -> list[Tensor] | None:
            try:
                return load_reference(path, fingerprint) if path.exists() or not fresh else None
            except TrifacetError as error:
                if fresh:  # of a training that was stopped before its first checkpoint of this phase
                    return None
                raise self._lost(path, str(error)) from None

        scores = ranks.first_does(known)
        if scores is None:
            size = str(stage.settings.batch_size)
            parts = ReferenceParts(path.with_suffix(".parts"), {**fingerprint, "batch size": size}, ranks.rank())
            with torch.random.fork_rng():  # the loader draws a number
                found = score_in_batches(stage, examples, scorer, self.course.kept_batches(phase), parts)
            made = scores = [found[index] for index in members]
            ranks.first_does(lambda: save_reference(path, made, fingerprint))
            ranks.first_does(parts.remove)
        every = self.collator.reference or [torch.zeros(0)] * len(examples)
        of_phase = dict(zip(members, scores, strict=True))
        self.collator.reference = [of_phase.get(index, every[index]) for index in range(len(examples))]

    def _kept_weights(self, scorer: TrieScorer, weights: str, *, fresh: bool) -> OnlineReference:
        path = self.stage.folder / WEIGHTS
        trained = {name: weight for name, weight in scorer.named_parameters() if weight.requires_grad}
        if fresh:
            kept = {name: weight.detach().clone().contiguous() for name, weight in trained.items()}

            def save() -> None:
                with replacing(path) as temporary:
                    try:
                        save_file(kept, temporary, metadata={"weights": weights})
                    except SafetensorError as error:
                        raise OSError(str(error)) from None

            ranks.first_does(save)
        else:
            try:
                with safe_open(path, framework="pt") as file:
                    same = (file.metadata() or {}).get("weights") == weights
                kept = load_file(path) if same else {}
            except (OSError, SafetensorError) as error:
                raise self._lost(path, str(error)) from None
            if kept.keys() != trained.keys():
                raise self._lost(path, "it is of other weights")
            kept = {name: kept[name].to(weight.device) for name, weight in trained.items()}

        def swap() -> None:
            for name, weight in trained.items():
                weight.data, kept[name] = kept[name], weight.data

        @contextmanager
        def as_before() -> Iterator[None]:
            swap()
            try:
                yield
            finally:
                swap()

        return OnlineReference(scorer, as_before)

    def _lost(self, path: Path, why: str) -> TrifacetError:
        return TrifacetError(
            f"{path}, which keeps the reference of a phase that is half trained, cannot be used ({why}); put it back, "
            f"or delete {self.stage.folder} to train this stage anew"
        )
