"""Numbers over seeds and samples: intervals hold the truth as often as they say, on made-up data with known effects."""

import numpy as np
import pytest
from scipy.stats import nct, t, ttest_1samp

from trifacet.statistics.measures import Measure, mean_measure, ratio
from trifacet.statistics.over_seeds import Estimate, effect_found, over_seeds, pseudo_values

EFFECT, SAMPLES, TRIES = 0.3, 40, 2500


def tables(seeds, *, crossed, training, sample):
    """TRIES tables of differences, (S, U), whose expectation is EFFECT."""
    rng = np.random.default_rng([7, seeds, crossed, int(100 * training)])
    for _ in range(TRIES):
        shared = rng.exponential(size=SAMPLES) - 1 if crossed else 0.0  # skewed, as scores of texts are
        rest = rng.standard_normal((seeds, SAMPLES))
        spread = sample * (shared + rest) / np.sqrt(2 if crossed else 1)
        yield EFFECT + training * rng.standard_normal((seeds, 1)) + spread


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize(("training", "sample"), [(0.1, 1.0), (0.3, 0.05), (0.0, 1.0)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_ninety_five_in_a_hundred_intervals_hold_the_truth(seeds, crossed, training, sample):
    held = 0
    for table in tables(seeds, crossed=crossed, training=training, sample=sample):
        low, high = over_seeds(table.mean(axis=1).tolist(), list(table), crossed=crossed).interval()
        held += low <= EFFECT <= high
    assert 0.93 <= held / TRIES <= 0.97


def test_seeds_alone_would_be_too_narrow_where_samples_are_shared():
    """What the crossed design is for: the same intervals, but without it."""
    held = 0
    for table in tables(5, crossed=True, training=0.1, sample=1.0):
        low, high = over_seeds(table.mean(axis=1).tolist(), list(table), crossed=False).interval()
        held += low <= EFFECT <= high
    assert held / TRIES < 0.9


def test_samples_of_their_own_give_the_t_test():
    values = [1.0, 2.5, 0.5, 3.0]
    found = over_seeds(values, [np.zeros(3)] * 4, crossed=False)
    test = ttest_1samp(values, 0.7, alternative="greater")
    assert found.p_above(0.7) == pytest.approx(test.pvalue)
    assert found.interval() == pytest.approx(ttest_1samp(values, 0).confidence_interval())
    assert found.p_below(0.7) == pytest.approx(1 - test.pvalue)


def test_the_smallest_effect_is_found_with_its_power():
    for freedom, alpha in ((4, 0.05), (4, 0.05 / 6), (1, 0.05), (30, 0.01)):
        effect = effect_found(freedom, alpha, 0.8)
        critical = t.ppf(1 - alpha / 2, freedom)
        if freedom > 1:  # scipy's tail is no good at 1 degree of freedom and far out
            assert nct.sf(critical, freedom, effect) == pytest.approx(0.8, abs=2e-3)
        rng = np.random.default_rng(3)
        drawn = (effect + rng.standard_normal(40_000)) / np.sqrt(rng.chisquare(freedom, 40_000) / freedom)
        assert (drawn > critical).mean() == pytest.approx(0.8, abs=0.01)


def test_one_seed_is_of_samples_alone():
    samples = np.array([1.0, 2.0, 3.0, 6.0])
    found = over_seeds([3.0], [samples], crossed=False)
    assert (found.over, found.seeds, found.freedom) == ("samples", 1, 3.0)
    assert found.error == pytest.approx(samples.std(ddof=1) / 2)
    assert over_seeds([3.0], [np.array([3.0])], crossed=False).interval() is None


def test_seeds_that_agree_to_the_digit_leave_what_samples_leave_open():
    samples = [np.array([0.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0, 1.0])]
    found = over_seeds([0.5, 0.5], samples, crossed=False)
    assert found.error == pytest.approx(np.sqrt(2 * samples[0].var(ddof=1) / 4) / 2)
    same = over_seeds([0.0, 0.0], [np.zeros(4)] * 2, crossed=False)
    assert (same.interval(), same.p_above(-1.0), same.p_below(0.0), same.smallest_found()) == (
        (0.0, 0.0),
        None,
        None,
        None,
    )


def test_what_is_not_defined_has_no_interval():
    found = over_seeds([1.0, float("nan")], [np.zeros(2)] * 2, crossed=False)
    assert found.interval() is None and found.p_above(0) is None and found.smallest_found() is None
    assert Estimate(1.0, 0.5, 4, 5, "seeds").smallest_found() > 1.0
    with pytest.raises(ValueError, match="nothing"):
        over_seeds([], [], crossed=False)


def test_pseudo_values_of_a_mean_are_its_values_and_of_a_ratio_tell_its_error():
    values = {"a": 1.0, "b": 5.0, "c": 3.0}
    assert pseudo_values(mean_measure("m", values)).tolist() == pytest.approx(list(values.values()))
    rng = np.random.default_rng(5)
    below = rng.integers(1, 9, (400, 300)).astype(float)
    above = rng.binomial(below.astype(int), 0.3).astype(float)
    units = tuple(map(str, range(300)))
    found = [Measure("r", units, np.column_stack([one, two]), ratio) for one, two in zip(above, below, strict=True)]
    told = np.mean([pseudo_values(one).std(ddof=1) / np.sqrt(300) for one in found])
    assert told == pytest.approx(np.std([one.value for one in found]), rel=0.1)
