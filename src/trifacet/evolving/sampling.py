"""The answers of the generator: to the picture as it is, to spoilt ones, and to half an answer without any.

Invariant: an answer depends on (seed, sample id, origin, number, round), its sample and the model alone: not on the
other samples of its part, on the part's size, or on how often a process was stopped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trifacet.base.journal import Journal
from trifacet.data.records import TestSample
from trifacet.data.writing import Writer, Written
from trifacet.evolving.asked import about, ask_kept, question, question_id, reference_of, round_seed
from trifacet.evolving.cast import Cast
from trifacet.evolving.local_models import SharedWriter
from trifacet.evolving.parts import Part
from trifacet.evolving.records import DROPOUT, NORMAL, Answer, as_row
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.spoiling import Turn, turns

EMPTY, CUT_OFF, LOOPING, DUPLICATE, NO_PICTURE = "empty", "cut off", "looping", "duplicate", "no picture"
BEGUN = "begun"  # in a question's extra: how its answer begins
LOOPS, LOOPED = 3, 40  # times that a phrase stands at the end at least, and characters of all of them


def sample_answers(samples: Sequence[TestSample], cast: Cast, recipe: EvolveRecipe, part: Part) -> list[Answer]:
    """The normal and the contrastive answers of a part's samples, in their order and by number.

    Normal answers have the numbers from 0, contrastive ones those behind them, by ``sampling.strategies`` in turn. They
    are written to the part's file ``answers`` too. A text that another answer of the sample has, but for blanks and
    line ends, is its duplicate, the one with the smaller number being none.

    Raises:
        TrifacetError: a picture that cannot be used, or whatever keeps the generator from writing; what was written
            until then is kept.
    """
    of_recipe, writer = recipe.sampling, cast.writer("generator", seed=round_seed(recipe.seed, part.round))
    wanted = turns(of_recipe.strategies, of_recipe.contrastive)
    found: dict[str, list[Answer]] = {sample.id: [] for sample in samples}

    normal = [_asked(sample, NORMAL, cast) for sample in samples] if of_recipe.normal else []
    texts = ask_kept(writer, normal, cast.images, part.file("normal"), draws=of_recipe.normal or 1)
    for sample in samples:
        for number in range(of_recipe.normal):
            text = texts[question_id(sample.id, NORMAL), number]
            found[sample.id].append(Answer(sample.id, number, NORMAL, text.text, problem=problem_of(text)))

    fit = {name: [one for one in marked(answers) if one.problem is None] for name, answers in found.items()}
    spoilt = _to_spoilt(samples, wanted, cast, writer, part)
    continued = _continued(samples, wanted, fit, cast, writer, part)
    for sample in samples:
        for place, turn in enumerate(wanted):
            given = continued if turn.strategy == DROPOUT else spoilt
            found[sample.id].append(replace(given[sample.id, place], answer=of_recipe.normal + place))
    answers = [one for sample in samples for one in marked(found[sample.id])]
    Journal(part.file("answers")).finish(map(as_row, answers))
    return answers


def _to_spoilt(
    samples: Sequence[TestSample], wanted: Sequence[Turn], cast: Cast, writer: Writer, part: Part
) -> dict[tuple[str, int], Answer]:
    """Answers to spoilt pictures by sample and place among the contrastive ones, unnumbered."""
    places = [place for place, turn in enumerate(wanted) if turn.strategy != DROPOUT]
    if not places:
        return {}
    spoiling, questions = cast.spoiling, []
    asked: dict[tuple[str, int], str] = {}
    pictures = spoiling.pictures(samples, [wanted[place] for place in places], part)
    for sample, names in zip(samples, pictures, strict=True):
        beside = spoiling.beside(sample, part) if sample.image is not None else ()
        for place, name in zip(places, names, strict=True):
            if name is not None:
                shown = sample.model_copy(update={"image": name, "more_images": beside})
                origin = spoiling.strategy(wanted[place].strategy).name
                questions.append(_asked(shown, f"{origin}-{wanted[place].version}", cast))
                asked[sample.id, place] = questions[-1].id
    texts = ask_kept(writer, questions, part.pictures, part.file("contrastive"))
    found = {}
    for sample in samples:
        for place in places:
            origin, key = spoiling.strategy(wanted[place].strategy).name, (sample.id, place)
            if key in asked:
                text = texts[asked[key], 0]
                found[key] = Answer(sample.id, 0, origin, text.text, problem=problem_of(text))
            else:
                found[key] = Answer(sample.id, 0, origin, "", problem=NO_PICTURE)
    return found


def _continued(
    samples: Sequence[TestSample],
    wanted: Sequence[Turn],
    fit: Mapping[str, Sequence[Answer]],
    cast: Cast,
    writer: Writer,
    part: Part,
) -> dict[tuple[str, int], Answer]:
    """The first halves of normal answers, continued without the picture: by sample and place, unnumbered."""
    places = [place for place, turn in enumerate(wanted) if turn.strategy == DROPOUT]
    if not places:
        return {}
    questions, begun = [], {}
    for sample in samples:
        for place in places:
            if sample.image is not None and (normal := fit[sample.id]):
                parent = normal[(wanted[place].version - 1) % len(normal)]
                blind = sample.model_copy(update={"image": None, "more_images": ()})
                asked = _asked(blind, f"{DROPOUT}-{wanted[place].version}", cast)
                half = first_half(parent.text)
                questions.append(asked.model_copy(update={"extra": asked.extra | {BEGUN: half}}))
                begun[sample.id, place] = parent, half, asked.id
    texts = ask_kept(_continuing(writer), questions, cast.images, part.file("continued"))
    found = {}
    for sample in samples:
        for place in places:
            if (sample.id, place) not in begun:
                problem = NO_PICTURE if sample.image is None else EMPTY
                found[sample.id, place] = Answer(sample.id, 0, DROPOUT, "", problem=problem)
                continue
            parent, half, name = begun[sample.id, place]
            text = replace(texts[name, 0], text=f"{half}{texts[name, 0].text}".strip())
            found[sample.id, place] = Answer(sample.id, 0, DROPOUT, text.text, parent.answer, problem_of(text))
    return found


def _continuing(writer: Writer) -> Writer:
    """The same writer, whose texts go on from how they are begun."""
    assert isinstance(writer, SharedWriter), "an endpoint is refused before"
    return replace(writer, begun=lambda asked: str(asked.extra[BEGUN]))


def _asked(sample: TestSample, name: str, cast: Cast) -> TestSample:
    """What the generator is asked: the sample's own request and post, or by a prompt."""
    if cast.answer_prompt is None:
        return sample.model_copy(update={"id": question_id(sample.id, name), "references": ()})
    fields = about(sample, cast.request)
    if cast.recipe.sampling.reference:
        fields["reference"] = reference_of(sample)
    return question(sample, name, cast.prompt(cast.answer_prompt, "generator"), fields)


# --- what is wrong with a text --------------------------------------------------------------------------------------


def problem_of(text: Written) -> str | None:
    """Why a text is no candidate: "empty", "looping", "cut off" or what the endpoint said; None where nothing is."""
    if text.problem not in (None, EMPTY, CUT_OFF):
        return text.problem
    if not text.text:
        return EMPTY
    if loops(text.text):
        return LOOPING
    return None if text.ended else CUT_OFF


def loops(text: str) -> bool:
    """Whether a phrase is repeated to the end: ``LOOPS`` times or more, ``LOOPED`` characters together or more.

    Blanks and line ends count alike, and so do capital and small letters. The last of the repetitions need not be
    whole, and the phrase may be a single character.
    """
    backwards = same_words(text).casefold()[::-1]
    borders = [0] * len(backwards)  # of each beginning, the longest that is its end too (Knuth, Morris, Pratt)
    border = 0
    for length in range(2, len(backwards) + 1):
        letter = backwards[length - 1]
        while border and backwards[border] != letter:
            border = borders[border - 1]
        border += backwards[border] == letter
        borders[length - 1] = border
        if length >= LOOPED and length >= LOOPS * (length - border):
            return True
    return False


def same_words(text: str) -> str:
    """The text with single blanks between words, by which duplicates are told."""
    return " ".join(text.split())


def first_half(text: str) -> str:
    """The first half of a text by words, rounded down, as it stands there."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    return text[: ends[len(ends) // 2 - 1]] if len(ends) > 1 else ""


def marked(answers: Sequence[Answer], before: Sequence[Answer] = ()) -> Iterator[Answer]:
    """The answers, those with a text that one of ``before`` or one further ahead has as duplicates."""
    seen = {same_words(one.text) for one in before if one.problem is None}
    for one in answers:
        if one.problem is None and same_words(one.text) in seen:
            yield replace(one, problem=DUPLICATE)
            continue
        if one.problem is None:
            seen.add(same_words(one.text))
        yield one
