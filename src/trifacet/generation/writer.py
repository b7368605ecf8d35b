"""A family model of this machine as a writer of many texts at a time.

Invariant: what a sample gets depends on the sample, the weights, the settings and, where it is drawn, on (seed, id,
draw): not on what else is written, before or beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.digests import json_digest
from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError, of_sample
from trifacet.base.images import MAX_PIXELS, load_image
from trifacet.base.progress import console
from trifacet.data.records import TestSample
from trifacet.data.writing import OnWritten, Written, require_unique_ids
from trifacet.engine.continuing import Answer, Decoding, Question, grown, lacks_memory
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.engine.growing import Pictures, Prompt
from trifacet.generation.filtering import DRAWS, Filter, first_passing
from trifacet.generation.settings import Generation, data_digest
from trifacet.models.decoding import decoding
from trifacet.models.loading import weights_fingerprint

DRAWING = 2  # the definition of drawing: 1 drew a batch together
KEPT_WHILE_WRITING = 2**25  # bytes of pictures' features, for those whose questions fill more than one row
TAIL = 16  # tokens of a prompt behind which a continued text is decoded
SeenAs = Callable[[TestSample, tuple[ImageInput, ...]], tuple[ImageInput, ...]]


Groups = tuple[int, int, Iterator[list[Question]]]  # how many, the most questions of one, and those of each


class _Asked(NamedTuple):
    """A sample whose prompt has so many tokens, those of the images too, and lost so many of its post.

    ``tail`` are the last tokens of a prompt that ends with the beginning of the answer.
    """

    sample: TestSample
    tokens: int
    cut_tokens: int
    tail: list[int]


@dataclass
class _Room:
    """For how many groups at a time memory suffices; None: for all that is known."""

    rows: int | None = None


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
        begun: the beginning of a sample's text, which is continued; "" begins it anew. What is written is the rest
            alone, and where a blank belongs between the two it begins with it.
        pictures: what is kept of pictures from one call to the next, and counts how often each was encoded; only for
            weights that stay as they are (None: nothing is kept).
    """

    model: Any
    encoder: SampleEncoder
    settings: Generation
    seed: int = 17
    max_pixels: int = MAX_PIXELS
    seen_as: SeenAs = as_it_is
    weights: str | None = None
    begun: Callable[[TestSample], str] | None = None
    pictures: Pictures | None = None
    _room: _Room = field(default_factory=_Room, init=False, repr=False, compare=False)

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer``. Raises TrifacetError for a request that does not fit, or has too little memory alone.

        Where memory does not suffice for a batch half as many are written at a time from then on, and a line says so.
        """
        require_unique_ids(posts)
        wanted = {post.id: [draw for draw in range(draws) if (post.id, draw) not in done] for post in posts}
        if not any(wanted.values()):
            return []
        how, level, pictures = self._how(), self.settings.filter, self.pictures or Pictures(KEPT_WHILE_WRITING)
        each = DRAWS if level and how.temperature else 1  # candidates of a draw: the first that passes is taken
        asked: dict[str, _Asked] = {}
        candidates: dict[tuple[str, int], dict[int, Written]] = {}
        texts: dict[tuple[str, int], Written] = {}
        new: list[Written] = []

        def grouped(rows: int) -> Groups:
            there = texts.keys() | {(text.id, text.draw) for text in new}
            missing = {name: [draw for draw in wanted[name] if (name, draw) not in there] for name in wanted}
            groups = self._groups([post for post in posts if missing[post.id]], rows)

            def questions(group: list[TestSample]) -> list[Question]:
                images = self._images(group[0], images_root)
                return [self._question(post, images, missing[post.id], each, asked) for post in group]

            return len(groups), max(map(len, groups)), map(questions, groups)

        def hand_on() -> None:
            nonlocal new
            ready, new = new, []
            texts.update(((text.id, text.draw), text) for text in ready)
            if on_written and ready:
                on_written(ready)

        was_training = self.model.training
        self.model.eval()
        try:
            for answer in self._answers(grouped, how, pictures, candidates.clear):
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
        sampling: dict[str, Any] = {"seed": self.seed, "drawing": DRAWING} if settings.temperature > 0 else {}
        if sampling and settings.top_p < 1:
            sampling["top_p"] = settings.top_p
        chosen: dict[str, str] = {"filter": settings.filter} if settings.filter else {}
        if self.begun is not None:
            chosen["begun"] = json_digest([self.begun(post) for post in posts])
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
            top_p=settings.top_p,
            beams=settings.beams,
            candidates=settings.beams if settings.filter and not settings.temperature else 1,
        )

    def _answers(
        self,
        grouped: Callable[[int], Groups],
        how: Decoding,
        pictures: Pictures,
        begin_anew: Callable[[], object],
    ) -> Iterator[Answer]:
        """The answers, of so many groups at a time, or half as many each time that memory does not suffice."""
        rows = self._room.rows or self.settings.batch_size
        while True:
            count, most, groups = grouped(rows)
            at_a_time = min(rows, count)
            try:
                yield from grown(self.model, self.encoder.family, groups, how, rows=at_a_time, pictures=pictures)
                return
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
            # here the failed batch is let go: it hung on the error
            if (rows := max(at_a_time, most)) == 1:  # questions about one picture are divided as pictures are
                raise TrifacetError(
                    "no memory left to write about one picture at a time; write fewer texts of each or shorter ones, "
                    "allow fewer pixels (data.max_pixels), or take a smaller model or type (--dtype bfloat16)"
                )
            if self._room.rows is None:
                of_what = "pictures" if at_a_time >= most else "questions of a picture"
                console.print(
                    f"note: no memory left to write about {rows} {of_what} at a time (batch_size): going on with half "
                    "as many, or as few as fit; the texts are the same",
                    soft_wrap=True,
                )
            self._room.rows = rows = rows // 2
            begin_anew()

    def _groups(self, posts: Sequence[TestSample], size: int) -> list[list[TestSample]]:
        """Posts that show the same pictures, ``size`` of them at most; others alone."""
        groups: dict[Any, list[TestSample]] = {}
        for post in longest_first(self.encoder, posts):
            same = post.pictures if post.pictures and self.seen_as is as_it_is else post.id
            groups.setdefault(same, []).append(post)
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
            beginning = self.begun(sample).strip() if self.begun else ""
            path, cut = self.encoder.prompt_path(
                self.encoder.asked(sample), sample.context, images, reserve=self.settings.max_new_tokens,
                beginning=beginning,
            )  # fmt: skip
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None
        tail = path.tokens_L[-TAIL:].tolist() if beginning else []
        asked[sample.id] = _Asked(sample, len(path.tokens_L), cut, tail)
        draws = {
            draw * each + place: generator("text", self.seed, sample.id, draw, place)
            for draw in wanted
            for place in range(each)
        }
        return Question(sample.id, Prompt(path, images), draws)

    def _written(self, asked: _Asked, answer: Answer) -> Written:
        def decoded(tokens: list[int]) -> str:
            return self.encoder.tokenizer.decode(tokens, skip_special_tokens=True)

        before, whole = (decoded([*asked.tail, *tokens]) for tokens in ([], answer.tokens))
        follows = asked.tail and whole.startswith(before)  # else the tokenizer tidies up across the border
        text = whole[len(before) :].rstrip() if follows else decoded(answer.tokens).strip()
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
