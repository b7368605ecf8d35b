"""Donors: never the sample itself or its twin, all others with the same chance, the same in every process."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.preferences.rejected.samples import context_donors, image_donors, rejected_contexts


@given(n=st.integers(2, 50), seed=st.integers(0, 10), data=st.data())
@searched(60)
def test_a_donor_is_another_sample(n, seed, data):
    index = data.draw(st.integers(0, n - 1))
    (drawn,) = image_donors([f"{k}.png" for k in range(n)], index, seed=seed, sample_id=f"s{index}")
    assert 0 <= drawn < n
    assert drawn != index


@pytest.mark.parametrize("blanks", [0, 500])
def test_donors_are_uniform_over_the_others(blanks):
    contexts = [*[""] * blanks, "a", "b", "own", "c", "d"]
    counts = Counter(context_donors(contexts, blanks + 2, seed=seed, sample_id="s")[0] - blanks for seed in range(2000))
    assert set(counts) == {0, 1, 3, 4}
    # 500 expected, standard deviation 19: five of them
    assert all(abs(count - 500) < 97 for count in counts.values())


def test_each_part_of_the_key_changes_the_draw():
    many = [str(k) for k in range(10**5)]

    def draw(donors=image_donors, **changes):
        return donors(many, 0, **({"seed": 1, "sample_id": "a", "versions": 2, "epoch": 0} | changes))

    drawn = [*draw(), *draw(seed=2), *draw(sample_id="b"), *draw(context_donors), *draw(epoch=1)]
    assert len(set(drawn)) == len(drawn)
    assert draw() == drawn[:2]


def test_one_sample_has_no_donor():
    with pytest.raises(TrifacetError, match="no other sample"):
        image_donors(["a.png"], 0, seed=0, sample_id="s")


@given(
    contexts=st.lists(st.sampled_from(["", "  ", "a", " a ", "b", "c", "d"]), min_size=1, max_size=12),
    versions=st.integers(1, 5),
    seed=st.integers(0, 5),
)
@searched(200)
def test_rejected_contexts_differ_and_are_not_blank(contexts, versions, seed):
    own = contexts[0].strip()
    candidates = {text.strip() for text in contexts[1:]} - {"", own}
    if not candidates:
        with pytest.raises(TrifacetError, match="no other sample has a different context"):
            rejected_contexts(contexts, 0, seed=seed, sample_id="s", versions=versions)
        return
    drawn = [text.strip() for text in rejected_contexts(contexts, 0, seed=seed, sample_id="s", versions=versions)]
    assert len(drawn) == versions
    assert set(drawn) <= candidates
    assert len(set(drawn)) == min(versions, len(candidates))


def test_a_rare_context_is_found_among_many_blank_ones():
    contexts = ["own", *[""] * 5000, "rare"]
    assert rejected_contexts(contexts, 0, seed=0, sample_id="s") == ["rare"]


def test_more_versions_keep_the_earlier_ones():
    contexts = [f"post {k}" for k in range(30)]
    few = context_donors(contexts, 3, seed=5, sample_id="s3", versions=2)
    assert context_donors(contexts, 3, seed=5, sample_id="s3", versions=4)[:2] == few


def test_an_image_donor_shows_another_file():
    images = ["a.png", "./a.png", "x/../a.png", "b.png", "c.png"]
    for seed in range(20):
        assert set(image_donors(images, 0, seed=seed, sample_id="s", versions=2)) == {3, 4}
    with pytest.raises(TrifacetError, match="different image"):
        image_donors(images[:3], 0, seed=0, sample_id="s")


def test_no_image_is_donated_by_a_post_without_one_nor_to_a_post_that_shows_it():
    images = ["a.png", None, "b.png", "x/../c.png", "d.png"]
    for seed in range(20):
        assert image_donors(images, 0, seed=seed, sample_id="s", beside=["./b.png", "c.png"]) == [4]
        assert set(image_donors(images, 1, seed=seed, sample_id="s", versions=4)) == {0, 2, 3, 4}
    with pytest.raises(TrifacetError, match="different image"):
        image_donors(images[:3], 0, seed=0, sample_id="s", beside=["b.png"])


def test_draws_do_not_depend_on_the_process():
    code = (
        "from trifacet.preferences.rejected.samples import context_donors\n"
        "print([context_donors([f'c{k}' for k in range(99)], i, seed=7, sample_id=f's{i}')[0] for i in range(9)])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1")
    }
    here = [context_donors([f"c{k}" for k in range(99)], i, seed=7, sample_id=f"s{i}")[0] for i in range(9)]
    assert printed == {f"{here}\n"}
