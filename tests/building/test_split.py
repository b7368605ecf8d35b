from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from building.global_steps import post, run_step
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.building.steps.split import STEP, fill_sets

SIZES = {"sft": 60, "preference": 25, "test": 10}


def alone(amount: int) -> list[dict[str, object]]:
    return [post(k) for k in range(amount)]


def clustered(labels: list[int]) -> list[dict[str, object]]:
    """Rows whose cluster is the first row with the same label."""
    first: dict[int, int] = {}
    for row, label in enumerate(labels):
        first.setdefault(label, row)
    return [post(row, cluster=first[label]) for row, label in enumerate(labels)]


@searched(40)
@given(
    labels=st.lists(st.integers(0, 20), min_size=1, max_size=80), part_rows=st.integers(1, 80), seed=st.integers(0, 9)
)
def test_a_cluster_is_never_divided(tmp_path_factory, labels, part_rows, seed):
    folder = tmp_path_factory.mktemp("split")
    for how in ({"sizes": {"test": 7, "preference": 9}}, {"shares": {"test": 0.3, "preference": 0.3}}):
        rows = run_step(STEP, clustered(labels), folder, part_rows, seed, **how).rows
        splits = defaultdict(set)
        for row in rows:
            splits[row["cluster"]].add(row["split"])
        assert len(rows) == len(labels)
        assert all(len(found) == 1 for found in splits.values())
        sizes = Counter(row["split"] for row in rows)
        if "sizes" in how:
            assert sizes["test"] <= 7
            assert sizes["preference"] <= 9


@pytest.mark.parametrize("part_rows", [1, 7, 95, 1000])
def test_sizes_are_exact_where_rows_stand_alone(tmp_path, part_rows):
    outcome = run_step(STEP, alone(200), tmp_path, part_rows, sizes=SIZES)
    assert Counter(outcome.column("split")) == SIZES
    assert len(outcome.dropped) == 200 - 95
    assert outcome.rows == run_step(STEP, alone(200), tmp_path, sizes=SIZES).rows


def test_what_is_left_goes_where_the_recipe_says(tmp_path):
    sizes = {"test": 5, "preference": 10}
    assert Counter(run_step(STEP, alone(50), tmp_path, sizes=sizes).column("split"))["sft"] == 35
    assert len(run_step(STEP, alone(50), tmp_path, sizes=sizes, rest="drop").rows) == 15
    assert len(run_step(STEP, alone(200), tmp_path, sizes=SIZES, rest="sft").rows) == 200


def test_too_few_rows_fill_test_first(tmp_path):
    assert Counter(run_step(STEP, alone(12), tmp_path, sizes=SIZES).column("split")) == {"test": 10, "preference": 2}


@given(sizes=st.lists(st.integers(1, 9), max_size=60), room=st.integers(0, 120))
def test_filling_equals_the_loop_that_it_stands_for(sizes, room):
    expected = []
    for size in sizes:
        expected.append(size <= room)
        room -= size if size <= room else 0
    assert fill_sets(
        np.array(sizes, np.int64), sum(s for s, e in zip(sizes, expected, strict=True) if e) + room
    ).tolist() == (expected)


def test_with_shares_later_posts_move_nobody(tmp_path):
    shares = {"test": 0.1, "preference": 0.2, "sft": 0.7}
    before = run_step(STEP, alone(3000), tmp_path, shares=shares).column("split")
    assert run_step(STEP, alone(4000), tmp_path, shares=shares).column("split")[:3000] == before
    found = Counter(before)
    for name, share in shares.items():  # five standard deviations
        assert abs(found[name] - 3000 * share) < 5 * (3000 * share * (1 - share)) ** 0.5


def test_shares_that_are_not_all_leave_a_rest(tmp_path):
    outcome = run_step(STEP, alone(1000), tmp_path, shares={"test": 0.1, "sft": 0.5})
    assert abs(len(outcome.dropped) - 400) < 80
    assert set(outcome.column("split")) == {"test", "sft"}


def test_a_row_keeps_its_set_when_rows_before_it_are_gone(tmp_path):
    """The order is drawn by ids, not by row numbers."""
    shares = {"test": 0.5}
    later = [post(row, id=f"post-{row + 100}") for row in range(100)]
    whole = run_step(STEP, alone(200), tmp_path, shares=shares).column("split")
    assert run_step(STEP, later, tmp_path, shares=shares).column("split") == whole[100:]


def test_the_seed_decides(tmp_path):
    runs = [
        run_step(STEP, alone(300), tmp_path, build_seed=seed, sizes={"test": 100}, **own).column("split")
        for seed, own in ((1, {}), (1, {}), (2, {}), (2, {"seed": 1}))
    ]
    assert runs[0] == runs[1] == runs[3]
    assert runs[0] != runs[2]


@pytest.mark.parametrize(
    "given", [{}, {"sizes": {"test": 1}, "shares": {"test": 0.1}}, {"shares": {"test": 0.9, "sft": 0.2}},
              {"sizes": {"test": -1}}, {"sizes": {"train": 5}}]
)  # fmt: skip
def test_what_makes_no_sense_is_refused(given):
    with pytest.raises(ValueError):
        STEP.parameters.model_validate(given)
