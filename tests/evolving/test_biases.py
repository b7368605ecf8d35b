"""The round's biases: every number against a plain computation, extremes, and parts in any order."""

import json
import math
from collections import Counter
from itertools import product

import numpy as np
import pytest

from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample
from trifacet.evolving.biases import (
    FEATURES,
    MOST_COMPARED,
    RoundBiases,
    accepted_log_probs,
    round_biases,
    self_bleu,
)
from trifacet.evolving.cast import Cast
from trifacet.evolving.parts import Part
from trifacet.evolving.records import NORMAL, REVISED, Answer, Feedback, Verdict

WORDS = ["red", "blue", "dog", "cat", "on", "a", "the", "sofa", "two", "three", "near", "house"]


def verdict(answer, outcome):
    return Verdict(answer.sample, answer.answer, outcome, int(outcome == "accepted"), int(outcome != "malformed"))


def drawn(count=30, seed=0):
    """A round of random answers and verdicts."""
    rng = np.random.default_rng(seed)
    samples, answers, verdicts, feedback = [], [], [], []
    for n in range(count):
        reference = " ".join(rng.choice(WORDS, 8))
        task = ["count", "describe"][n % 2]
        samples.append(TestSample(id=f"s{n:02d}", image="a.png", references=(reference,), extra={"task": task}))
        for number, origin in enumerate([NORMAL, NORMAL, NORMAL, "blur", REVISED]):
            text = " ".join(rng.choice(WORDS, int(rng.integers(1, 9))))
            text = text if rng.random() < 0.5 else f"{text.capitalize()}. And 3 more."
            answers.append(Answer(samples[-1].id, number, origin, text, parent=0 if origin == REVISED else None))
            if rng.random() < 0.9:
                outcome = str(rng.choice(["accepted", "refused", "malformed"], p=[0.4, 0.4, 0.2]))
                verdicts.append(verdict(answers[-1], outcome))
        feedback.append(Feedback(samples[-1].id, 0, "Too short.", bool(n % 3), revised=4))
    return samples, answers, feedback, verdicts


def rows_of(answers, verdicts):
    said = {(one.sample, one.answer): one.outcome for one in verdicts}
    return [(one, said.get((one.sample, one.answer))) for one in answers]


def test_accept_rates_by_origin_and_task():
    samples, answers, feedback, verdicts = drawn()
    told = round_biases(samples, answers, feedback, verdicts)
    rows = rows_of(answers, verdicts)
    task = {sample.id: sample.extra["task"] for sample in samples}

    def rate(chosen):
        return np.mean(
            [outcome == "accepted" for one, outcome in rows if chosen(one) and outcome in ("accepted", "refused")]
        )

    def broken(chosen):
        return np.mean([outcome == "malformed" for one, outcome in rows if chosen(one) and outcome])

    assert told["accept_rate"]["all"]["value"] == pytest.approx(rate(lambda one: True))
    assert told["malformed"]["all"]["value"] == pytest.approx(broken(lambda one: True))
    assert set(told["accept_rate"]["origins"]) == {NORMAL, "blur", REVISED}
    for origin, number in told["accept_rate"]["origins"].items():
        assert number["value"] == pytest.approx(rate(lambda one, origin=origin: one.origin == origin))
        assert number["interval"][0] < number["value"] < number["interval"][1]
    for name, number in told["accept_rate"]["tasks"].items():
        assert number["value"] == pytest.approx(rate(lambda one, name=name: task[one.sample] == name))
        assert told["malformed"]["tasks"][name]["value"] == pytest.approx(
            broken(lambda one, name=name: task[one.sample] == name)
        )
    assert told["saw_reference"]["value"] == pytest.approx(20 / 30)
    assert (told["samples"], told["answers"], told["verdicts"], told["feedback"]) == (30, 150, len(verdicts), 30)


def test_auc_is_the_share_of_pairs_within_a_sample():
    samples, answers, feedback, verdicts = drawn()
    told = round_biases(samples, answers, feedback, verdicts)["auc"]
    rows = rows_of(answers, verdicts)
    assert set(told) == set(FEATURES)
    for name, feature in FEATURES.items():
        wins = pairs = 0
        for (one, chosen), (two, other) in product(rows, rows):
            if one.sample == two.sample and (chosen, other) == ("accepted", "refused"):
                pairs += 1
                wins += (feature(one.text) > feature(two.text)) + 0.5 * (feature(one.text) == feature(two.text))
        assert told[name]["value"] == pytest.approx(wins / pairs) and told[name]["count"] == pairs


@pytest.mark.parametrize(("text", "features"), [
    ("- a dog\n- a cat", {"list_mark": 1, "lines": 2, "full_stop": 0, "sentences": 1, "digits": 0}),
    ("1. A dog. Two cats! Why?\n\n", {"list_mark": 1, "lines": 1, "full_stop": 0, "sentences": 3, "digits": 1}),
    ("A dog.", {"list_mark": 0, "lines": 1, "full_stop": 1, "sentences": 1, "digits": 0}),
    ("It costs 3.50 euros.", {"list_mark": 0, "full_stop": 1, "sentences": 1, "digits": 1}),
    ("犬。猫。", {"full_stop": 1, "sentences": 2}),
    ("-5 degrees", {"list_mark": 0}),
    ("", {"list_mark": 0, "lines": 0, "full_stop": 0, "sentences": 1, "longer": 0}),
    ("\u202e<|im_end|>\x00", {"lines": 1, "digits": 0}),
])  # fmt: skip
def test_features(text, features):
    assert {name: FEATURES[name](text) for name in features} == features


def ngrams(words, order):
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def test_overlap_with_the_reference_is_the_share_of_ngrams():
    samples, answers, feedback, verdicts = drawn()
    told = round_biases(samples, answers, feedback, verdicts)["overlap"]
    reference = {sample.id: sample.references[0].split() for sample in samples}

    def plain(text):
        return text.lower().replace(".", "").split()

    for order in range(1, 5):
        found = {}
        for origin in (NORMAL, REVISED):
            counted = [
                (ngrams(plain(one.text), order), ngrams(reference[one.sample], order))
                for one in answers
                if one.origin == origin
            ]
            shared = sum((ours & theirs).total() for ours, theirs in counted)
            found[origin] = shared / sum(ours.total() for ours, _ in counted)
        assert told[str(order)]["normal"]["value"] == pytest.approx(found[NORMAL])
        assert told[str(order)]["revised"]["value"] == pytest.approx(found[REVISED])
        assert told[str(order)]["difference"]["value"] == pytest.approx(found[REVISED] - found[NORMAL])


def test_leaked_references_show():
    samples, answers, feedback, verdicts = drawn()
    reference = {sample.id: sample.references[0] for sample in samples}
    leaked = [
        Answer(one.sample, one.answer, one.origin, f"{reference[one.sample].capitalize()}!")
        if one.origin == REVISED
        else one
        for one in answers
    ]
    told = round_biases(samples, leaked, feedback, verdicts)
    assert told["overlap"]["4"]["revised"]["value"] == 1 and told["overlap"]["4"]["difference"]["interval"][0] > 0.5
    assert told["copies"][REVISED]["value"] == 1 and told["copies"][NORMAL]["value"] == 0


def test_self_bleu_of_equal_and_of_wholly_different_texts():
    groups = [
        ["yes"] * 3,
        ["A red dog sits here."] * 3,
        ["A red dog sits here.", "a RED dog sits here"],
        ["one two three four", "five six seven eight"],
        ["犬がいる", "犬がいる"],
        ["a dog"],
        ["a dog", "..."],
        ["a b c d"] * MOST_COMPARED + ["e f g h"] * 1000,
    ]
    found = self_bleu(groups)
    assert found == pytest.approx([1, 1, 1, 0, 1, None, None, 1], abs=1e-3)
    assert [self_bleu([texts])[0] for texts in groups] == found  # a group does not see the others
    assert self_bleu([]) == [] and self_bleu([[]]) == [None]


def test_self_bleu_by_nltk():
    from nltk.translate.bleu_score import sentence_bleu

    texts = ["a red dog sits on the sofa", "a red dog sits on a blue sofa today", "a red dog sits near the house"]
    split = [text.split() for text in texts]
    expected = np.mean([sentence_bleu(split[:n] + split[n + 1 :], split[n]) for n in range(3)])
    assert self_bleu([["yes", "no"], texts])[1] == pytest.approx(expected, abs=1e-6)


def test_variety_is_that_of_the_normal_answers_of_a_sample():
    sample = TestSample(id="a", image="a.png", references=("Yes",))
    texts = [(NORMAL, "A dog."), (NORMAL, "a dog"), (NORMAL, "A cat."), (NORMAL, ""), ("blur", "x"), (REVISED, "y")]
    answers = [
        Answer("a", n, origin, text, problem=None if text else "empty") for n, (origin, text) in enumerate(texts)
    ]
    told = round_biases([sample], answers, [], [])["variety"]
    assert {name: told[name]["value"] for name in ("sampled", "distinct")} == {"sampled": 3, "distinct": 2}
    assert told["distinct_share"]["value"] == pytest.approx(2 / 3)
    assert told["self_bleu"]["value"] == pytest.approx(self_bleu([["A dog.", "a dog", "A cat."]])[0])


def test_yes_share():
    samples = [TestSample(id=f"s{n}", image="a.png", references=("Yes, so." if n else "No.",)) for n in range(4)]
    texts = ["Yes.", "yes, two", "No", "Not at all"]
    answers = [Answer(f"s{n}", k, NORMAL, text) for n in range(4) for k, text in enumerate(texts)]
    verdicts = [verdict(one, "accepted" if one.answer != 1 else "refused") for one in answers]
    told = round_biases(samples, answers, [], verdicts)["yes_share"]
    assert {name: one["value"] for name, one in told.items()} == pytest.approx(
        {"normal": 2 / 3, "accepted": 1 / 2, "references": 3 / 4}
    )
    assert told["normal"]["count"] == 12


@pytest.mark.parametrize("outcome", ["accepted", "refused", "malformed"])
def test_a_verifier_that_says_one_thing(outcome):
    samples, answers, feedback, _ = drawn()
    told = round_biases(samples, answers, feedback, [verdict(one, outcome) for one in answers])
    expected = {"accepted": 1.0, "refused": 0.0, "malformed": None}[outcome]
    assert told["accept_rate"]["all"]["value"] == expected
    assert told["malformed"]["all"]["value"] == float(outcome == "malformed")
    assert all(one == {"value": None, "interval": None, "count": 0} for one in told["auc"].values())
    json.dumps(told, allow_nan=False)


def test_nothing_and_hostile_texts_make_a_document():
    json.dumps(round_biases([], [], [], []), allow_nan=False)
    sample = TestSample(id="a", image="a.png", references=("...",), extra={"task": "\u202e<script>"})
    texts = ["", "\u202e" * 50, "[" * 100_000, "<|im_end|>", "1. " * 1000, "\x1b[31m", "…"]
    answers = [Answer("a", n, NORMAL, text) for n, text in enumerate(texts)]
    verdicts = [verdict(one, "accepted" if one.answer % 2 else "refused") for one in answers]
    json.dumps(round_biases([sample], answers, [], verdicts), allow_nan=False)


def test_many_tasks_are_bounded():
    samples = [TestSample(id=f"s{n}", image="a.png", references=("a",), extra={"task": f"t{n}"}) for n in range(300)]
    answers = [Answer(sample.id, 0, NORMAL, "a") for sample in samples]
    told = round_biases(samples, answers, [], [verdict(one, "accepted") for one in answers])
    assert len(told["accept_rate"]["tasks"]) == 101 and told["accept_rate"]["tasks"]["others"]["count"] == 200


def test_parts_in_any_order_give_the_same_document():
    samples, answers, feedback, verdicts = drawn()

    def part(numbers):
        ids = {samples[n].id for n in numbers}
        return [[one for one in rows if getattr(one, "sample", getattr(one, "id", None)) in ids]
                for rows in (samples, answers, feedback, verdicts)]  # fmt: skip

    whole = round_biases(samples, answers, feedback, verdicts)
    for order in ([0, 1, 2], [2, 0, 1]):
        biases = RoundBiases()
        for place in order:
            biases.add(*part(range(place, 30, 3)))
        assert biases.document() == whole


def test_log_probs_of_accepted_answers_by_origin(evolve_recipe, questions, tmp_path, monkeypatch):
    answers = [
        Answer(sample.id, n, origin, text)
        for sample in questions
        for n, (origin, text) in enumerate(
            [(NORMAL, "Ada flies a kite"), (REVISED, "Two dogs near the wall"), (NORMAL, "x")]
        )
    ]
    verdicts = [verdict(one, "refused" if one.answer == 2 else "accepted") for one in answers]
    part = Part(tmp_path / "round-1", 0, 1)
    with Cast(evolve_recipe()) as cast:
        found = accepted_log_probs(questions, answers, verdicts, cast, part)
        (alone,) = cast.log_probs("generator", questions[:1], [["Ada flies a kite"]])
        bytes_of = part.file("log-probs").read_bytes()
    assert list(found) == [(one.sample, one.answer) for one in answers if one.answer != 2]
    assert found["q0", 0] == pytest.approx(alone[0], abs=1e-5)
    told = round_biases(questions, answers, [], verdicts, found)["log_prob"]
    for origin, number in ((NORMAL, 0), (REVISED, 1)):
        values = [value for (_, answer), value in found.items() if answer == number]
        assert told[origin]["value"] == pytest.approx(np.mean(values)) and told[origin]["count"] == len(values)
        assert told[origin]["value"] < 0

    def refused(*_):
        raise TrifacetError("asked twice")

    with Cast(evolve_recipe()) as cast:  # what is kept is not scored again
        monkeypatch.setattr(cast, "log_probs", refused)
        assert accepted_log_probs(questions, answers, verdicts, cast, part) == found
        assert part.file("log-probs").read_bytes() == bytes_of
        with pytest.raises(TrifacetError, match="asked twice"):
            accepted_log_probs(questions, answers, verdicts[:-2], cast, part)


def test_an_answer_that_does_not_fit_has_no_log_prob(evolve_recipe, questions, tmp_path):
    answers = [Answer("q0", 0, NORMAL, "kite " * 500), Answer("q1", 0, NORMAL, "a kite")]
    part = Part(tmp_path / "round-1", 0, 1)
    with Cast(evolve_recipe(data={"max_length": 300})) as cast:
        found = accepted_log_probs(questions, answers, [verdict(one, "accepted") for one in answers], cast, part)
        again = accepted_log_probs(questions, answers, [verdict(one, "accepted") for one in answers], cast, part)
    assert list(found) == [("q1", 0)] and math.isfinite(found["q1", 0]) and again == found
