"""The coco profile equals the toolkit: on its published captions, and its own scorers on any token lists."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.metrics import ngrams
from trifacet.metrics.bleu import bleu, bleu_statistics
from trifacet.metrics.coco import COCO_METRICS, Tokenized, coco_measures, tokenized
from trifacet.metrics.rouge import rouge_l_coco

SHARED = Path(__file__).parents[2] / ".." / "shared"
FAKECAP = SHARED / "data" / "coco_fakecap"
NAMES = dict(zip(COCO_METRICS, ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"], strict=True))
EXACT = {"abs": 1e-12, "rel": 0}

words = st.lists(st.sampled_from(["a", "b", "c", "d", "the", "disc", "red"]), max_size=9)
captions = st.lists(st.tuples(words, st.lists(words, min_size=1, max_size=4)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def fakecap():
    if not FAKECAP.is_dir():
        pytest.skip(f"no published captions at {FAKECAP}")
    rows = json.loads((FAKECAP / "fakecap_with_refs.json").read_text(encoding="utf-8"))
    oracle = json.loads(gzip.decompress((FAKECAP / "oracle_pycocoevalcap_1.2.json.gz").read_bytes()))
    ids = [str(row["_id"]) for row in rows]
    return tokenized(ids, [row["candidates"][0] for row in rows], [row["references"] for row in rows]), oracle


def measured(pairs):
    ids = tuple(map(str, range(len(pairs))))
    found = Tokenized(ids, [ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    return {measure.name: measure for measure in coco_measures(found)}


def test_the_published_captions_from_their_raw_text(fakecap):
    found, oracle = fakecap
    measures = coco_measures(found)
    assert tuple(measure.name for measure in measures) == COCO_METRICS
    for measure in measures:
        name = NAMES[measure.name]
        assert measure.value / 100 == pytest.approx(oracle["corpus"][name], abs=1e-9, rel=0)
        theirs = [oracle["per_image"][name][unit] for unit in measure.units]
        assert (measure.of_units() / 100).tolist() == pytest.approx(theirs, abs=1e-9, rel=0)
    expected = json.loads((SHARED / "data" / "EXPECTED.json").read_text())["coco_fakecap"]["bleu_internals"]
    integers = [expected["testlen"], expected["reflen"], *expected["guess"], *expected["correct"]]
    assert measures[0].sums_UK.sum(axis=0).tolist() == integers


def test_sacrebleu_on_the_same_tokens(fakecap):
    """sacrebleu has no small constants; on a corpus with hits of every order they are beyond its twelfth digit.

    It joins and splits nothing: tokenize none, no smoothing. References come as columns, short ones filled with None.
    """
    sacrebleu = pytest.importorskip("sacrebleu", reason="needs sacrebleu (extra dev)")
    found, _ = fakecap
    most = max(map(len, found.references))
    columns = [
        [" ".join(texts[column]) if column < len(texts) else None for texts in found.references]
        for column in range(most)
    ]
    texts = [" ".join(tokens) for tokens in found.hypotheses]
    measures = {measure.name: measure.value for measure in coco_measures(found)}
    for order in range(1, 5):
        peer = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)
        theirs = peer.corpus_score(texts, columns)
        # The constants shift each precision by about 1e-9 / guess, 1e-13 of its value.
        assert measures[f"coco/bleu_{order}"] / 100 == pytest.approx(theirs.score / 100, abs=1e-12, rel=0)


@searched(150)
@given(captions)
def test_the_toolkits_own_scorers_on_any_tokens(pairs):
    bleu_scorer = pytest.importorskip("pycocoevalcap.bleu.bleu_scorer", reason="needs pycocoevalcap (extra dev)")
    cider_scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer")
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge").Rouge()
    theirs_bleu, theirs_cider = bleu_scorer.BleuScorer(n=4), cider_scorer.CiderScorer()
    joined = [(" ".join(ours), [" ".join(text) for text in texts]) for ours, texts in pairs]
    for ours, texts in joined:
        theirs_bleu += (ours, texts)
        theirs_cider += (ours, texts)
    measures = measured(pairs)
    values, each = theirs_bleu.compute_score(option="closest")
    for order in range(4):
        measure = measures[f"coco/bleu_{order + 1}"]
        assert measure.value / 100 == pytest.approx(values[order], **EXACT)
        assert (measure.of_units() / 100).tolist() == pytest.approx(each[order], **EXACT)
    rouges = [rouge.calc_score([ours], texts) for ours, texts in joined]
    assert (measures["coco/rouge_l"].of_units() / 100).tolist() == pytest.approx(rouges, **EXACT)
    if any(text for _, texts in pairs for text in texts):  # else the toolkit's scorer stops: max of nothing
        _, ciders = theirs_cider.compute_score()
        assert (measures["coco/cider"].of_units() / 100).tolist() == pytest.approx(list(ciders), **EXACT)


def test_corpus_bleu_of_a_resample_is_that_of_the_captions_drawn():
    draw = random.Random(3)
    texts = [draw.choices(["a", "b", "c", "d", "e"], k=draw.randint(4, 9)) for _ in range(40)]
    pairs = [(texts[place], [texts[place + 1], texts[place + 2]]) for place in range(30)]
    drawn = [draw.randrange(30) for _ in range(30)]
    weights = np.bincount(drawn, minlength=30)[None]
    again = measured([pairs[place] for place in drawn])
    for name, measure in measured(pairs).items():
        if "bleu" in name or "rouge" in name:
            assert measure.resampled(weights)[0] == pytest.approx(again[name].value, **EXACT)


@searched(200)
@given(words, words)
def test_the_common_subsequence_is_that_of_the_textbook(ours, theirs):
    table = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i, word in enumerate(ours, start=1):
        for j, other in enumerate(theirs, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if word == other else max(table[i - 1][j], table[i][j - 1])
    common = table[-1][-1]
    precision, recall = common / (len(ours) or 1), common / (len(theirs) or 1)
    expected = 2.44 * precision * recall / (recall + 1.44 * precision) if common else float(not ours and not theirs)
    assert rouge_l_coco(ours, [theirs]) == pytest.approx(expected, **EXACT)


def test_closest_length_and_clipping_by_hand():
    pairs = [(["a", "a", "a", "b"], [["a", "a", "c"], ["a", "b", "c", "d", "e"], ["b", "a", "a"]])]
    counted = ngrams.index([pairs[0][0]], [pairs[0][1]])
    # 3 and 5 words are equally near to 4: the shorter. "a" counts twice, as in one reference, and "b" once.
    assert bleu_statistics(counted)[0].tolist() == [4, 3, 4, 3, 2, 1, 3, 2, 0, 0]
    assert bleu(1)(bleu_statistics(counted))[0] == pytest.approx(75)


def test_one_sample_has_no_cider_and_empty_captions_count():
    assert measured([(["a"], [["a"]])])["coco/cider"].value == 0
    empty = measured([([], [["a", "b"]]), ([], [[]])])
    assert empty["coco/bleu_1"].value == pytest.approx(0, abs=1e-9)
    assert empty["coco/rouge_l"].of_units().tolist() == [0, 100]  # two empty captions are alike: one empty word each
    assert empty["coco/cider"].value == 0


def test_keys_too_wide_for_one_number_give_the_same_counts(monkeypatch):
    pairs = [(["a", "b", "c", "d", "a", "b"], [["a", "b", "c"], ["d", "a", "b", "b"]]), (["c"], [["c", "d"]])]
    packed = {name: measure.value for name, measure in measured(pairs).items()}
    usual = ngrams._by_key
    wide = 1 << 61  # keys in the same order, which leave no bits for the places
    monkeypatch.setattr(ngrams, "_by_key", lambda key_W, start_W, total: usual(key_W + wide, start_W, total))
    assert packed == {name: measure.value for name, measure in measured(pairs).items()}
    assert ngrams.index([], []).hypothesis_words_S.shape == (0,)


def test_a_token_with_a_space_is_split_as_the_toolkit_splits_it():
    fraction = "1\xa01/2"
    found = measured([([fraction, "cup"], [[fraction, "cup"]]), (["x"], [["y"]])])
    assert found["coco/bleu_1"].sums_UK[0].tolist() == [3, 3, 3, 2, 1, 0, 3, 2, 1, 0]
    assert found["coco/rouge_l"].of_units()[0] == pytest.approx(100)
    assert rouge_l_coco([fraction, "cup"], [["1", "cup"]]) == pytest.approx(0.5)  # two words, not three


def test_rouge_keeps_a_no_break_space_within_its_token():
    """As the toolkit, which splits there for BLEU and CIDEr: 2 of 4 tokens are alike for ROUGE-L, 3 of 6 for BLEU."""
    found = tokenized(["1"], ["a 1 1/2 inch bolt"], [["a 1 1/4 inch nut", "call (555) 123-4567"]])
    assert found.hypotheses == [["a", "1\xa01/2", "inch", "bolt"]]
    measures = {measure.name: measure for measure in coco_measures(found)}
    assert measures["coco/rouge_l"].value == pytest.approx(50)
    assert measures["coco/bleu_1"].sums_UK[0].tolist()[:2] == [5, 5]


def test_the_files_next_caption_decides_about_an_initial_at_the_end():
    """References are a file of their own, in the order of the samples, in which the last caption has none behind it."""
    found = tokenized(
        ["1", "2"], ["on the Wii U.", "A dog"], [["plays on a Wii U.", "on the Wii U."], ["The dog", "on a Wii U."]]
    )
    assert [tokens[-1] for tokens in found.hypotheses] == ["u", "dog"]
    assert [[tokens[-1] for tokens in texts] for texts in found.references] == [["u.", "u"], ["dog", "u."]]
