"""A family model of this machine as a writer of many texts at a time.

Invariant: what a sample gets depends on the sample, the weights, the settings and, where it is drawn, on (seed, id,
draw): not on what else is written, before or beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError, of_sample
from trifacet.base.images import MAX_PIXELS, load_image
from trifacet.data.records import TestSample
from trifacet.data.writing import OnWritten, Written, require_unique_ids
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.engine.growing import Prompt
from trifacet.generation.filtering import DRAWS, Filter, first_passing
from trifacet.generation.growing import Answer, Decoding, Question, grown
from trifacet.generation.settings import Generation, data_digest
from trifacet.models.decoding import decoding
from trifacet.models.loading import weights_fingerprint

DRAWING = 2  # the definition of drawing: 1 drew a batch together
SeenAs = Callable[[TestSample, tuple[ImageInput, ...]], tuple[ImageInput, ...]]


class _Asked(NamedTuple):
    """A sample whose prompt has so many tokens, those of the images too, and lost so many of its post."""

    sample: TestSample
    tokens: int
    cut_tokens: int


def as_it_is(sample: TestSample, images: tuple[ImageInput, ...]) -> tuple[ImageInput, ...]:
    """A sample's images themselves."""
    return images


@dataclass(frozen=True)
class FamilyWriter:
    """A model of a family, which writes in batches; it is left in the mode (training or not) in which it came.

    Attributes:
        model: the model.
        encoder: renders request and post; a post is cut so that ``settings.max_new_tokens`` fit after the prompt.
        settings: beams, temperature (0: no sampling), longest text, posts per batch, filter; their limit is the
            caller's business.
        seed: of the sampling; with temperature 0 nothing is drawn.
        max_pixels: largest image.
        seen_as: what the model is shown instead of a sample's images.
        weights: what identifies the weights (``models.loading.weights_fingerprint``), where it is known.
    """

    model: Any
    encoder: SampleEncoder
    settings: Generation
    seed: int = 17
    max_pixels: int = MAX_PIXELS
    seen_as: SeenAs = as_it_is
    weights: str | None = None

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer``. Raises TrifacetError for a request that does not fit."""
        require_unique_ids(posts)
        wanted = {post.id: [draw for draw in range(draws) if (post.id, draw) not in done] for post in posts}
        if not any(wanted.values()):
            return []
        how, level = self._how(), self.settings.filter
        each = DRAWS if level and how.temperature else 1  # candidates of a draw: the first that passes is taken
        asked: dict[str, _Asked] = {}
        candidates: dict[tuple[str, int], dict[int, Written]] = {}
        texts: dict[tuple[str, int], Written] = {}
        new: list[Written] = []

        def groups() -> Iterator[list[Question]]:
            for group in self._groups([post for post in posts if wanted[post.id]]):
                images = self._images(group[0], images_root)
                yield [self._question(post, images, wanted[post.id], each, asked) for post in group]

        def hand_on() -> None:
            nonlocal new
            ready, new = new, []
            texts.update(((text.id, text.draw), text) for text in ready)
            if on_written and ready:
                on_written(ready)

        was_training = self.model.training
        self.model.eval()
        try:
            for answer in grown(self.model, self.encoder.family, groups(), how, rows=self.settings.batch_size):
                draw, place = divmod(answer.draw, each) if how.temperature else (0, answer.draw)
                of_draw = candidates.setdefault((answer.key, draw), {})
                of_draw[place] = self._written(asked[answer.key], answer)
                if len(of_draw) < max(each, how.candidates):
                    continue
                written = [of_draw[place] for place in sorted(candidates.pop((answer.key, draw)))]
                text = written[0] if level is None else _passing(written, asked[answer.key].sample.context, level)
                same = [draw] if how.temperature else wanted[answer.key]  # not drawn, all are alike
                new += [replace(text, draw=number) for number in same]
                if len(new) >= self.settings.batch_size:
                    hand_on()
        finally:
            self.model.train(was_training)
            hand_on()
        every = ((post.id, draw) for post in posts for draw in range(draws))
        return [texts[key] for key in every if key in texts]

    def made_with(self, posts: Sequence[TestSample]) -> dict[str, Any]:
        """See ``Writer``."""
        assert self.seen_as is as_it_is, "what is shown instead has no name that could be written down"
        settings = self.settings
        sampling = {"seed": self.seed, "drawing": DRAWING} if settings.temperature > 0 else {}
        chosen: dict[str, str] = {"filter": settings.filter} if settings.filter else {}
        if self.encoder.quoting is not None:
            chosen["words"] = self.encoder.words_digest(posts)
        return {
            "weights": self.weights or weights_fingerprint(self.model),
            "dtype": str(self.model.dtype),
            "data": data_digest(posts),
            "samples": len(posts),
            "prompt": self.encoder.prompt,
            "context_label": self.encoder.context_label,
            "max_length": self.encoder.max_length,
            "beams": settings.beams,
            "temperature": settings.temperature,
            "max_new_tokens": settings.max_new_tokens,
            **sampling,
            **chosen,
        }

    def _how(self) -> Decoding:
        settings = self.settings
        config = decoding(
            self.model,
            self.encoder.tokenizer,
            temperature=settings.temperature,
            longest=settings.max_new_tokens,
            ends=[self.encoder.end_id],
            reserved=self.encoder.family.reserved_ids,
        )
        return Decoding(
            longest=settings.max_new_tokens,
            ends=frozenset(config.eos_token_id),
            suppressed=tuple(config.suppress_tokens or ()),
            temperature=settings.temperature,
            beams=settings.beams,
            candidates=settings.beams if settings.filter and not settings.temperature else 1,
        )

    def _groups(self, posts: Sequence[TestSample]) -> list[list[TestSample]]:
        """Posts that show the same pictures, a batch of them at most; others alone."""
        groups: dict[Any, list[TestSample]] = {}
        for post in longest_first(self.encoder, posts):
            same = post.pictures if post.pictures and self.seen_as is as_it_is else post.id
            groups.setdefault(same, []).append(post)
        size = self.settings.batch_size
        return [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]

    def _images(self, sample: TestSample, images_root: str | Path) -> tuple[ImageInput, ...]:
        try:
            pictures = (load_image(images_root, name, max_pixels=self.max_pixels) for name in sample.pictures)
            return self.seen_as(sample, tuple(self.encoder.family.read(picture) for picture in pictures))
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None

    def _question(
        self,
        sample: TestSample,
        images: tuple[ImageInput, ...],
        wanted: Sequence[int],
        each: int,
        asked: dict[str, _Asked],
    ) -> Question:
        """A sample's question, which is noted in ``asked``."""
        try:
            path, cut = self.encoder.prompt_path(
                self.encoder.asked(sample), sample.context, images, reserve=self.settings.max_new_tokens
            )
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None
        asked[sample.id] = _Asked(sample, len(path.tokens_L), cut)
        draws = {
            draw * each + place: generator("text", self.seed, sample.id, draw, place)
            for draw in wanted
            for place in range(each)
        }
        return Question(sample.id, Prompt(path, images), draws)

    def _written(self, asked: _Asked, answer: Answer) -> Written:
        text = self.encoder.tokenizer.decode(answer.tokens, skip_special_tokens=True).strip()
        return Written(asked.sample.id, text, asked.tokens, len(answer.tokens), asked.cut_tokens, ended=answer.ended)


def longest_first(encoder: SampleEncoder, samples: Sequence[TestSample]) -> list[TestSample]:
    """The longest first, so that memory that does not suffice shows at once, and those of like length are together.

    Images take most of the tokens, so samples with more of them count as longer.
    """
    if not samples:
        return []
    shown = [len(sample.pictures) for sample in samples]
    rendered = encoder.token_ids(
        [
            encoder.rendered(encoder.asked(sample), sample.context, images=n)
            for sample, n in zip(samples, shown, strict=True)
        ]
    )
    order = sorted(range(len(samples)), key=lambda index: (-shown[index], -len(rendered[index]), index))
    return [samples[index] for index in order]


def _passing(answers: Sequence[Written], context: str, level: Filter) -> Written:
    """The best answer that passes the filter; else none, with the best one's tokens counted."""
    place, broken = first_passing([answer.text for answer in answers], context, level)
    return replace(answers[0], text="", filtered=broken) if place is None else answers[place]
