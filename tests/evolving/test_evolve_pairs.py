"""Pairs of a sample: never of what nobody judged, never the same twice, balanced and matched in length as asked."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifacet.base.draws import generator
from trifacet.data.records import TestSample
from trifacet.evolving.pairs import CONTAINED, LENGTHS, NO_VERDICT, SAME, pairs_of, plain
from trifacet.evolving.records import DROPOUT, NORMAL, REVISED, Answer, Feedback, Verdict
from trifacet.evolving.settings import Pairs
from trifacet.lettering.settings import COLUMN

SAMPLE = TestSample(
    id="s#1", image="clean.png", more_images=("b.png",), context="The post.", prompt="How many?",
    references=("Two dogs.",), extra={"task": "count", "system": "Be brief."},
)  # fmt: skip


def made(*answers, sample=SAMPLE.id):
    """Answers (text, origin, outcome) and their verdicts; an outcome that starts with "-" is a problem."""
    found, verdicts = [], []
    for number, (text, origin, outcome) in enumerate(answers):
        problem = outcome[1:] if outcome.startswith("-") else None
        found.append(Answer(sample, number, origin, text, problem=problem))
        if problem is None:
            good = int(outcome == "accepted")
            reasons = {"complete": "names  no\ncolour"} if outcome == "refused" else {}
            verdicts.append(Verdict(sample, number, outcome, good, 1, {"complete": good}, reasons))
    return found, verdicts


def paired(answers, verdicts, said=(), asked=None, seed=1, **settings):
    return pairs_of(SAMPLE, answers, said, verdicts, Pairs(**settings), generator(seed, "pairs"), round=2, asked=asked)


def numbers(pairs):
    return [tuple(pair.extra["answers"]) for pair in pairs]


def test_a_row_is_the_clean_picture_with_the_instruction_and_where_it_comes_from():
    answers, verdicts = made(("Two dogs run.", NORMAL, "accepted"), ("Three cats sit.", "blur", "refused"))
    (pair,), _, fate = paired(answers, verdicts)
    assert (pair.image, pair.more_images, pair.context, pair.prompt) == (
        "clean.png", ("b.png",), "The post.", "How many?",
    )  # fmt: skip
    assert (pair.response, pair.rejected_responses) == ("Two dogs run.", ("Three cats sit.",))
    assert pair.extra == {
        "task": "count",
        "system": "Be brief.",
        "sample": "s#1",
        "round": 2,
        "chosen_origin": NORMAL,
        "rejected_origin": "blur",
        "answers": [0, 1],
        "verdicts": ["accepted, 1 of 1", "refused, 0 of 1; complete: names no colour"],
    }
    assert (fate.what, fate.why, fate.pairs) == ("pairs", "", 1)
    assert (fate.answers, fate.accepted) == ({NORMAL: 1, "blur": 1}, {NORMAL: 1})


def test_what_has_no_readable_verdict_is_in_no_pair_and_counted_as_a_class_of_its_own():
    answers, verdicts = made(
        ("Two dogs.", NORMAL, "accepted"), ("{json", NORMAL, "malformed"), ("", NORMAL, "-empty"),
        ("A cat.", NORMAL, "-looping"),
    )  # fmt: skip
    pairs, _, fate = paired(answers, verdicts)
    assert (pairs, fate.what, fate.malformed) == ([], "all accepted", 1)
    _, _, fate = paired(*made(("x y", NORMAL, "malformed"), ("", NORMAL, "-empty")))
    assert (fate.what, fate.why) == ("refused", NO_VERDICT)
    _, _, fate = paired(*made(("", NORMAL, "-empty"), ("", NORMAL, "-empty"), ("A.", NORMAL, "-cut off")))
    assert (fate.what, fate.why) == ("refused", "no answer can be used: empty")
    assert paired([], [])[2].what == "refused"
    assert paired(*made(("A cat.", NORMAL, "refused")))[2].what == "none accepted"


def test_origins_take_turns_on_both_sides():
    good = [
        (f"good {number} {'w' * number}", origin, "accepted") for number, origin in enumerate([NORMAL] * 6 + [REVISED])
    ]
    bad = [
        (f"bad {number} {'v' * number}", origin, "refused")
        for number, origin in enumerate([NORMAL] * 6 + ["blur", DROPOUT])
    ]
    pairs, _, _ = paired(*made(*good, *bad), most=3)
    assert {pair.extra["rejected_origin"] for pair in pairs} == {NORMAL, "blur", DROPOUT}
    assert {pair.extra["chosen_origin"] for pair in pairs} >= {NORMAL, REVISED}
    alone, _, _ = paired(*made(*good, *bad), most=4, balanced=False)
    answers = Counter(itertools.chain.from_iterable(numbers(alone)))
    assert set(answers.values()) == {1}, "no answer serves twice while others wait"


def test_the_nearest_in_length_is_taken_where_that_is_asked():
    answers = made(
        ("Two brown dogs on grass.", NORMAL, "accepted"), ("No.", NORMAL, "refused"),
        ("Six green cats on sand!", NORMAL, "refused"), ("A very long answer " * 20, NORMAL, "refused"),
    )  # fmt: skip
    assert numbers(paired(*answers, most=1)[0]) == [(0, 2)]
    drawn = {numbers(paired(*answers, most=1, length_matched=False, seed=seed)[0])[0] for seed in range(30)}
    assert drawn == {(0, 1), (0, 2), (0, 3)}
    assert numbers(paired(*answers, length_ratio=1.5)[0]) == [(0, 2)]
    far = made(("Two dogs.", NORMAL, "accepted"), ("long " * 30, NORMAL, "refused"))
    pairs, _, fate = paired(*far, length_ratio=2)
    assert (pairs, fate.what, fate.why) == ([], "no pair", LENGTHS)


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ("two dogs", "I see Two  DOGS, and a cat.", CONTAINED),
        ("2", "There are 2 dogs.", CONTAINED),
        ("2", "There are 12 dogs.", None),
        ("no", "Nothing is there.", None),
        ("两只狗。", "草地上有两只狗，还有一只猫。", CONTAINED),
        ("三只狗。", "草地上有两只狗，还有一只猫。", None),
        ("Two dogs.", "two  dogs.", SAME),
        ("Two dogs and a cat.", "Two dogs.", None),
    ],
)
def test_a_rejected_text_that_contains_the_chosen_one_makes_no_pair(chosen, rejected, reason):
    answers = made((chosen, NORMAL, "accepted"), (rejected, NORMAL, "refused"))
    pairs, _, fate = paired(*answers)
    assert (not pairs, fate.why) == (reason is not None, reason or "")
    assert bool(paired(*answers, contained=True)[0]) == (reason != SAME)


TEXTS = st.sampled_from(["a dog", "A  dog", "a dog runs", "two cats", "two cats sit", "x", "yes", "no, two cats"])
OUTCOMES = st.sampled_from(["accepted", "refused", "malformed", "-duplicate", "-cut off"])
ORIGINS = st.sampled_from([NORMAL, REVISED, "blur", DROPOUT])


@given(
    st.lists(st.tuples(TEXTS, ORIGINS, OUTCOMES), max_size=9),
    st.integers(1, 6),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(1, 4),
    st.integers(0, 3),
)
def test_whatever_the_answers_the_rules_hold(answers, most, balanced, matched, contained, ratio, seed):
    settings = {
        "most": most,
        "balanced": balanced,
        "length_matched": matched,
        "contained": contained,
        "length_ratio": ratio,
    }
    found, verdicts = made(*answers)
    pairs, about, fate = paired(found, verdicts, seed=seed, **settings)
    assert (pairs, about, fate) == paired(found, verdicts, seed=seed, **settings), "the same again"
    outcomes = {one.answer: one.outcome for one in verdicts}
    assert len(pairs) <= most
    assert len({pair.id for pair in pairs}) == len(pairs)
    texts = [(plain(pair.response), plain(pair.rejected_responses[0])) for pair in pairs]
    assert len(set(texts)) == len(texts)
    for pair, (chosen, rejected) in zip(pairs, texts, strict=True):
        good, bad = pair.extra["answers"]
        assert (outcomes[good], outcomes[bad]) == ("accepted", "refused")
        assert (found[good].text, found[bad].text) == (pair.response, pair.rejected_responses[0])
        assert chosen != rejected
        lengths = sorted((len(pair.response), len(pair.rejected_responses[0])))
        assert ratio is None or lengths[1] <= ratio * lengths[0]
    kinds = Counter(outcomes[number] for number in outcomes)
    expected = (
        "refused" if not kinds["accepted"] + kinds["refused"]
        else "all accepted" if not kinds["refused"]
        else "none accepted" if not kinds["accepted"]
        else "pairs" if pairs
        else "no pair"
    )  # fmt: skip
    assert fate.what == expected
    assert bool(fate.why) == (fate.what in ("refused", "no pair"))
    assert (sum(fate.answers.values()), sum(fate.accepted.values())) == (len(answers), kinds["accepted"])


# --- feedback ---------------------------------------------------------------------------------------------------


def words_of(answer, saw):
    return "You look for faults.", f"About {answer.text}{' and the reference' if saw else ''}"


def reviewed(*said, verdicts=()):
    """Feedback (answer, draw, text, outcome of its revision) over three answers; revisions are numbered from 3."""
    answers, judged = made(
        ("A dog on grass.", NORMAL, "refused"), ("Two birds.", NORMAL, "refused"), ("A dog on sand.", NORMAL, "refused")
    )
    feedback = []
    for answer, draw, text, outcome in said:
        number = len(answers)
        answers.append(Answer(SAMPLE.id, number, REVISED, f"revised {number}", parent=answer))
        judged += [Verdict(SAMPLE.id, number, outcome, int(outcome == "accepted"), 1)]
        feedback.append(Feedback(SAMPLE.id, answer, text, True, number, draw))
    return answers, judged, feedback


def test_feedback_that_helped_is_preferred_to_feedback_about_the_same_answer():
    answers, verdicts, feedback = reviewed(
        (0, 0, "names no colour", "accepted"), (0, 1, "all is well", "refused"), (1, 0, "too short", "refused")
    )
    _, (row,), fate = paired(answers, verdicts, feedback, words_of)
    assert (row.response, row.rejected_responses) == ("names no colour", ("all is well",))
    assert (row.prompt, row.context, row.extra["system"]) == (
        "About A dog on grass. and the reference", "", "You look for faults.",
    )  # fmt: skip
    assert (row.image, row.extra["revised"], fate.feedback_pairs) == ("clean.png", [3, 4], 1)


def test_else_to_feedback_about_the_answer_that_is_most_like_it():
    answers, verdicts, feedback = reviewed(
        (0, 0, "names no colour", "accepted"), (1, 0, "too short", "refused"), (2, 0, "no breed", "refused")
    )
    _, (row,), _ = paired(answers, verdicts, feedback, words_of)
    assert row.rejected_responses == ("no breed",)


def test_feedback_is_bounded_never_the_same_twice_and_only_of_revisions_with_a_verdict():
    answers, verdicts, feedback = reviewed(
        (0, 0, "a", "accepted"), (0, 1, "b", "accepted"), (1, 0, "c", "accepted"), (1, 1, "A", "refused"),
        (2, 0, "d", "refused"), (2, 1, "e", "malformed"),
    )  # fmt: skip
    feedback.append(Feedback(SAMPLE.id, 2, "never revised", True))
    _, rows, _ = paired(answers, verdicts, feedback, words_of, feedback=2)
    assert len(rows) == 2
    _, rows, _ = paired(answers, verdicts, feedback, words_of, feedback=9)
    assert len({row.id for row in rows}) == len(rows) == 3
    assert all(plain(row.response) != plain(row.rejected_responses[0]) for row in rows)
    assert not {"e", "never revised"} & {text for row in rows for text in (row.response, *row.rejected_responses)}
    assert paired(answers, verdicts, feedback, words_of, feedback=0)[1] == []
    assert paired(answers, verdicts, feedback)[1] == []


def test_many_answers_are_paired_in_time():
    rng = np.random.default_rng(3)
    many = [("w" * int(rng.integers(5, 200)), NORMAL, "accepted" if number % 2 else "refused") for number in range(120)]
    pairs, _, _ = paired(*made(*many), most=15)
    assert len(pairs) == 15


@pytest.mark.parametrize("contained", [True, False])
def test_what_says_the_same_as_any_accepted_answer_is_rejected_in_no_pair(contained):
    """A verifier that takes "Two dogs." and refuses "two dogs" has not found the second wrong."""
    answers = made(
        ("Two dogs.", NORMAL, "accepted"), ("A pair of brown dogs.", REVISED, "accepted"),
        ("two dogs", "blur", "refused"), ("Three cats.", "blur", "refused"),
    )  # fmt: skip
    pairs, _, _ = paired(*answers, contained=contained)
    assert {rejected for _, rejected in numbers(pairs)} == {3}
    (found, verdicts), right = answers, (0, 1, 2)
    pairs, _, fate = paired(
        [found[number] for number in right], [verdicts[number] for number in right], contained=contained
    )
    assert (pairs, fate.what, fate.why) == ([], "no pair", SAME)


def test_a_pair_of_feedback_has_the_words_of_the_picture_that_the_reviser_was_asked_with():
    answers, verdicts, feedback = reviewed((0, 0, "names no colour", "accepted"), (0, 1, "all is well", "refused"))
    read = SAMPLE.model_copy(update={"extra": SAMPLE.extra | {COLUMN: ["OPEN"]}})
    for told, system in ((words_of, "You look for faults."), (lambda answer, saw: ("", "Say."), None)):
        _, (row,), _ = pairs_of(read, answers, feedback, verdicts, Pairs(), generator(1, "pairs"), asked=told)
        assert (row.extra[COLUMN], row.extra["task"], row.system) == (["OPEN"], "count", system)
