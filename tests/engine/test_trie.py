"""The trie as pure data: nothing is lost, nothing is seen that should not be, nothing is stored twice."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from searching import searched

from trifacet.engine.attention import visible
from trifacet.engine.trie import Path, build_trie

PATHS = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-1, -1, 0, 1])), min_size=1, max_size=7).flatmap(
        lambda tokens: st.tuples(st.just(tokens), st.integers(1, len(tokens)))
    ),
    min_size=1,
    max_size=6,
)
DOUBLED = ([(0, -1), (1, -1)], 1)


def as_paths(described):
    return [
        Path(
            np.array([token for token, _ in tokens]),
            np.array([image for _, image in tokens]),
            np.arange(len(tokens)),
            start,
        )
        for tokens, start in described
    ]


def mask_of(trie):
    return visible(torch.from_numpy(trie.ends_N)[None])[0].numpy()


def nodes_of(trie, described):
    """For each path the row's nodes that spell it, found by walking down from the root through the mask."""
    seen = mask_of(trie)
    parents = [max((j for j in range(i) if seen[i, j]), default=None) for i in range(len(trie.tokens_N))]
    children = {(parent, trie.tokens_N[i], trie.images_N[i]): i for i, parent in enumerate(parents)}
    assert len(children) == len(parents)  # no node is stored twice
    walks = []
    for tokens, _ in described:
        at, walk = None, []
        for token, image in tokens:
            at = children[at, token, image]
            walk.append(at)
        walks.append(walk)
    return walks


@searched(150)
@given(PATHS)
@example([DOUBLED, DOUBLED])
@example([([(0, -1), (1, -1), (1, -1)], 1), ([(0, -1), (1, -1)], 2)])  # a prefix of another, with no response
def test_every_path_stands_in_the_row_once(described):
    trie = build_trie(as_paths(described))
    prefixes = {tuple(tokens[: k + 1]) for tokens, _ in described for k in range(len(tokens))}
    assert len(trie.tokens_N) == len(prefixes)
    assert trie.total_tokens == sum(len(tokens) for tokens, _ in described)
    seen_by_paths = np.zeros_like(mask_of(trie))
    for (tokens, _), walk in zip(described, nodes_of(trie, described), strict=True):
        assert [(trie.tokens_N[i], trie.images_N[i]) for i in walk] == tokens
        assert list(trie.positions_N[walk]) == list(range(len(tokens)))
        for depth, node in enumerate(walk):
            assert set(np.flatnonzero(mask_of(trie)[node])) == set(walk[: depth + 1])  # itself and its ancestors
            seen_by_paths[node, walk[: depth + 1]] = True
    assert (mask_of(trie) == seen_by_paths).all()  # and every node belongs to some path
    assert not np.triu(mask_of(trie), 1).any()  # ancestors stand to the left


@searched(150)
@given(PATHS)
@example([DOUBLED, DOUBLED])
def test_responses_are_read_from_their_parents(described):
    trie = build_trie(as_paths(described))
    for number, ((tokens, start), walk) in enumerate(zip(described, nodes_of(trie, described), strict=True)):
        reads = trie.read_M[trie.path_M == number]
        assert trie.lengths_P[number] == len(reads) == len(tokens) - start
        assert list(trie.parent_R[reads]) == walk[start - 1 : -1]
        assert list(trie.token_R[reads]) == [token for token, _ in tokens[start:]]
    distinct = {tuple(tokens[: k + 1]) for tokens, start in described for k in range(start, len(tokens))}
    assert len(trie.token_R) == len(distinct)  # the head computes nothing twice
    assert set(trie.read_M) == set(range(len(trie.token_R)))  # and nothing that nobody reads


@searched(25)
@given(PATHS, st.randoms(use_true_random=False))
def test_the_order_of_paths_changes_no_size(described, random):
    shuffled = random.sample(described, len(described))
    first, second = build_trie(as_paths(described)), build_trie(as_paths(shuffled))
    assert len(first.tokens_N) == len(second.tokens_N)
    assert len(first.token_R) == len(second.token_R)
    assert mask_of(first).sum() == mask_of(second).sum()


@searched(60)
@given(PATHS)
def test_paths_that_are_there_already_own_nothing(described):
    once, twice = build_trie(as_paths(described)), build_trie(as_paths([*described, *described]))
    assert (once.tokens_N == twice.tokens_N).all()
    assert (mask_of(once) == mask_of(twice)).all()
    assert (once.token_R == twice.token_R).all()
    assert (twice.lengths_P == np.tile(once.lengths_P, 2)).all()


THREE = np.array([3, 3])  # tokens of each image


def path_of(before, image, after, response, image_tokens=3):
    tokens = [*before, *[9] * image_tokens, *after, *response]
    images = [-1] * len(before) + [image] * image_tokens + [-1] * (len(after) + len(response))
    return Path(np.array(tokens), np.array(images), np.arange(len(tokens)), len(tokens) - len(response))


def test_eight_corners_share_what_the_design_says():
    """System text -> 2 images -> 4 contexts -> 8 responses; image tokens have one id, their image tells them apart."""
    contexts, responses = [[20, 21], [30, 31]], [[40, 41], [50, 51, 52]]
    corners = [(m, c, y) for m in (0, 1) for c in (0, 1) for y in (0, 1)]
    trie = build_trie([path_of([1, 2], m, contexts[c], responses[y]) for m, c, y in corners])
    assert len(trie.tokens_N) == 2 + 2 * 3 + 4 * 2 + 4 * (2 + 3)
    assert trie.total_tokens == sum(2 + 3 + 2 + len(responses[y]) for _, _, y in corners)
    assert list(trie.image_order(THREE)) == [0, 1]
    assert len(trie.token_R) == 4 * (2 + 3)
    assert list(trie.lengths_P) == [2, 3] * 4


def test_equal_placeholders_of_different_images_are_different_nodes():
    same = build_trie([path_of([1], 0, [2], [3]), path_of([1], 0, [2], [4])])
    other = build_trie([path_of([1], 0, [2], [3]), path_of([1], 1, [2], [3])])
    assert list(same.images_N).count(0) == 3
    assert list(same.image_order(THREE)) == [0]
    assert list(other.images_N).count(0) == list(other.images_N).count(1) == 3
    assert list(other.image_order(THREE)) == [0, 1]


def test_an_image_behind_different_texts_stands_in_the_row_twice():
    trie = build_trie([path_of([1, 5], 0, [2], [3]), path_of([1, 6], 0, [2], [3])])
    assert list(trie.image_order(THREE)) == [0, 0]


def test_a_picture_shown_twice_with_nothing_between_is_two_runs():
    tokens, images = [1, 9, 9, 9, 9, 9, 9, 8, 8, 2, 3], [-1, 0, 0, 0, 0, 0, 0, 1, 1, -1, -1]
    trie = build_trie([Path(np.array(tokens), np.array(images), np.arange(11), 10)])
    assert list(trie.image_order(np.array([3, 2]))) == [0, 0, 1]


def test_a_row_without_images_has_none():
    trie = build_trie([Path(np.array([1, 2, 3]), np.full(3, -1), np.arange(3), 2)])
    assert list(trie.image_order(np.empty(0, dtype=np.int64))) == []


def test_positions_may_have_several_axes():
    tokens = np.array([1, 9, 9, 2, 3])
    positions = np.stack([np.arange(5), np.array([0, 1, 1, 2, 3])])
    path = Path(tokens, np.array([-1, 0, 0, -1, -1]), positions, 3)
    trie = build_trie([path, path._replace(tokens_L=np.array([1, 9, 9, 2, 4]))])
    assert trie.positions_N.tolist() == [[0, 1, 2, 3, 4, 4], [0, 1, 1, 2, 3, 3]]


@pytest.mark.parametrize("start", [0, 4])
def test_a_response_that_nothing_predicts_is_refused(start):
    with pytest.raises(ValueError, match="at least one token before"):
        build_trie([Path(np.array([1, 2, 3]), np.full(3, -1), np.arange(3), start)])
    with pytest.raises(ValueError, match="needs paths"):
        build_trie([])
