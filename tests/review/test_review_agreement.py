"""Agreement and outcomes: equal to the published values, to the definition, and to counts by hand."""

import csv
import io
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviews import NAMES
from searching import searched

from trifacet.review.export import as_csv, vote_rows
from trifacet.review.pairs import Review, ReviewPair
from trifacet.review.store import Store
from trifacet.review.summary import summarise_review
from trifacet.statistics.agreement import MISSING, alpha_measure, percent_measure, why_no_alpha

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section E: four observers, twelve units.
PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def table(text):
    rows = [[MISSING if cell == "." else int(cell) - 1 for cell in line.split()] for line in text.strip().splitlines()]
    return np.array(rows).T


def alpha(level, values_UJ, size):
    return alpha_measure(level, tuple(map(str, range(len(values_UJ)))), values_UJ, size).value


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_alpha_equals_the_published_values(level, published):
    assert round(alpha(level, table(PUBLISHED), 5), 3) == published


def by_definition(level, values_UJ, size):
    """Alpha as the definition reads: pair by pair, in fractions."""
    units = [[int(value) for value in row if value != MISSING] for row in values_UJ]
    units = [unit for unit in units if len(unit) > 1]
    given_ = [value for unit in units for value in unit]
    n = {value: given_.count(value) for value in range(size)}

    def distance(c, k):
        if level == "nominal":
            return Fraction(c != k)
        low, high = min(c, k), max(c, k)
        return (sum(n[g] for g in range(low, high + 1)) - Fraction(n[c] + n[k], 2)) ** 2

    within = sum(Fraction(1, len(unit) - 1) * distance(c, k) for unit in units for c, k in permutations(unit, 2))
    overall = sum(distance(c, k) for c, k in permutations(given_, 2))
    return None if not overall else float(1 - (len(given_) - 1) * within / overall)


@searched(60)
@given(st.lists(st.lists(st.integers(-1, 2), min_size=3, max_size=3), min_size=1, max_size=7))
def test_alpha_equals_its_definition_and_says_when_there_is_none(rows):
    values_UJ = np.array(rows)
    for level in ("nominal", "ordinal"):
        expected = by_definition(level, values_UJ, 3)
        found = alpha(level, values_UJ, 3)
        assert bool(why_no_alpha(values_UJ)) == (expected is None) == bool(np.isnan(found))
        assert expected is None or found == pytest.approx(expected, abs=1e-12)


def test_resampled_alpha_is_that_of_the_drawn_samples():
    values_UJ, drawn = table(PUBLISHED), [0, 0, 1, 3, 3, 3, 5, 6, 8, 8, 9, 10]
    measure = alpha_measure("ordinal", tuple("abcdefghijkl"), values_UJ, 5)
    weights = np.bincount(drawn, minlength=12).astype(float)[None]
    assert measure.resampled(weights)[0] == pytest.approx(alpha("ordinal", values_UJ[drawn], 5), abs=1e-12)


def test_pairwise_agreement_counts_pairs_of_judges():
    assert percent_measure(("a", "b"), np.array([[0, 0, 1], [2, MISSING, 2]])).value == pytest.approx(2 / 4)
    assert np.isnan(percent_measure(("a",), np.array([[0, MISSING]])).value)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[0], [1]], "it takes two judges"),
        ([[0, -1], [1, -1]], "it takes two judges"),
        ([[0, -1], [-1, 1]], "no sample has answers of two judges"),
        ([[1, 1], [1, 1], [0, -1]], "all answers are the same"),
        (np.zeros((0, 2), dtype=int), "it takes two judges"),
        ([[1, 0]], ""),
    ],
)
def test_undefined_alpha_says_why(values, reason):
    assert why_no_alpha(np.array(values)).startswith(reason) and bool(reason) == bool(why_no_alpha(np.array(values)))


@pytest.fixture
def voted(tmp_path):
    """Three judges and five samples: every kind of majority, a skip, a revision."""
    pairs = tuple(ReviewPair(f"s{k}", None, "", (), ("x", "x" if k == 4 else "y")) for k in range(6))
    store = Store(tmp_path / "v.sqlite", Review(NAMES, pairs))
    for judge in ("Ada", "Bob", "Cem"):
        store.begin(judge, sees=judge != "Cem")
    for sample, judge, first, choice in [
        ("s0", "Ada", "B", "first"),  # revised below
        ("s0", "Ada", "A", "first"), ("s0", "Bob", "B", "second"), ("s0", "Cem", "A", "tie"),  # win win tie: win
        ("s1", "Ada", "A", "second"), ("s1", "Bob", "A", "first"),  # lose win: tie
        ("s2", "Ada", "B", "first"), ("s2", "Bob", "A", "skip"),  # lose
        ("s3", "Ada", "A", "skip"),  # nothing
        ("s4", "Cem", "B", "tie"),  # tie
    ]:  # fmt: skip
        store.vote(sample, judge, first, choice, comment="=1+1" if choice == "tie" else "", saw=judge != "Cem")
    return store


def test_the_summary_counts_what_counts(voted):
    found = summarise_review(voted, draws=500)
    assert [found[key] for key in ("samples", "judged", "votes", "identical", "identical_judged")] == [6, 4, 7, 1, 1]
    assert {kind: found["majority"][kind]["count"] for kind in ("win", "tie", "lose")} == {
        "win": 1,
        "tie": 2,
        "lose": 1,
    }
    assert {kind: found["all_votes"][kind]["count"] for kind in ("win", "tie", "lose")} == {
        "win": 3,
        "tie": 2,
        "lose": 2,
    }
    assert found["majority"]["win"]["share"] == 0.25 and found["all_votes"]["win"]["share"] == pytest.approx(3 / 7)
    assert found["majority"]["win"]["low"] <= 0.25 <= found["majority"]["win"]["high"]
    assert found["majority"]["sign_test"] == {"wins": 1, "losses": 1, "p": 1.0}
    assert found["first_position"]["n"] == 5 and found["first_position"]["share"] == 3 / 5
    ada, bob, cem = found["judges"]
    assert (ada["answered"], ada["skipped"], ada["revised"], ada["first_position"]) == (3, 1, 1, 2 / 3)
    assert (bob["answered"], bob["skipped"], cem["without_image"]) == (2, 1, 2)
    assert found["agreement"]["shared_samples"] == 2
    assert found["agreement"]["agreement"]["value"] == pytest.approx(1 / 4)  # s0: 1 of 3 pairs, s1: 0 of 1
    assert {tuple(pair["judges"]): pair["agreement"] for pair in found["pairs"]} == {
        ("Ada", "Bob"): 0.5, ("Ada", "Cem"): 0.0, ("Bob", "Cem"): 0.0,
    }  # fmt: skip
    values = np.array([[2, 2, 1], [0, 2, MISSING], [0, MISSING, MISSING], [MISSING, MISSING, 1]])
    assert found["agreement"]["alpha_ordinal"]["value"] == pytest.approx(by_definition("ordinal", values, 3))


def test_a_summary_of_nothing_is_told_not_computed(tmp_path):
    store = Store(tmp_path / "v.sqlite", Review(NAMES, (ReviewPair("s", None, "", (), ("x", "y")),)))
    found = summarise_review(store)
    assert found["judged"] == 0 and found["majority"]["win"] == {"count": 0, "share": None, "low": None, "high": None}
    assert found["majority"]["sign_test"]["p"] is None and found["agreement"]["undefined"] == "it takes two judges"


def test_exported_votes_name_the_models_and_keep_the_history(voted):
    rows = vote_rows(voted)
    assert len(rows) == 10 and [row["counts"] for row in rows] == [False] + [True] * 9
    assert rows[0] | {"time": ""} == {
        "sample": "s0", "judge": "Ada", "shown_first": NAMES[1], "shown_second": NAMES[0], "choice": "first",
        "winner": NAMES[1], "comment": "", "saw_image": True, "time": "", "counts": False,
    }  # fmt: skip
    assert [row["winner"] for row in rows[1:4]] == [NAMES[0], NAMES[0], "tie"]
    assert rows[3]["comment"] == "=1+1" and ",'=1+1," in as_csv(rows).splitlines()[4]
    rows[3]["comment"] = "one\r=1+1"  # no browser sends such a line end, but a judge may
    told = list(csv.DictReader(io.StringIO(as_csv(rows), newline="")))
    assert len(told) == len(rows) and told[3]["comment"] == "one\n'=1+1"


@pytest.mark.parametrize(
    ("comment", "written"),
    [
        ("=1+1", "'=1+1"), ("＝1+1", "'＝1+1"), ("＋1", "'＋1"), ("－1", "'－1"), ("＠SUM(1)", "'＠SUM(1)"),
        ("@x", "'@x"),
        (";=1+1", ";'=1+1"), ("fine;=1+1;+2", "fine;'=1+1;'+2"), ('a;" =1', 'a;" \'=1'), ("a\t-1", "a\t'-1"),
        ("\tx", "'\tx"),
        ("a - b; c = d", "a - b; c = d"), ("10-20", "10-20"),
    ],
)  # fmt: skip
def test_no_cell_of_a_table_begins_a_formula_wherever_it_is_cut(comment, written):
    row = dict.fromkeys(("sample", "judge", "shown_first", "shown_second", "choice", "winner", "time"), "x")
    row |= {"comment": comment, "saw_image": True, "counts": True}
    (told,) = csv.DictReader(io.StringIO(as_csv([row]), newline=""))
    assert told["comment"] == written
