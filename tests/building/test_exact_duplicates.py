from __future__ import annotations

import json

import pytest
from building.global_steps import post, run_step
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.building.similarity import candidates
from trifacet.building.steps import exact_duplicates
from trifacet.building.steps.exact_duplicates import STEP, normalised

words = st.sampled_from(["", "a cat", "A  cat", "ａ cat", "a dog", "cat a", "a", "cat"])
files = st.sampled_from(["11", "22", None])


@searched(40)
@given(rows=st.lists(st.tuples(files, words, words), max_size=30), part_rows=st.integers(1, 30))
def test_same_as_comparing_each_row_with_all_earlier_ones(tmp_path_factory, rows, part_rows):
    posts = [post(3 * k, sha256=f, context=c, alt=a) for k, (f, c, a) in enumerate(rows)]
    first: dict[object, int] = {}
    expected = {}
    for row in posts:
        key = (row["sha256"], normalised(row["context"]), normalised(row["alt"]))
        if row["sha256"] is None:
            continue
        if key in first:
            expected[row["row"]] = first[key]
        first.setdefault(key, row["row"])
    outcome = run_step(STEP, posts, tmp_path_factory.mktemp("exact"), part_rows)
    details = {event["row"]: json.loads(event["detail"]) for event in outcome.events}
    assert {row: detail["kept"] for row, detail in details.items()} == expected
    assert all(detail["kept_id"] == f"post-{detail['kept']}" for detail in details.values())
    assert sorted(outcome.column("row") + list(expected)) == [row["row"] for row in posts]


def test_fields_are_not_run_together(tmp_path):
    posts = [post(0, context="ab", alt="c"), post(1, context="a", alt="bc"), post(2, context="abc")]
    assert not run_step(STEP, posts, tmp_path, same=["context", "alt"]).dropped


def test_rows_with_nothing_to_compare_stay(tmp_path):
    posts = [post(k, prompt=None) for k in range(3)]
    assert not run_step(STEP, posts, tmp_path, same=["context", "prompt"]).dropped


def test_ranges_of_hashes_change_nothing(tmp_path, monkeypatch):
    posts = [post(k, context=f"post about {k % 37}") for k in range(300)]
    whole = run_step(STEP, posts, tmp_path, 50, same=["context"]).decided
    monkeypatch.setattr(exact_duplicates, "RANGE_ROWS", 20)
    assert run_step(STEP, posts, tmp_path, 50, same=["context"]).decided.equals(whole)
    assert whole.num_rows == 300 - 37
    assert candidates.RANGE_ROWS > 1_000_000


def test_a_recipe_needs_files_only_for_their_hash():
    assert STEP.needs(STEP.parameters()) == {"files"}
    assert not STEP.needs(STEP.parameters(same=["context"]))
    with pytest.raises(ValueError, match="same"):
        STEP.parameters(same=[])
