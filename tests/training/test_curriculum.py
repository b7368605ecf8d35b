"""Who is trained on when: groups by difficulty, and a course whose batches never cross a border."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.metrics.rouge import rouge_l
from trifacet.training.batches import Groups
from trifacet.training.course import Course, PassBatches
from trifacet.training.curriculum import Curriculum, difficulty_groups, phases_of
from trifacet.training.difficulty import semantic_entropy

NUMBERS = st.floats(-5, 5).map(lambda value: round(value, 1))  # so that there are ties


def course_of(hard, settings, *, size=2, forwards=2, epochs=1.0, grouped=False, seed=3):
    parts = difficulty_groups(hard, settings, seed)
    groups = Groups(len(hard), size, 5, parts) if grouped else None
    phases = phases_of(parts, hard, settings, epochs)
    return Course(phases, batch_size=size, forwards=forwards, seed=seed, groups=groups)


@searched(20)
@given(st.lists(NUMBERS, min_size=6, max_size=40), st.integers(1, 6))
def test_groups_by_rank_part_the_samples_by_difficulty(hard, count):
    groups = difficulty_groups(hard, Curriculum(groups=count), seed=1)
    assert sorted(index for group in groups for index in group) == list(range(len(hard)))
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
    for easy, harder in pairwise(groups):
        assert max((hard[index], index) for index in easy) < min((hard[index], index) for index in harder)
    other_way = difficulty_groups(hard, Curriculum(groups=count, order="hard-to-easy"), seed=1)
    assert other_way == groups[::-1]
    drawn = difficulty_groups(hard, Curriculum(groups=count, order="random"), seed=1)
    assert sorted(index for group in drawn for index in group) == list(range(len(hard)))
    assert [len(group) for group in drawn] == [len(group) for group in groups]


def test_random_groups_are_not_those_by_difficulty():
    hard = list(range(30))
    drawn = difficulty_groups(hard, Curriculum(order="random"), seed=1)
    assert drawn != difficulty_groups(hard, Curriculum(), seed=1)
    assert drawn != difficulty_groups(hard, Curriculum(order="random"), seed=2)
    assert drawn == difficulty_groups(hard, Curriculum(order="random"), seed=1)


def test_bounds_begin_the_next_group():
    hard = [0.5, 2.0, -1.0, 1.0, 3.0]
    assert difficulty_groups(hard, Curriculum(bounds=[1.0, 2.5]), seed=1) == [(0, 2), (1, 3), (4,)]
    with pytest.raises(TrifacetError, match=r"no sample has a difficulty from 3.5 to the most.*go from -1 to 3"):
        difficulty_groups(hard, Curriculum(bounds=[1.0, 3.5]), seed=1)
    with pytest.raises(TrifacetError, match="6 groups of 5 samples leave one without any; set it to 5 or less"):
        difficulty_groups(hard, Curriculum(groups=6), seed=1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bounds": [1.0, 1.0]}, "do not rise"),
        ({"bounds": []}, "at least 1"),
        ({"epochs": [1, 2]}, "2 numbers for 3 phases"),
        ({"epochs": 0}, "greater than 0"),
        ({"groups": 0}, "greater than or equal to 1"),
        ({"difficulty": "given"}, "set both or neither"),
        ({"column": "hard"}, "set both or neither"),
        ({"order": "sideways"}, "easy-to-hard"),
    ],
)
def test_a_section_that_cannot_work_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Curriculum.model_validate(values)


@searched(20)
@given(
    st.lists(NUMBERS, min_size=6, max_size=30),
    st.integers(1, 5),
    st.integers(1, 4),
    st.sampled_from([0.4, 1.0, 2.0, 2.5]),
    st.booleans(),
    st.booleans(),
)
def test_every_pass_has_its_phases_samples_once_in_batches_of_their_own(hard, size, forwards, epochs, mixed, grouped):
    settings = Curriculum(mixed=mixed)
    course = course_of(hard, settings, size=size, forwards=forwards, epochs=epochs, grouped=grouped)
    step = 0
    for number, one in enumerate(course.passes):
        batches = course.batches(number)
        seen = [index for batch in batches for index in batch]
        members = course.phases[one.phase].members
        assert len(set(seen)) == len(seen)
        assert set(seen) <= set(members)
        whole = len(course.kept_batches(one.phase))
        assert len(batches) == min(whole, one.steps * forwards) == one.forwards
        assert (len(batches) == whole) == (sorted(seen) == members)
        assert one.first == step
        step += one.steps
        if grouped:
            assert all(batch in course.groups.members for batch in batches)
    assert step == course.steps
    for number, phase in enumerate(course.phases):
        whole = math.ceil(len(course.kept_batches(number)) / forwards)
        assert course.phase_steps(number) == math.ceil(epochs * whole)
        earlier = set(course.phases[number - 1].members) if number else set()
        assert (earlier < set(phase.members)) if mixed else not (earlier & set(phase.members))


def test_a_training_that_goes_on_knows_its_place():
    course = course_of(list(range(10)), Curriculum(groups=2, epochs=[1, 2]), size=2, forwards=2)
    assert [(one.phase, one.first, one.steps) for one in course.passes] == [(0, 0, 2), (1, 2, 2), (1, 4, 2)]
    assert [course.place(step) for step in range(7)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    batches = PassBatches(course)
    orders = []
    for number in range(3):
        batches.sampler.set_epoch(number)
        assert [*batches] == course.batches(number)
        assert len(batches) == 3
        orders.append([index for batch in batches for index in batch])
    assert orders[1] != orders[2]
    assert sorted(orders[1]) == sorted(orders[2]) == [5, 6, 7, 8, 9]


def test_the_entropy_over_meanings():
    def rouge(texts, others):
        return [rouge_l(one, other) for one, other in zip(texts, others, strict=True)]

    cat, dog, kitten = "A cat on a mat", "two dogs run", "a cat on the mat"
    assert semantic_entropy([cat] * 4, rouge, 0.7) == 0
    assert semantic_entropy([cat, cat.upper(), f" {cat} "], rouge, 1.0) == 0  # the same words
    assert semantic_entropy([cat, kitten, dog, dog], rouge, 0.7) == pytest.approx(math.log(2))
    assert semantic_entropy([cat, kitten, dog, dog], rouge, 1.0) == pytest.approx(1.5 * math.log(2))
    assert semantic_entropy(["", "", dog, dog], rouge, 0.7) == pytest.approx(math.log(2))
    rng = np.random.default_rng(1)
    for _ in range(50):
        answers = [str(word) for word in rng.integers(0, 4, 8)]
        shares = np.unique(answers, return_counts=True)[1] / 8
        plain = -(shares * np.log(shares)).sum()
        assert semantic_entropy(answers, lambda texts, others: [0.0] * len(texts), 0.5) == pytest.approx(plain)
