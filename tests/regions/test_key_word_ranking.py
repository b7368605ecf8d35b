"""Key words are ranked as the formulas say: a naive reading of MFPO's, and MultipartiteRank by hand."""

import math

import numpy as np
import pytest

from trifacet.base.errors import TrifacetError
from trifacet.regions.keywords.candidates import Candidate
from trifacet.regions.keywords.choosing import choose
from trifacet.regions.keywords.ranking import mfpo_weights, pagerank
from trifacet.regions.keywords.settings import KeyWords, Mfpo

RESPONSE = "A dog and a ball. The dog is on grass near a tree."


def naive_pagerank(weights, damping):
    """By iteration, edge by edge; ``weights[i][j]`` leads from j to i."""
    count = len(weights)
    scores = [1 / count] * count
    for _ in range(5000):
        new = [(1 - damping) / count] * count
        for j in range(count):
            out = sum(weights[k][j] for k in range(count))
            for i in range(count):
                new[i] += damping * scores[j] * (weights[i][j] / out if out else 1 / count)
        moved = max(abs(one - other) for one, other in zip(new, scores, strict=True))
        scores = new
        if moved < 1e-15:
            break
    return scores


def naive_mfpo(positions, vectors, phi, gamma, decay):
    count = len(positions)
    weights = [[0.0] * count for _ in range(count)]
    for i in range(count):
        for j in range(count):
            if i != j:
                theta = sum(1 / (1 + abs(a - b) ** phi) for a in positions[i] for b in positions[j])
                one, other = vectors[i], vectors[j]
                cosine = np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
                weights[i][j] = math.exp(-decay * positions[i][0]) * max(0, theta + gamma * cosine)
    return weights


@pytest.mark.parametrize("graph", range(200))
def test_mfpo_is_a_naive_reading_of_the_formula(graph):
    rng = np.random.default_rng(graph)
    count = int(rng.integers(1, 11))
    places = rng.permutation(60)[: count * 3]
    positions = [tuple(sorted(places[3 * n : 3 * n + rng.integers(1, 4)].tolist())) for n in range(count)]
    constants = {"phi": rng.uniform(0, 3), "gamma": rng.choice([0, 0.5, 1, 8]), "decay": rng.uniform(0, 0.2)}
    vectors = rng.standard_normal((count, 5)).astype(np.float32)
    damping = rng.uniform(0.1, 0.95)
    candidates = [Candidate("", (str(n),), at, ()) for n, at in enumerate(positions)]
    weights = mfpo_weights(candidates, vectors, Mfpo(**constants))
    expected = naive_mfpo(positions, vectors.astype(float), **constants)
    assert np.abs(weights - expected).max() < 1e-9
    assert np.abs(pagerank(weights, damping) - naive_pagerank(expected, damping)).max() < 1e-9


def test_pagerank_is_that_of_networkx():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(0)
    weights = rng.random((9, 9)) * (rng.random((9, 9)) < 0.4)
    weights[:, 2] = 0  # no way out
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(9))
    graph.add_weighted_edges_from((j, i, weights[i, j]) for i, j in zip(*np.nonzero(weights), strict=True))
    theirs = networkx.pagerank(graph, alpha=0.85, tol=1e-14, max_iter=10_000)
    assert np.abs(pagerank(weights, 0.85) - [theirs[n] for n in range(9)]).max() < 1e-9


# MultipartiteRank by hand. Places are numbers of words from 0; a candidate's is that of its first word. Damping .85,
# boost 1.1, topics cut at .74.
BY_HAND = {
    # Candidates: Trees 0, wooden table 3, table 7. Stems {wooden, tabl} and {tabl} are 1 - 1/2 = .5 apart: one topic,
    # with no edge inside. Trees have nothing in common with them (1 apart).
    #   w(trees, wooden table) = 1/3, w(trees, table) = 1/7.
    # The topic's first candidate is the wooden table, at 3: the edge trees -> wooden table gains
    #   1.1 * e^(1/4) * 1/7 = 1.1 * 1.2840254 / 7 = .2017754, and is .5351087; trees -> table stays .1428571.
    # Of the trees' score goes p = .5351087 / .6779658 = .7892856 to the wooden table and .2107144 to the table; the
    # two have no other way than to the trees. With n = 3 each has .15 / 3 = .05 for nothing:
    #   trees = .05 + .85 (wooden table + table), and the two together = .1 + .85 trees
    #   trees = .05 + .085 + .7225 trees = .135 / .2775 = .4864865
    #   wooden table = .05 + .85 * .7892856 * .4864865 = .05 + .3263803 = .3763803
    #   table = .05 + .85 * .2107144 * .4864865 = .05 + .0871332 = .1371332
    "Trees near a wooden table and a table.": {"Trees": 0.4864865, "wooden table": 0.3763803, "table": 0.1371332},
    # Candidates: dog 1 and 6, ball 4, grass 9; three topics, none with a second candidate.
    #   w(dog, ball) = 1/3 + 1/2 = 5/6, w(dog, grass) = 1/8 + 1/3 = 11/24, w(ball, grass) = 1/5.
    # Sums: dog 31/24, ball 31/30, grass 79/120. Shares: dog -> ball 20/31 = .6451613, dog -> grass .3548387;
    # ball -> dog 25/31 = .8064516, ball -> grass .1935484; grass -> dog 55/79 = .6962025, grass -> ball .3037975.
    # With grass = 1 - dog - ball:
    #   dog = .05 + .85 (.8064516 ball + .6962025 (1 - dog - ball)): 1.5917721 dog = .6417721 + .0937117 ball
    #   ball = .05 + .85 (.6451613 dog + .3037975 (1 - dog - ball)): 1.2582279 ball = .3082279 + .2901592 dog
    #   dog = .4031809 + .0588725 ball, ball = .2449698 + .2306094 dog
    #   dog = (.4031809 + .0588725 * .2449698) / (1 - .0588725 * .2306094) = .4176029 / .9864234 = .4233506
    #   ball = .2449698 + .0976286 = .3425985 (rounded), grass = 1 - .4233506 - .3425985 = .2340510
    "A dog and a ball. The dog is on grass.": {"dog": 0.4233506, "ball": 0.3425985, "grass": 0.2340510},
    # Candidates: red car 1, car 4, red bus 7. Distances: red car - car 1 - 1/2 = .5; red car - red bus 1 - 1/3 = .667;
    # car - red bus 1. The two cars join at .5; to the bus they are (.667 + 1) / 2 = .833 on average, over .74: a topic
    # of its own (single linkage would have joined it, at .667).
    #   w(red car, red bus) = 1/6, w(car, red bus) = 1/3.
    # First of the cars is the red car, at 1: red bus -> red car gains 1.1 * e^(1/2) / 3 = 1.1 * 1.6487213 / 3
    # = .6045311 and is .7711978; red bus -> car stays .3333333; p = .7711978 / 1.1045311 = .6982129. As above:
    #   red bus = .135 / .2775 = .4864865
    #   red car = .05 + .85 * .6982129 * .4864865 = .05 + .2887204 = .3387204
    #   car = .05 + .85 * .3017871 * .4864865 = .05 + .1247930 = .1747931 (rounded)
    "A red car, a car and a red bus.": {"red bus": 0.4864865, "red car": 0.3387204, "car": 0.1747931},
}


@pytest.mark.parametrize("text", BY_HAND)
def test_multipartite_by_hand(text):
    found = choose(text, KeyWords(method="multipartite"))
    assert {word.text: word.score for word in found} == pytest.approx(BY_HAND[text], abs=2e-7)
    assert [word.text for word in found] == list(BY_HAND[text])


def test_of_equal_words_the_earlier_comes_first_and_k_may_be_more_than_there_are():
    for method in ("mfpo", "multipartite"):
        settings = KeyWords(method=method, k=100, mfpo={"decay": 0})
        assert [(word.text, word.score) for word in choose("A zebra and a cat.", settings)] == [
            ("zebra", 0.5),
            ("cat", 0.5),
        ]
        assert [word.score for word in choose("A zebra.", settings)] == [1.0]
        assert choose("It was so, and so it is.", settings) == ()
        best = choose(RESPONSE, settings)
        assert len(best) == 4 and sum(word.score for word in best) == pytest.approx(1)
        assert choose(RESPONSE, settings.model_copy(update={"k": 2})) == best[:2]


def test_early_words_gain_by_decay():
    def first_of(decay):
        return choose("A cat, a hat, a bat and a rat.", KeyWords(mfpo={"decay": decay}))[0].text

    assert first_of(0) in ("hat", "bat")  # which are in the middle
    assert first_of(1) == "cat"


def test_similar_words_gain_by_gamma():
    vectors = {"dog": [1, 0, 0], "ball": [0, 1, 0], "grass": [0, 0.6, 0.8], "tree": [0, 0, 1]}

    def embed(texts):
        return np.array([vectors[text] for text in texts], np.float32)

    def order(gamma, embed=embed):
        return [word.text for word in choose(RESPONSE, KeyWords(mfpo={"gamma": gamma, "decay": 0}), embed)]

    assert order(0)[0] == order(5, embed=None)[0] == "dog"
    assert order(100) == ["grass", "tree", "ball", "dog"]  # cosines 1.4, .8 and .6; the dog is like nothing


@pytest.mark.parametrize(
    "vectors", [np.zeros((3, 2)), np.zeros(4), np.full((4, 2), np.nan)], ids=["too few", "flat", "no numbers"]
)
def test_embeddings_that_fit_no_word_are_refused(vectors):
    with pytest.raises(TrifacetError, match="give one finite vector per word"):
        choose(RESPONSE, KeyWords(), lambda texts: vectors)


def test_opposite_and_empty_embeddings_leave_no_negative_edge():
    def embed(texts):
        return np.array([[1, 0], [-1, 0], [0, 0], [-1, 0]], np.float32)

    found = choose(RESPONSE, KeyWords(mfpo={"gamma": 100}), embed)
    assert sum(word.score for word in found) == pytest.approx(1)
    assert all(word.score > 0 for word in found)
