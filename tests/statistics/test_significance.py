"""Intervals and tests against scipy, against naive computation, and on simulated data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.statistics import significance
from trifacet.statistics.measures import Measure, mean_measure, ratio, share_measure
from trifacet.statistics.significance import bca_intervals, interval, jackknifed, permutation_tests, resampled


def means(values, name="m"):
    return mean_measure(name, {f"s{place:04d}": float(value) for place, value in enumerate(values)})


def shares(numerators, denominators):
    return share_measure("share", [f"s{place:04d}" for place in range(len(numerators))], numerators, denominators)


def span(measure, draws=4000, level=0.95, bca=True, seed=3):
    (drawn,) = resampled([measure], draws=draws, seed=seed)
    return interval(measure.value, drawn, level, jackknifed(measure) if bca else None)


@pytest.mark.parametrize("units", [2, 7, 60, 30_000])
def test_sets_are_those_drawn_one_by_one(units):
    values = np.random.default_rng(9).normal(size=units)
    rng = np.random.default_rng([3, 0, units])
    naive = [values[rng.integers(0, units, units)].mean() for _ in range(40)]
    (drawn,) = resampled([means(values)], draws=40, seed=3)
    assert drawn == pytest.approx(naive, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("method", ["BCa", "percentile"])
def test_an_interval_is_scipys(method):
    values = np.random.default_rng(1).exponential(size=50) ** 1.5  # skewed, so that the two methods differ
    peer = stats.bootstrap((values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(2))
    width = peer.confidence_interval.high - peer.confidence_interval.low
    ours = span(means(values), draws=20_000, bca=method == "BCa")
    assert ours == pytest.approx(tuple(peer.confidence_interval), abs=0.03 * width)
    other = span(means(values), draws=20_000, bca=method != "BCa")
    assert abs(other[1] - ours[1]) > 0.03 * width  # the tolerance would tell them apart


@pytest.mark.parametrize("scale", [1e-300, 1e-153, 1e100])
def test_an_interval_grows_with_its_values_however_small_they_are(scale):
    """NLTK leaves 1e-307 to 1e-153 of the BLEU of texts without a common 4-gram, whose powers vanish."""
    values = np.random.default_rng(5).exponential(size=40)
    assert span(means(scale * values)) == pytest.approx([scale * end for end in span(means(values))], rel=1e-9)


def test_an_interval_of_a_ratio_of_sums_is_scipys():
    rng = np.random.default_rng(4)
    top, bottom = rng.poisson(3, 60), rng.poisson(8, 60) + 1

    def statistic(above, below, axis=-1):
        return 100 * above.sum(axis) / below.sum(axis)

    peer = stats.bootstrap((top, bottom), statistic, paired=True, n_resamples=20_000, rng=np.random.default_rng(2))
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert span(shares(top, bottom), draws=20_000) == pytest.approx(tuple(peer.confidence_interval), abs=0.03 * width)


def test_an_interval_of_a_difference_is_that_of_paired_samples():
    rng = np.random.default_rng(5)
    hard = rng.normal(size=80)
    one, other = means(hard + rng.normal(0.1, 0.1, 80)), means(hard)
    ours, theirs = resampled([one, other], draws=20_000, seed=1)
    found = interval(one.value - other.value, ours - theirs, 0.95, jackknifed(one) - jackknifed(other))
    apart = one.of_units() - other.of_units()
    peer = stats.bootstrap((apart,), np.mean, n_resamples=20_000, rng=np.random.default_rng(2)).confidence_interval
    assert found == pytest.approx(tuple(peer), abs=0.03 * (peer.high - peer.low))


def test_draws_are_those_of_whole_rows():
    rng = np.random.default_rng(6)
    measure = shares(rng.poisson(3, 12), rng.poisson(8, 12) + 1)
    (drawn,) = resampled([measure], draws=50, seed=9)
    again = np.random.default_rng([9, 0, 12])
    for value in drawn:
        rows = again.integers(0, 12, 12)
        assert value == pytest.approx(float(measure.formula(measure.sums_UK[rows].sum(axis=0))))


def test_the_jackknife_leaves_each_unit_out():
    measure = shares([1, 2, 0, 5], [4, 4, 1, 9])
    naive = [float(measure.formula(np.delete(measure.sums_UK, row, axis=0).sum(axis=0))) for row in range(4)]
    assert jackknifed(measure) == pytest.approx(naive)


def test_nothing_depends_on_blocks_or_on_other_metrics(monkeypatch):
    rng = np.random.default_rng(7)
    one, other = means(rng.normal(size=40)), means(rng.normal(0.3, 1, 40))
    alone = resampled([one], draws=200, seed=1)[0]
    p_alone = permutation_tests([(one, other)], draws=200, seed=1)[0]
    monkeypatch.setattr(significance, "RESAMPLE_BLOCK", 90)
    together = resampled([other, one], draws=200, seed=1)[1]
    assert together == pytest.approx(alone, rel=1e-12)
    # a pair's p-value is the same beside others; swaps are drawn by the block, so the block is put back
    monkeypatch.undo()
    assert permutation_tests([(other, one), (one, other)], draws=200, seed=1)[1] == p_alone
    assert (resampled([one], draws=200, seed=2)[0] != alone).any()


def test_an_exact_test_is_scipys():
    rng = np.random.default_rng(8)
    ours, theirs = rng.normal(0.5, 1, 9), rng.normal(size=9)
    chance = permutation_tests([(means(ours), means(theirs))], draws=10_000, seed=1)[0]
    peer = stats.permutation_test(
        (ours, theirs), lambda a, b, axis: a.mean(axis) - b.mean(axis), permutation_type="samples", n_resamples=np.inf
    )
    assert chance.exact
    assert chance.p == pytest.approx(peer.pvalue, abs=1e-12)


def test_a_drawn_test_comes_close_to_the_exact_one():
    rng = np.random.default_rng(9)
    pair = means(rng.normal(0.6, 1, 12)), means(rng.normal(size=12))
    exact = permutation_tests([pair], draws=2**12, seed=1)[0]
    drawn = permutation_tests([pair], draws=2**12 - 1, seed=1)[0]
    assert exact.exact
    assert not drawn.exact
    assert drawn.p == pytest.approx(exact.p, abs=0.03)


def test_a_test_of_a_corpus_metric_swaps_rows():
    rng = np.random.default_rng(10)
    one, other = shares(rng.poisson(4, 7), rng.poisson(8, 7) + 1), shares(rng.poisson(2, 7), rng.poisson(8, 7) + 1)
    far = abs(one.value - other.value)
    hits = 0
    for swaps in itertools.product([False, True], repeat=7):
        swapped = np.array(swaps)[:, None]
        ours, theirs = np.where(swapped, other.sums_UK, one.sums_UK), np.where(swapped, one.sums_UK, other.sums_UK)
        hits += abs(float(one.formula(ours.sum(0)) - one.formula(theirs.sum(0)))) >= far - 1e-9
    assert permutation_tests([(one, other)], draws=1000, seed=1)[0].p == pytest.approx(hits / 2**7)


def test_models_that_are_the_same_do_not_differ():
    measure = means(np.random.default_rng(11).normal(size=500))
    chance = permutation_tests([(measure, measure)], draws=200, seed=1)[0]
    assert (chance.p, chance.exact) == (1.0, True)
    ours, theirs = resampled([measure, measure], draws=200, seed=1)
    assert interval(0.0, ours - theirs, 0.95, np.zeros(500)) == (0.0, 0.0)


def test_a_thousand_equal_units_do_not_hinder_an_exact_test():
    values = np.random.default_rng(12).normal(size=1000)
    other = values.copy()
    other[:3] -= 1
    assert permutation_tests([(means(values), means(other))], draws=200, seed=1)[0].p == pytest.approx(2 / 2**3)


def test_what_is_not_defined_has_no_interval_and_no_p():
    nothing = Measure("none", ("a", "b"), np.zeros((2, 2)), ratio)
    assert span(nothing) is None
    assert permutation_tests([(nothing, nothing)], draws=200, seed=1)[0].p is None
    mostly = shares([1, 0, 0], [1, 0, 0])  # 8 of 27 draws are without the one unit that counts
    assert span(mostly) == (100.0, 100.0)
    with pytest.raises(ValueError, match="same units"):
        resampled([means([1, 2]), means([1, 2, 3])], draws=200, seed=1)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(13)
    inside = 0
    for _ in range(250):
        low, high = span(means(rng.exponential(size=40)), draws=400, level=0.9)
        inside += low <= 1.0 <= high
    assert 0.82 <= inside / 250 <= 0.95  # of 0.9; a skewed metric and 40 samples cost a little


def test_p_values_are_uniform_where_nothing_differs():
    rng = np.random.default_rng(14)
    found = []
    for _ in range(300):
        hard = rng.exponential(size=30)
        pair = means(hard + rng.normal(size=30)), means(hard + rng.normal(size=30))
        found.append(permutation_tests([pair], draws=400, seed=1)[0].p)
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)
    assert np.mean(np.array(found) <= 0.05) <= 0.09
    assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.1)


def test_a_number_alone_has_the_interval_that_a_comparison_gives_it():
    rng = np.random.default_rng(8)
    names = [f"s{place}" for place in rng.permutation(70)]  # in no order
    values = dict(zip(names, rng.exponential(size=70) ** 2, strict=True))
    skewed, other = mean_measure("a", values), mean_measure("b", {name: 2.0 * value for name, value in values.items()})
    measures = {("", one.name): one for one in (skewed, other)}
    both = [Contestant("x", "", measures), Contestant("y", "", measures)]
    compared = compare(both, ComparisonSettings(seed=5)).cells["x", ("", "a")].interval
    apart = means(rng.normal(size=30))
    (found, alone, of_other), (of_another_seed,) = (
        bca_intervals([skewed, apart, other], seed=5),
        bca_intervals([skewed], seed=6),
    )
    assert found == pytest.approx(compared, rel=1e-12)
    assert of_other == pytest.approx([2.0 * end for end in compared], rel=1e-9)
    assert alone == bca_intervals([apart], seed=5)[0]  # other units do not change its draws
    assert of_another_seed != pytest.approx(compared, rel=1e-6)
    alike = mean_measure("c", dict.fromkeys(names, 3.0))
    assert bca_intervals([alike], seed=5)[0] == (3.0, 3.0)
    assert bca_intervals([mean_measure("d", {"one": 3.0})], seed=5)[0] is None
