"""Numbers with intervals: sums by hand, the bootstrap of a comparison, the edges, and no dependence on the order."""

import numpy as np
import pytest

from trifacet.evolving.measured import (
    BALANCED,
    DIFFERENCE,
    MEAN,
    MOST_KINDS,
    OTHERS,
    SHARE,
    Names,
    Numbers,
    below,
    missing,
)
from trifacet.statistics.measures import share_measure
from trifacet.statistics.significance import bca_intervals


def test_a_share_is_that_of_the_comparisons():
    rng = np.random.default_rng(1)
    units = [f"s{n:03d}" for n in range(40)]
    counts = rng.integers(1, 6, 40)
    hits = rng.binomial(counts, 0.3)
    numbers = Numbers()
    for unit, hit, count in zip(units, hits, counts, strict=True):
        numbers.add(SHARE, ("a",), unit, float(hit), float(count))
    (told,) = numbers.told().values()
    (low, high) = bca_intervals([share_measure("a", units, hits, counts)])[0]
    assert told["value"] == pytest.approx(hits.sum() / counts.sum())
    assert told["interval"] == pytest.approx([low / 100, high / 100])
    assert told["count"] == counts.sum()


def test_formulas_by_hand():
    numbers = Numbers()
    numbers.add(DIFFERENCE, ("d",), "a", 3, 4, 1, 4)
    numbers.add(DIFFERENCE, ("d",), "b", 1, 4, 1, 4)
    numbers.add(BALANCED, ("y",), "a", 1, 2, 0, 2)
    numbers.add(BALANCED, ("y",), "b", 2, 2, 1, 2)
    numbers.add(MEAN, ("m",), "a", -1.5, 1)
    numbers.add(MEAN, ("m",), "b", -0.5, 1)
    told = numbers.told()
    assert told["d",]["value"] == pytest.approx(4 / 8 - 2 / 8)
    assert told["y",]["value"] == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert told["m",]["value"] == pytest.approx(-1.0)
    assert all(one["interval"][0] <= one["value"] <= one["interval"][1] for one in told.values())


@pytest.mark.parametrize("hit", [0.0, 1.0])
def test_at_the_edges_the_interval_is_clopper_and_pearsons(hit):
    numbers = Numbers()
    for n in range(10):
        numbers.add(SHARE, ("a",), f"s{n}", hit, 1.0)
    (told,) = numbers.told().values()
    edge = 1 - 0.025**0.1  # .3085: the table's value for 0 of 10
    assert told["interval"] == pytest.approx([0.0, edge] if hit == 0 else [1 - edge, 1.0], abs=1e-6)
    assert edge == pytest.approx(0.3085, abs=1e-4)


def test_one_sample_has_no_interval_and_nothing_has_no_value():
    numbers = Numbers()
    numbers.add(SHARE, ("a",), "one", 1.0, 4.0)
    numbers.add(SHARE, ("b",), "one", 0.0, 0.0)
    numbers.add(BALANCED, ("c",), "one", 1.0, 2.0, 0.0, 0.0)
    numbers.add(BALANCED, ("c",), "two", 1.0, 2.0, 0.0, 0.0)
    told = numbers.told()
    assert told["a",] == {"value": 0.25, "interval": None, "count": 4}
    assert ("b",) not in told
    assert told["c",] == {"value": None, "interval": None, "count": 0}
    assert Numbers().told() == {} and missing()["value"] is None


def test_the_order_changes_nothing():
    rng = np.random.default_rng(2)
    rows = [(f"s{n}", float(rng.random()), float(n % 3 + 1)) for n in range(30)]

    def told(order):
        numbers = Numbers()
        for at in order:
            numbers.add(MEAN, ("a", "x"), *rows[at])
            numbers.add(SHARE, ("a", "y"), rows[at][0], 1.0, 2.0)
        return numbers.told()

    assert told(range(30)) == told(rng.permutation(30).tolist())
    assert set(below(told(range(30)), "a")) == {"x", "y"}


def test_kinds_are_bounded():
    names = Names()
    found = {names(f"task {n}") for n in range(MOST_KINDS + 50)}
    assert len(found) == MOST_KINDS + 1 and OTHERS in found
    assert names("task 3") == "task 3"
