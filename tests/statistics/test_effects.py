"""Effect sizes by their definitions, corrections and the sign test against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from trifacet.metrics.coco import Tokenized, coco_measures
from trifacet.metrics.scores import score_texts
from trifacet.metrics.target import Reference
from trifacet.statistics.effects import corrected, effect, sign_test
from trifacet.statistics.measures import mean_measure, share_measure
from trifacet.statistics.significance import permutation_tests

RNG = np.random.default_rng(1)
OURS, THEIRS = RNG.integers(0, 6, 40).astype(float), RNG.integers(0, 5, 40).astype(float)


def means(values, better="higher"):
    return mean_measure("m", {str(place): value for place, value in enumerate(values)}, better=better)


def test_effects_are_those_of_their_definitions():
    found = effect(means(OURS), means(THEIRS))
    apart = OURS - THEIRS
    assert found.d_z == pytest.approx(apart.mean() / apart.std(ddof=1))
    naive = np.sign(OURS[:, None] - THEIRS[None, :]).mean()
    assert found.cliffs_delta == pytest.approx(naive)
    assert (found.wins, found.ties, found.losses) == ((apart > 0).sum(), (apart == 0).sum(), (apart < 0).sum())
    assert found.superiority == pytest.approx((found.wins + found.ties / 2) / 40)


def test_a_win_is_the_better_value():
    higher, lower = effect(means(OURS), means(THEIRS)), effect(means(OURS, "lower"), means(THEIRS, "lower"))
    assert (higher.wins, higher.losses) == (lower.losses, lower.wins)
    assert higher.cliffs_delta == lower.cliffs_delta  # of values, whatever is better
    neither = effect(means(OURS, "neither"), means(THEIRS, "neither"))
    assert neither.wins is neither.ties is neither.losses is neither.superiority is None
    assert neither.d_z == higher.d_z


def test_what_is_no_mean_over_units_has_no_d_z():
    units = [str(place) for place in range(40)]
    one = share_measure("s", units, OURS, THEIRS + 1)
    found = effect(one, share_measure("s", units, THEIRS, OURS + 1))
    assert found.d_z is None
    assert found.units == 40
    assert found.wins is not None


def test_units_without_a_value_do_not_count():
    one = share_measure("s", ["a", "b", "c"], [1, 1, 0], [1, 2, 0])
    other = share_measure("s", ["a", "b", "c"], [0, 1, 1], [1, 2, 1])
    found = effect(one, other)
    assert (found.units, found.wins, found.ties, found.losses) == (2, 1, 1, 0)
    nothing = share_measure("s", ["a"], [0], [0])
    assert effect(nothing, nothing).cliffs_delta is None


def test_a_difference_of_rounding_is_a_tie():
    almost = replace(means([1.0, 1e-308]), sums_UK=np.array([[1.0 + 1e-13, 1.0], [0.0, 1.0]]))
    found = effect(means([1.0, 1e-308]), almost)
    assert (found.wins, found.ties, found.losses, found.cliffs_delta) == (0, 2, 0, 0.0)


def test_texts_without_a_common_4_gram_do_not_differ_in_the_papers_bleu():
    words = [f"a dog {number} runs" for number in range(12)]
    samples = [Reference(str(number), [f"the park {number} is green"]) for number in range(12)]
    first, second = (
        score_texts({str(place): text + end for place, text in enumerate(words)}, samples)
        for end in ("", " over the long green hill")
    )
    for ours, theirs in zip(first.measures, second.measures, strict=True):
        if ours.name in ("bleu_4", "bleu_4_cumulative"):
            assert 0 < ours.value < 1e-70 and ours.value != theirs.value
            found = effect(ours, theirs)
            assert (found.wins, found.ties, found.losses, found.d_z, found.cliffs_delta) == (0, 12, 0, None, 0)
            assert permutation_tests([(ours, theirs)], draws=5000, seed=1)[0].p == 1


def test_captions_without_a_right_4_gram_tie_in_bleu_4():
    """What guards against division leave of BLEU differs from caption to caption and says nothing."""
    references = [["a", "red", "disc", "on", "blue"], ["two", "dogs", "in", "the", "snow"]]
    ours = [["a", "red", "disc", "is", "blue"], ["two", "dogs", "in", "the", "sun"]]
    theirs = [["disc", "a", "on", "red", "is"], ["snow", "in", "two", "the", "dogs"]]
    one, other = (
        coco_measures(Tokenized(("a", "b"), texts, [[text] for text in references])) for texts in (ours, theirs)
    )
    assert (one[3].of_units() > other[3].of_units()).all()  # as the toolkit has them
    found = effect(one[3], other[3])
    assert (found.wins, found.ties, found.losses) == (1, 1, 0)  # only the second of ours has a 4-gram
    assert effect(one[2], other[2]).wins == 2


def test_captions_too_short_for_a_4_gram_tie_in_bleu_4():
    reference = [["a", "red", "dog", "runs", "in", "the", "park", "today"]]
    short, long = (
        coco_measures(Tokenized(("a", "b"), [words, ["a", "dog"]], [reference] * 2))
        for words in (["a", "red", "dog"], ["a", "red", "dog", "sits"])
    )
    assert short[3].of_units()[0] > 100 * long[3].of_units()[0] > 0  # as the toolkit has them
    assert (effect(short[3], long[3]).ties, effect(short[3], long[3]).cliffs_delta) == (2, 0)
    assert permutation_tests([(short[3], long[3])], draws=100, seed=1)[0].p == 1


@pytest.mark.parametrize("values", [[0.01, 0.04, 0.03, 0.2], [0.5], [0.05, 0.05, 0.05], list(RNG.uniform(size=12))])
def test_corrections(values):
    assert corrected(values, "bh") == pytest.approx(stats.false_discovery_control(values))
    assert corrected(values, "none") == values
    ordered = sorted(values)
    steps = np.maximum.accumulate([min(1, (len(values) - rank) * p) for rank, p in enumerate(ordered)])
    assert corrected(values, "holm") == pytest.approx([steps[ordered.index(p)] for p in values])


def test_what_was_not_tested_is_not_in_the_family():
    assert corrected([0.02, None, 0.03], "holm") == pytest.approx([0.04, None, 0.04])
    assert corrected([None, 0.02, 0.03], "bh") == pytest.approx([None, 0.03, 0.03])
    assert corrected([], "holm") == []


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 0), (0, 6), (5, 5), (7, 12), (700, 600), (900, 2100)])
def test_the_sign_test_is_the_binomial_one(wins, losses):
    peer = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert sign_test(wins, losses) == pytest.approx(peer, rel=1e-6, abs=1e-300)
