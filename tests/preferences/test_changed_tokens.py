"""Which tokens count for more: those that differ, by comparison or by the row's own segments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trifacet.base.errors import DataError
from trifacet.preferences.changed import ChangedTokens, Changes, changed_tokens, segment_spans, segments_of

ids = st.lists(st.integers(0, 4), min_size=1, max_size=30).map(np.array)


@given(ids, ids, st.integers(1, 4))
def test_what_is_left_without_the_changes_is_the_same_in_both(one, other, shortest):
    mine, theirs = changed_tokens(one, other, shortest)
    assert one[~mine].tolist() == other[~theirs].tolist()
    assert (mine.any() or theirs.any()) == (one.tolist() != other.tolist())


@given(ids, ids, ids, ids, st.integers(1, 4))
def test_a_common_beginning_and_end_never_count_as_changed(start, one, other, end, shortest):
    both = [np.concatenate([start, middle, end + 10]) for middle in (one, other)]  # an end that is nowhere else
    for mask in changed_tokens(*both, shortest):
        assert not mask[: len(start)].any()
        assert not mask[len(mask) - len(end) :].any()


@pytest.mark.parametrize(
    ("one", "other", "shortest", "mine", "theirs"),
    [
        ("a red dog sits .", "a red cat sits .", 3, "00100", "00100"),
        ("a dog on grass .", "a dog .", 3, "00110", "000"),  # only added: changed too
        ("a dog .", "a dog on grass .", 3, "000", "00110"),
        ("a big dog and one cat .", "a small dog and two cat .", 3, "0111100", "0111100"),  # "dog and" is too short
        ("a big dog and one cat .", "a small dog and two cat .", 2, "0100100", "0100100"),
        ("a b", "a b", 1, "00", "00"),
        ("x y", "z", 1, "11", "1"),
    ],
)
def test_changes_by_hand(one, other, shortest, mine, theirs):
    words = sorted({*one.split(), *other.split()})
    masks = changed_tokens(*(np.array([words.index(word) for word in text.split()]) for text in (one, other)), shortest)
    assert ["".join(str(int(bit)) for bit in mask) for mask in masks] == [mine, theirs]


def test_the_weights_are_ddpos():
    """Two of five tokens changed: 5 / 13 each, and 1 / 13 each of the others."""
    changed = np.array([False, True, True, False, False])
    assert Changes(ChangedTokens()).weights(changed).tolist() == pytest.approx([1 / 13, 5 / 13, 5 / 13, 1 / 13, 1 / 13])
    assert Changes(ChangedTokens(normalised=False, gamma=2)).weights(changed).tolist() == [1, 2, 2, 1, 1]


def test_a_chosen_token_is_changed_where_any_rejected_response_differs():
    chosen, first, second = (np.array(one) for one in ([1, 2, 3, 4, 5], [1, 9, 3, 4, 5], [1, 2, 3, 8, 5]))
    masks = Changes(ChangedTokens()).changed([chosen, first, second])
    assert [mask.astype(int).tolist() for mask in masks] == [[0, 1, 0, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]


def test_segments_are_found_in_their_order():
    assert segments_of({}) is None
    segments = segments_of({"segments": [{"chosen": "red", "rejected": "blue"}, {"rejected": "red"}]})
    assert segments == (("red", "blue"), ("", "red"))
    assert segment_spans("a red dog", [chosen for chosen, _ in segments]) == [(2, 5)]
    assert segment_spans("a blue dog, red", [rejected for _, rejected in segments]) == [(2, 6), (12, 15)]


@pytest.mark.parametrize("value", ["red", {"chosen": "red"}, [["red", "blue"]], [{}], [{"chosen": 3}], [None]])
def test_segments_that_are_none_are_refused(value):
    with pytest.raises(DataError, match="segments") as caught:
        segments_of({"segments": value})
    assert "either text may be empty" in str(caught.value)


def test_a_segment_that_is_not_there_is_refused():
    with pytest.raises(DataError, match=r"entry 2 \('red'\) is not in its response, behind the entries before it"):
        segment_spans("a red dog", ["dog", "red"])
