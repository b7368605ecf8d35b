"""What samples disagree on, which one is shown, and what its confidence is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifacet.describing.confidence import Calibration, calibration_error, fit, reliability
from trifacet.generation.variation import marked, said_by, vary


def parts(texts, **options):
    found = vary(texts, **options)
    return found.place, [(texts[found.place][span.start : span.end], span.said) for span in found.spans]


def test_the_sample_that_agrees_most_is_shown_with_what_others_lack():
    texts = ["Four red balls in a meadow.", "Four red balls in a meadow.", "Two red rings in a meadow.", "Four balls."]
    place, found = parts(texts)
    assert place == 0
    assert found == [("Four red balls in a meadow", 3)]
    assert marked(texts[0], vary(texts).spans, 4).startswith("[Four")


def test_samples_that_say_the_same_have_nothing_marked():
    assert parts(["A dog, on a beach.", "a dog on a beach"]) == (0, [])
    assert parts(["One text."]) == (0, [])
    assert parts(["", ""]) == (0, [])


def test_words_that_are_said_of_other_things_do_not_count_as_agreed():
    texts = ["A red car and a blue bike.", "A blue car and a red bike.", "A red car and a blue bike."]
    assert parts(texts) == (0, [("red", 2), ("blue", 2)])


@pytest.mark.parametrize("turned", ["A street with no dogs.", "A street without dogs."])
def test_what_turns_a_statement_round_is_marked(turned):
    found = vary([turned, "A street with dogs.", "A street with dogs."], among=[0])
    assert found.spans


def test_only_those_that_may_be_shown_are():
    texts = ["A cat.", "A cat.", "A dog."]
    assert vary(texts).place == 0 and vary(texts, [2]).place == 2


def test_the_word_at_a_place_is_said_by_so_many():
    texts = ["Four red balls.", "Two red balls.", "Four blue rings."]
    assert [said_by(texts, 0, texts[0].index(word)) for word in ("Four", "red", "balls")] == [2, 2, 2]
    assert said_by(texts, 0, len(texts[0]) - 1) == 0


@given(st.lists(st.text(alphabet="ab c.", max_size=30), min_size=1, max_size=6))
def test_spans_are_parts_in_order_and_counts_are_of_samples(texts):
    found = vary(texts)
    at = 0
    for span in found.spans:
        assert at <= span.start < span.end <= len(texts[found.place])
        assert 1 <= span.said < len(texts)
        at = span.end
    assert all(0 < share <= 1 for share in found.shares)


def test_a_curve_that_is_fitted_is_calibrated_and_a_wrong_one_is_not():
    rng = np.random.default_rng(3)
    shares = rng.integers(1, 6, 4000) / 5
    right = rng.random(4000) < 0.2 + 0.6 * shares
    curve = fit(shares[:2000].tolist(), right[:2000].tolist())
    sure = [curve.of_share(share) for share in shares[2000:]]
    assert calibration_error(reliability(sure, right[2000:])) < 0.05
    wrong = Calibration(-curve.slope, curve.bias)
    assert calibration_error(reliability([wrong.of_share(one) for one in shares[2000:]], right[2000:])) > 0.2


def test_the_error_is_that_of_its_definition():
    bins = reliability([0.15, 0.15, 0.85, 0.85], [0, 1, 1, 1])
    assert [(one.count, one.right) for one in bins] == [(2, 0.5), (2, 1.0)]
    assert calibration_error(bins) == pytest.approx((2 * 0.35 + 2 * 0.15) / 4)


def test_all_right_and_none_right_are_fitted_too():
    assert fit([0.2, 1.0], [True, True]).of_share(1.0) > 0.9
    assert fit([0.2, 1.0], [False, False]).of_share(1.0) < 0.1
