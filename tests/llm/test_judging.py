"""Judging pairs in both orders: what counts as a win, and what a summary says of many judgements."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.llm.judging import OUTCOMES, Judgement, judge_pair, parse_choice, summarise_judged
from trifacet.llm.model import Answer, UnparsedError
from trifacet.llm.prompts import load_prompt

CHOICES = ["A", "B", "tie", None]
judgements = st.builds(Judgement, st.tuples(st.sampled_from(CHOICES), st.sampled_from(CHOICES)))


def swapped(judgement):
    """The same answers, had the two texts changed places."""
    return Judgement(judgement.choices[::-1])


@pytest.mark.parametrize(
    ("choices", "outcome"),
    [
        (("A", "B"), "win"),
        (("B", "A"), "lose"),
        (("tie", "tie"), "tie"),
        (("A", "A"), "tie"),  # always what stands first
        (("B", "B"), "tie"),
        (("A", "tie"), "tie"),
        (("tie", "A"), "tie"),
        (("A", None), "unparsed"),
        ((None, "tie"), "unparsed"),
    ],
)
def test_a_win_takes_both_orders(choices, outcome):
    assert Judgement(choices).outcome == outcome


@given(judgements)
def test_swapping_the_texts_swaps_win_and_loss(judgement):
    other = {"win": "lose", "lose": "win"}
    assert swapped(judgement).outcome == other.get(judgement.outcome, judgement.outcome)
    assert swapped(judgement).consistent == judgement.consistent


@searched(40)
@given(st.lists(judgements, min_size=1, max_size=30))
def test_a_summary_adds_up(many):
    summary = summarise_judged(many, draws=500)
    assert sum(summary.counts.values()) == summary.samples == len(many)
    assert sum(summary.shares.values()) == pytest.approx(1)
    for outcome in OUTCOMES:
        low, high = summary.intervals[outcome]
        assert 0 <= low <= high <= 1
        assert summary.shares[outcome] not in (0, 1) or low == high == summary.shares[outcome]


def test_biases_are_seen():
    first_wins = [Judgement(("A", "B"))] * 30
    always_first = [Judgement(("A", "A"))] * 10
    unread = [Judgement((None, "B"))] * 10
    summary = summarise_judged(first_wins + always_first + unread)
    assert summary.counts == {"win": 30, "tie": 10, "lose": 0, "unparsed": 10}
    assert summary.consistency == pytest.approx(30 / 40)  # of those that were read in both orders
    assert summary.first_position == pytest.approx((30 + 20) / (60 + 20 + 10))
    assert summarise_judged(first_wins).first_position == 0.5
    assert summarise_judged([Judgement((None, None))]).consistency is None


def test_the_interval_is_that_of_resampled_judgements():
    import numpy as np
    from scipy.stats import bootstrap

    many = [Judgement(("A", "B"))] * 60 + [Judgement(("B", "A"))] * 25 + [Judgement(("A", "A"))] * 15
    low, high = summarise_judged(many).intervals["win"]
    wins = np.array([judgement.outcome == "win" for judgement in many], dtype=float)
    peer = bootstrap((wins,), np.mean, method="percentile", n_resamples=10_000, rng=0).confidence_interval
    assert (low, high) == pytest.approx((peer.low, peer.high), abs=0.011)  # a share moves in steps of .01
    with pytest.raises(ValueError, match="no judgement"):
        summarise_judged([])


@pytest.mark.parametrize("text", ["A", '{"better": "C"}', '{"better": "a"}', '{"better": "A", "why": "?"}', "[]", ""])
def test_other_answers_are_not_read(text):
    with pytest.raises(UnparsedError):
        parse_choice(text)


def test_both_orders_are_asked_with_the_same_fields():
    class Judge:
        def __init__(self):
            self.asked = []

        async def ask(self, prompt, fields, parse, *, images=(), temperature=0.0, form=None):
            self.asked.append((dict(fields), tuple(images), temperature))
            return Answer(
                parse('{"better": "A"}') if fields["a"] == "x" else None, None if fields["a"] == "x" else "empty", ""
            )

    judge = Judge()
    judgement = asyncio.run(judge_pair(judge, load_prompt("judge"), {"context": "post"}, ["p.png"], "x", "y"))
    assert judgement == Judgement(("A", None), (None, "empty"))
    assert judge.asked == [
        ({"context": "post", "a": "x", "b": "y"}, ("p.png",), 0.0),
        ({"context": "post", "a": "y", "b": "x"}, ("p.png",), 0.0),
    ]
