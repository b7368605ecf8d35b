"""The paper profile equals the packages it is defined by, and the targets computed with MCM-DPO's own formulas."""

import json
import random
import tracemalloc
import warnings
from pathlib import Path

import pytest
from nltk.tokenize import word_tokenize

from trifacet.metrics import paper, rouge
from trifacet.metrics.cider import cider_d
from trifacet.metrics.paper import paper_scores
from trifacet.metrics.rouge import rouge_l
from trifacet.metrics.wordnet import find_wordnet, packaged_wordnet

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
ORACLE = SHARED / "mcmdpo_metrics" / "mcmdpo_oracle.json"
OURS_TO_ORACLE = {
    "bleu_4": "bleu_4",
    "bleu_4_cumulative": "cum_bleu_4",
    "meteor": "meteor",
    "rouge_l": "rouge",
    "cider": "cider",
}
WORDS = [
    "a",
    "A",
    "dog",
    "dogs",
    "red",
    "disc",
    "discs,",
    "on",
    "the",
    "grass",
    "e.g.",
    "end.",
    "Mara's",
    "U.S.",
    "two",
]

needs_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason="no ../shared/data/mcmdpo_metrics")


@pytest.fixture(autouse=True)
def packaged_synonyms(monkeypatch):
    monkeypatch.setattr(paper, "find_wordnet", packaged_wordnet)  # an installed one takes seconds to read


def one_line(text):
    return word_tokenize(text, preserve_line=True)


def made_up(count, seed, longest=16):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, longest))) for _ in range(count)]


def oracle_pairs(name, oracle):
    if name.startswith("pinterest"):
        return oracle[name]["pairs"]
    captions = json.loads((SHARED / "coco_fakecap" / "fakecap_with_refs.json").read_text(encoding="utf-8"))
    return [(row["candidates"][0], row["references"][0]) for row in captions]


@needs_oracle
@pytest.mark.parametrize("name", ["fakecap_vs_ref0", "pinterest_train_rejected_vs_chosen"])
@pytest.mark.parametrize("wordnet", [packaged_wordnet, find_wordnet])
def test_equals_the_oracle_per_caption_and_for_the_corpus(name, wordnet):
    oracle = json.loads(ORACLE.read_text(encoding="utf-8"))
    hypotheses, references = zip(*oracle_pairs(name, oracle), strict=True)
    rows = paper_scores(hypotheses, references, tokenize=one_line, wordnet=wordnet()).rows
    assert len(rows) == len(oracle[name]["per"])
    for ours, theirs in OURS_TO_ORACLE.items():
        values = [row[ours] / 100 for row in rows]
        assert values == pytest.approx([row[theirs] for row in oracle[name]["per"]], abs=1e-9, rel=0)
        assert sum(values) / len(values) == pytest.approx(oracle[name]["agg"][theirs], abs=1e-9, rel=0)


def test_bleu_is_nltks():
    from nltk.translate.bleu_score import sentence_bleu

    hypotheses, references = made_up(40, 1), made_up(40, 2)
    references[:10] = [text + " in the sun" for text in hypotheses[:10]]  # some with common 4-grams
    rows = paper_scores(hypotheses, references, tokenize=one_line).rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row, hypothesis, reference in zip(rows, hypotheses, references, strict=True):
            ours, theirs = [one_line(reference)], one_line(hypothesis)
            assert row["bleu_4"] == 100 * sentence_bleu(ours, theirs, weights=(0, 0, 0, 1))
            assert row["bleu_4_cumulative"] == 100 * sentence_bleu(ours, theirs)


def test_meteor_is_nltks_and_knows_synonyms():
    from nltk.translate.meteor_score import meteor_score

    reader = packaged_wordnet().reader
    hypotheses, references = [*made_up(20, 3), "a car on the road"], [*made_up(20, 4), "an auto there"]
    rows = paper_scores(hypotheses, references, tokenize=one_line).rows
    for row, hypothesis, reference in zip(rows, hypotheses, references, strict=True):
        assert row["meteor"] == 100 * meteor_score([one_line(reference)], one_line(hypothesis), wordnet=reader)
    assert rows[-1]["meteor"] == pytest.approx(15.625)  # 1 of 5 and of 3 words, "car" and "auto", in one chunk


def test_rouge_is_the_packages_on_made_up_text():
    from rouge import Rouge

    package = Rouge(metrics=["rouge-l"], stats=["f"])
    hypotheses, references = made_up(300, 5, longest=30), made_up(300, 6, longest=30)
    draw = random.Random(7)
    few = [" ".join(draw.choices(draw.choice(["ab", "abc.", "abcdefgh.."]), k=draw.randint(1, 40))) for _ in range(600)]
    few = [text for text in few if text.strip(" .")]  # with many ways to a longest subsequence
    half = len(few) // 2
    hypotheses, references = hypotheses + few[:half], references + few[half : 2 * half]
    hypotheses += ["A dog. ", " . a", "a.b.c", "..a..", "tab\tand\nline"]
    references += ["A dog.", "a", "c.b.a", "a..a", "and line . tab"]
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        assert rouge_l(hypothesis, reference) == package.get_scores(hypothesis, reference)[0]["rouge-l"]["f"]


def test_rouge_takes_texts_on_which_the_package_gives_up():
    long = " ".join(f"w{index % 700}" for index in range(1500))
    assert rouge_l(long, long) == pytest.approx(1.0, abs=1e-6)
    assert rouge_l("...", "a dog") == rouge_l("a dog", ".") == rouge_l("", "a dog") == 0.0


def test_rouge_of_the_longest_texts_takes_little_memory():
    draw = random.Random(8)
    texts = [" ".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=9_900)) for _ in range(2)]
    tracemalloc.start()
    assert rouge_l(*texts) == pytest.approx(1.0, abs=1e-6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # bytes; a table would take 800 MB


def test_a_sentence_that_stands_often_is_compared_once(monkeypatch):
    """A text in a loop would otherwise take time that grows with the square of its sentences."""
    asked = []
    real = rouge._common_subsequence
    monkeypatch.setattr(rouge, "_common_subsequence", lambda x, y: asked.append((x, y)) or real(x, y))
    assert rouge_l("a red dog. " * 50, "a dog. " * 50) == pytest.approx(rouge_l("a red dog. " * 2, "a dog. " * 2))
    assert len(asked) == 2 * len(set(asked))


def test_cider_is_the_coco_toolkits_scorer():
    scorer = pytest.importorskip("pycocoevalcap.cider.cider_scorer", reason="needs pycocoevalcap (extra dev)")
    hypotheses = made_up(60, 7)
    references = [made_up(1 + index % 4, 100 + index) for index in range(60)]
    hypotheses[:4] = ["", " ", "dog", references[3][0]]
    theirs = scorer.CiderScorer()
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        theirs += (hypothesis, texts)
    _, expected = theirs.compute_score()
    assert cider_d(hypotheses, references) == pytest.approx(list(expected), abs=1e-9, rel=0)
    assert max(expected) > 1


def test_cider_depends_on_the_whole_set():
    pairs = ["red disc", "a ring", "two red discs"], [["a red disc"], ["a blue ring"], ["two red discs"]]
    alone = cider_d(pairs[0][:2], pairs[1][:2])
    assert alone != pytest.approx(cider_d(*pairs)[:2])
    with pytest.raises(ValueError, match="no reference"):
        cider_d(["a"], [[]])


def test_cider_of_one_sample_is_zero_and_said():
    scores = paper_scores(["a red disc"], ["a red disc"], tokenize=one_line)
    assert scores.rows[0]["cider"] == 0
    assert any("CIDEr of a single sample" in note for note in scores.notes)


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_text_scores_zero_everywhere(empty):
    references = ["A dog. ", "a red disc"]
    row = paper_scores([empty, "a red disc"], references, tokenize=one_line).rows[0]
    assert set(row.values()) == {0.0}


def test_nothing_is_warned_of(recwarn):
    paper_scores(["a b", "c d"], ["e f", "c x"])
    assert not recwarn.list


def test_the_words_of_one_sentence_do_not_depend_on_punkt():
    tokenize, note = paper.word_tokenizer()
    assert tokenize("A red disc, and Mara's two dogs.") == one_line("A red disc, and Mara's two dogs.")
    assert "word_tokenize" in note
