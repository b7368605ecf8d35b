"""The models of this machine that play roles: each base in memory once, the adapters of the roles switched on it.

Invariant: what a checkpoint writes and scores is what it does when it is loaded alone (``models.sharing``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trifacet.base.errors import TrifacetError, of_sample
from trifacet.base.images import load_image
from trifacet.data.records import TestSample
from trifacet.data.writing import OnWritten, Written
from trifacet.evolving.settings import EvolveRecipe
from trifacet.generation.settings import Generation

if TYPE_CHECKING:
    import torch

    from trifacet.engine.encode import SampleEncoder
    from trifacet.engine.scoring import Encoded, TrieScorer
    from trifacet.generation.writer import FamilyWriter
    from trifacet.models.loading import LoadedModel
    from trifacet.models.sharing import SharedBase


TOO_LONG = "too long"  # what is wrong with the text of a question that leaves no room for one


class LocalModels:
    """Checkpoints of this machine, opened when they are first wanted.

    Args:
        recipe: says how models are held in memory, and how those that it trains are asked.
        trained: checkpoints that it trained; others are asked as is on record beside them, if it is.
    """

    def __init__(self, recipe: EvolveRecipe, trained: Collection[str]) -> None:
        self.recipe, self.trained = recipe, frozenset(trained)
        self._bases: dict[str, SharedBase] = {}
        self._encoders: dict[str, SampleEncoder] = {}

    def close(self) -> None:
        """Let all models go."""
        for base in self._bases.values():
            base.close()
        self._bases.clear()
        self._encoders.clear()

    def base_of(self, checkpoint: str) -> SharedBase:
        """What a checkpoint stands on, which others may stand on too."""
        import torch

        from trifacet.models.adapters import adapter_at, bases_of
        from trifacet.models.sharing import SharedBase

        model = self.recipe.model
        adapter = adapter_at(checkpoint)
        root = bases_of(adapter)[-1] if adapter else checkpoint
        if (key := _same_place(root)) not in self._bases:
            if model.threads:
                torch.set_num_threads(model.threads)
            ours = model.path is not None and key == _same_place(self._root_of_recipe())
            self._bases[key] = SharedBase(
                root,
                dtype=model.dtype,
                device=model.device,
                trust_remote_code=model.trust_remote_code,
                four_bit=model.four_bit and ours,
                image_tiles=model.image_tiles if ours else None,
                image_pixels=model.image_pixels if ours else None,
            )
        return self._bases[key]

    @contextmanager
    def under(self, checkpoint: str) -> Iterator[LoadedModel]:
        """The model of a checkpoint, good within the block, where no other one is asked for."""
        with self.base_of(checkpoint).under(checkpoint) as loaded:
            yield loaded

    def weights(self, checkpoint: str) -> str:
        """What identifies a checkpoint's weights, wherever its folder lies."""
        return self.base_of(checkpoint).weights(checkpoint)

    def encoder(self, checkpoint: str) -> SampleEncoder:
        """What asks the model of a checkpoint.

        Raises:
            TrifacetError: it cannot be loaded.
        """
        from trifacet.models.asking import FILE, WayOfAsking

        if checkpoint not in self._encoders:
            ours = checkpoint == self.recipe.model.path or checkpoint in self.trained
            on_record = not ours and (Path(checkpoint) / FILE).is_file()
            asked = WayOfAsking.read(Path(checkpoint)) if on_record else WayOfAsking.of(self.recipe.data)
            with self.under(checkpoint) as loaded:
                self._encoders[checkpoint] = asked.encoder(loaded.family)
        return self._encoders[checkpoint]

    def log_probs(
        self, checkpoint: str, samples: Sequence[TestSample], texts: Sequence[Sequence[str]], images: Path, *, size: int
    ) -> list[list[float]]:
        """Nats per token of given texts, ``size`` samples at a time; see ``Cast.log_probs``."""
        encoder = self.encoder(checkpoint)
        found: list[list[float]] = [[math.nan] * len(some) for some in texts]
        pad = int(encoder.tokenizer.pad_token_id or 0)
        with self.under(checkpoint) as loaded, _scorer(loaded) as scorer:
            device = next(loaded.model.parameters()).device
            for at in range(0, len(samples), size):
                group = [
                    (number, one)
                    for number in range(at, min(at + size, len(samples)))
                    if texts[number] and (one := self._encoded(encoder, samples[number], texts[number], images))
                ]
                if not group:
                    continue
                scores = iter(self._scores(scorer, [one for _, one in group], pad, device))
                for number, one in group:
                    found[number] = [next(scores) for _ in one.paths]
        return found

    def _scores(self, scorer: TrieScorer, group: Sequence[Encoded], pad: int, device: torch.device) -> list[float]:
        """Nats per token of all texts of a group; where memory does not suffice, of its halves one after the other."""
        from trifacet.engine.continuing import lacks_memory
        from trifacet.engine.reference import score_batches
        from trifacet.engine.scoring import collate

        try:
            batch = collate(group, scorer.family, pad, rows="sample")
            (logps_C,) = score_batches(scorer, [batch], device)
            return list((logps_C / batch.lengths_C).tolist())
        except RuntimeError as error:
            if len(group) == 1 or not lacks_memory(error):
                raise
        half = len(group) // 2
        return [one for part in (group[:half], group[half:]) for one in self._scores(scorer, part, pad, device)]

    def _root_of_recipe(self) -> str:
        from trifacet.models.adapters import adapter_at, bases_of

        path = self.recipe.model.path or ""
        adapter = adapter_at(path)
        return bases_of(adapter)[-1] if adapter else path

    def _encoded(
        self, encoder: SampleEncoder, sample: TestSample, texts: Sequence[str], images: Path
    ) -> Encoded | None:
        """A sample with its texts as answers; None where they do not fit."""
        from trifacet.engine.encode import TooLongError
        from trifacet.engine.scoring import Encoded
        from trifacet.preferences.facets import Cell

        most = self.recipe.data.max_pixels
        try:
            asked = encoder.asked(sample)
            shown = [encoder.family.read(load_image(images, name, max_pixels=most)) for name in sample.pictures]
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None
        try:
            cells = [Cell(response=version) for version in range(len(texts))]
            paths, _ = encoder.paths(asked, [sample.context], texts, shown, [list(range(len(shown)))], cells)
        except TooLongError:
            return None
        return Encoded(tuple(paths), tuple(shown))


@dataclass
class SharedWriter:
    """A checkpoint as a writer: its adapter lies on the base while it writes, and no longer.

    Attributes:
        models: hold it.
        checkpoint: which one.
        settings: how it writes.
        seed: of the sampling.
        begun: how a sample's text begins, which is continued (None: none is begun); see ``FamilyWriter``.
    """

    models: LocalModels
    checkpoint: str
    settings: Generation
    seed: int
    begun: Callable[[TestSample], str] | None = None
    _writer: FamilyWriter | None = field(default=None, init=False, repr=False)

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer`` and ``FamilyWriter``; one that does not fit gets no text, and the problem ``TOO_LONG``."""
        told: dict[tuple[str, int], Written] = {}

        def tell(texts: list[Written]) -> None:
            told.update(((text.id, text.draw), text) for text in texts)
            if on_written and texts:
                on_written(texts)

        def wanted() -> list[tuple[str, int]]:
            return [(post.id, draw) for post in posts for draw in range(draws) if (post.id, draw) not in done]

        with self._opened() as writer:
            try:
                writer.write(posts, images_root, draws=draws, done=done, on_written=tell)
            except TrifacetError:  # which of them do not fit is looked at then alone: it opens all pictures
                long = {post.id for post in posts if self._is_too_long(writer, post, images_root)}
                lost = [key for key in wanted() if key[0] in long and key not in told]
                if not lost:
                    raise
                tell([Written(name, "", 0, 0, draw=draw, ended=False, problem=TOO_LONG) for name, draw in lost])
                writer.write(posts, images_root, draws=draws, done={*done, *told}, on_written=tell)
        return [told[key] for key in wanted()]

    def made_with(self, posts: Sequence[TestSample]) -> dict[str, Any] | None:
        """See ``Writer``."""
        with self._opened() as writer:
            return writer.made_with(posts)

    def _is_too_long(self, writer: FamilyWriter, post: TestSample, images_root: str | Path) -> bool:
        from trifacet.engine.encode import TooLongError

        read, encoder = writer.encoder.family.read, writer.encoder
        try:
            shown = [read(load_image(images_root, name, max_pixels=writer.max_pixels)) for name in post.pictures]
            encoder.prompt_path(
                encoder.asked(post), post.context, shown, reserve=self.settings.max_new_tokens,
                beginning=self.begun(post).strip() if self.begun else "",
            )  # fmt: skip
        except TooLongError:
            return True
        except TrifacetError:  # it is this one that the writer told of, or will
            return False
        return False

    @contextmanager
    def _opened(self) -> Iterator[FamilyWriter]:
        from trifacet.generation.writer import FamilyWriter

        encoder, base = self.models.encoder(self.checkpoint), self.models.base_of(self.checkpoint)
        with base.under(self.checkpoint) as loaded:
            if (
                self._writer is None or self._writer.model is not loaded.model
            ):  # it is another one under its first adapter
                self._writer = FamilyWriter(
                    loaded.model,
                    encoder,
                    self.settings,
                    seed=self.seed,
                    max_pixels=self.models.recipe.data.max_pixels,
                    weights=self.models.weights(self.checkpoint),
                    begun=self.begun,
                    pictures=base.pictures(self.checkpoint),
                )
            yield self._writer


def _same_place(checkpoint: str) -> str:
    """A checkpoint by the whole path of its folder, so that two ways there are one."""
    path = Path(checkpoint)
    return str(path.resolve()) if path.is_dir() else checkpoint


@contextmanager
def _scorer(loaded: LoadedModel) -> Iterator[TrieScorer]:
    """What scores with a model, which is left with the attention that it had: it writes too."""
    from trifacet.engine.family import core
    from trifacet.engine.scoring import TrieScorer

    had = core(loaded.model).config.get_text_config()._attn_implementation
    try:
        yield TrieScorer(loaded.model, loaded.family)
    finally:
        core(loaded.model).set_attn_implementation({"text_config": had})
