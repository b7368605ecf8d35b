"""Feedback that names what is wrong with an answer, and the answer written anew from it.

Invariants: a feedback depends on (seed, sample id, answer, draw, round), a revision on the feedback besides; whoever
writes anew sees the picture, the answer and the feedback, and never the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from trifacet.base.journal import Journal
from trifacet.data.records import TestSample
from trifacet.evolving.asked import about, ask_kept, question, reference_of, round_seed
from trifacet.evolving.cast import Cast
from trifacet.evolving.parts import Part
from trifacet.evolving.records import GIVEN, REVISED, Answer, Feedback, as_row
from trifacet.evolving.sampling import marked, problem_of, same_words
from trifacet.evolving.settings import EvolveRecipe


def revise(
    samples: Sequence[TestSample], answers: Sequence[Answer], cast: Cast, recipe: EvolveRecipe, part: Part
) -> tuple[list[Answer], list[Feedback]]:
    """The answers that the reviser writes anew, and what it said of the old ones.

    Of a sample's answers the first ``revision.answers`` without a problem are revised, from each of
    ``revision.feedbacks`` feedback texts; there is none from a text that is empty, cut off or looping, or that the
    same answer got before. The new answers are numbered behind the old ones. Both are written too: feedback to the
    part's file of that name, the answers, old and new, to ``answers``.

    Args:
        samples: of the part.
        answers: theirs, by the generator.
        cast: the roles.
        recipe: how many are revised, and from which round on the feedback step sees the reference.
        part: the part.

    Raises:
        TrifacetError: whatever keeps the reviser from writing; what was written until then is kept.
    """
    of_recipe, writer = recipe.revision, cast.writer("reviser", seed=round_seed(recipe.seed, part.round))
    of_sample: dict[str, list[Answer]] = {sample.id: [] for sample in samples}
    for one in answers:
        of_sample[one.sample].append(one)
    chosen = [
        (sample, one)
        for sample in samples
        for one in [one for one in of_sample[sample.id] if _is_revised(one)][: of_recipe.answers]
    ]
    with_reference = sees_reference(recipe, part.round)
    asked = [_feedback_question(sample, one, cast, with_reference=with_reference) for sample, one in chosen]
    said = ask_kept(writer, asked, cast.images, part.file("feedback"), draws=of_recipe.feedbacks)

    feedback: list[Feedback] = []
    questions: list[tuple[int, TestSample, Answer]] = []  # place in ``feedback``, question, the answer that it is about
    for (sample, one), about_it in zip(chosen, asked, strict=True):
        seen: set[str] = set()
        for draw in range(of_recipe.feedbacks):
            text = said[about_it.id, draw]
            shown = with_reference and reference_of(sample) is not None
            feedback.append(Feedback(sample.id, one.answer, text.text, shown, draw=draw))
            if problem_of(text) is None and same_words(text.text) not in seen:
                seen.add(same_words(text.text))
                asked_anew = _revision_question(sample, one, text.text, draw, cast)
                questions.append((len(feedback) - 1, asked_anew, one))
    texts = ask_kept(writer, [one for _, one, _ in questions], cast.images, part.file("revised"))

    made: dict[str, list[Answer]] = {sample.id: [] for sample in samples}
    for place, asked_anew, old in questions:
        text, before = texts[asked_anew.id, 0], of_sample[old.sample]
        number = max(one.answer for one in before) + 1 + len(made[old.sample])
        made[old.sample].append(Answer(old.sample, number, REVISED, text.text, old.answer, problem_of(text)))
        feedback[place] = replace(feedback[place], revised=number)
    new = {name: list(marked(some, of_sample[name])) for name, some in made.items()}
    Journal(part.file("feedback")).finish(map(as_row, feedback))
    everything = (one for sample in samples for one in [*of_sample[sample.id], *new[sample.id]])
    Journal(part.file("answers")).finish(map(as_row, everything))
    return [one for sample in samples for one in new[sample.id]], feedback


def _is_revised(answer: Answer) -> bool:
    """Whether the generator wrote it, and nothing is wrong with it."""
    return answer.problem is None and answer.origin not in (REVISED, GIVEN)


def sees_reference(recipe: EvolveRecipe, number: int) -> bool:
    """Whether the feedback step of a round is shown the reference, where there is one."""
    first = recipe.revision.reference_from
    return first is not None and number >= first


def feedback_words(sample: TestSample, cast: Cast, recipe: EvolveRecipe) -> Callable[[Answer, bool], tuple[str, str]]:
    """How the reviser is asked for feedback: from an answer, and whether the reference is shown, to the words.

    Returns:
        makes the system part, which may be empty, and the user part.
    """

    def words(answer: Answer, with_reference: bool) -> tuple[str, str]:
        asked = _feedback_question(sample, answer, cast, with_reference=with_reference)
        return asked.system or "", asked.prompt or ""

    return words


def _feedback_question(sample: TestSample, answer: Answer, cast: Cast, *, with_reference: bool) -> TestSample:
    fields = about(sample, cast.request) | {
        "answer": answer.text,
        "reference": reference_of(sample) if with_reference else None,
    }
    return question(sample, f"feedback-{answer.answer}", cast.prompt("feedback", "reviser"), fields)


def _revision_question(sample: TestSample, answer: Answer, feedback: str, draw: int, cast: Cast) -> TestSample:
    fields = about(sample, cast.request) | {"answer": answer.text, "feedback": feedback}
    return question(sample, f"revision-{answer.answer}-{draw}", cast.prompt("revision", "reviser"), fields)
