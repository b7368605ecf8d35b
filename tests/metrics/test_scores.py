"""Texts and samples meet by id; what cannot be computed is None and said; degenerated runs are recognised."""

import pytest

from trifacet.base.errors import DataError
from trifacet.data.records import TestSample
from trifacet.metrics import paper
from trifacet.metrics.lint import LINT
from trifacet.metrics.scores import score_texts
from trifacet.metrics.texts import degenerate, length, repetition
from trifacet.metrics.wordnet import packaged_wordnet

COLOURS = {"facts": {"colour": ["red"]}, "confusions": {"colour": ["blue"]}}


@pytest.fixture(autouse=True)
def packaged_synonyms(monkeypatch):
    monkeypatch.setattr(paper, "find_wordnet", packaged_wordnet)  # an installed one takes seconds to read


def sample(name, *references, **extra):
    return TestSample(id=name, image=f"{name}.png", references=references, extra=extra)


def test_means_are_over_the_samples_that_have_the_metric():
    samples = [sample("1", "a red disc on grass", **COLOURS), sample("2", **COLOURS), sample("3", "two rings on sand")]
    scores = score_texts({"3": "two rings on sand", "2": "a blue box", "1": "a red disc on grass"}, samples)
    assert list(scores.metrics) == [
        *paper.PAPER_METRICS,
        "grounding/colour",
        "grounding",
        *LINT,
        "repetition",
        "length",
    ]
    assert scores.metrics["bleu_4"] == pytest.approx(100)
    assert scores.metrics["grounding/colour"] == scores.metrics["grounding"] == 50
    assert scores.metrics["length"] == pytest.approx((5 + 3 + 4) / 3)
    assert scores.metrics["meteor"] == pytest.approx(100 * (1 - (0.5 / 5**3 + 0.5 / 4**3) / 2))  # one chunk each
    assert set(scores.per_sample["2"]) == {"grounding/colour", "grounding", *LINT, "repetition", "length"}
    assert list(scores.per_sample) == ["1", "2", "3"]
    assert any("1 of 3 samples have no reference" in note for note in scores.notes)


def test_the_first_reference_is_the_one_and_it_is_said():
    samples = [sample("1", "a red disc on grass", "other words"), sample("2", "two rings on the sand")]
    texts = {"1": "a red disc on grass", "2": "two rings"}
    scores = score_texts(texts, samples)
    assert scores.per_sample["1"]["rouge_l"] == pytest.approx(100, abs=1e-5)
    assert any("several references" in note for note in scores.notes)
    single = score_texts(texts, [sample("1", "a red disc on grass"), samples[1]])
    assert single.metrics == scores.metrics


def test_no_reference_at_all_leaves_the_paper_metrics_out():
    scores = score_texts({"1": "a red disc"}, [sample("1", **COLOURS)])
    assert all(scores.metrics[name] is None for name in paper.PAPER_METRICS)
    assert scores.metrics["grounding"] == 100
    assert "no sample has a reference" in scores.notes[0]


@pytest.mark.parametrize(
    ("texts", "samples", "named"),
    [
        ({"1": "a"}, ["1", "2", "3"], "lack 2 ids: '2', '3'"),
        ({"1": "a", "9": "b"}, ["1"], "do not have 1 id: '9'"),
        ({"1": "a"}, ["1", "1"], "twice 1 id: '1'"),
        ({}, [str(number) for number in range(9)], "'4' and 4 more"),
        ({"1": "a"}, [], "no sample"),
    ],
)
def test_ids_that_do_not_match_are_named(texts, samples, named):
    with pytest.raises(DataError, match=named):
        score_texts(texts, [sample(name, "a") for name in samples])


def test_malformed_facts_name_the_sample():
    with pytest.raises(DataError, match=r"sample 'x'.*extra\.facts"):
        score_texts({"x": "a"}, [sample("x", "a", facts=3)])


def test_every_metric_is_the_value_of_a_measure():
    samples = [sample("1", "a red disc on grass", "red", **COLOURS), sample("2", **COLOURS), sample("3", "two rings")]
    scores = score_texts({"3": "two rings", "2": "a blue box", "1": "a red disc"}, samples, profiles=("coco", "paper"))
    measures = {measure.name: measure for measure in scores.measures}
    assert {name: measure.value for name, measure in measures.items()} == {
        name: value for name, value in scores.metrics.items() if value is not None
    }
    assert measures["coco/bleu_2"].units == ("1", "3")
    assert measures["repetition"].better == "lower"
    for name, measure in measures.items():
        values = {unit: row[name] for unit, row in scores.per_sample.items() if name in row}
        assert dict(zip(measure.units, measure.of_units().tolist(), strict=True)) == values


def test_texts_of_several_sentences_are_marked_where_nltk_cannot_split_them(monkeypatch):
    pairs = [sample("1", "A disc. It is red."), sample("2", "a ring")]
    for installed, marked in ((False, {"bleu_4", "bleu_4_cumulative", "meteor"}), (True, set())):
        monkeypatch.setattr(paper, "punkt_installed", lambda there=installed: there)
        monkeypatch.setattr(paper, "word_tokenizer", lambda: (str.split, "split"))
        measures = score_texts({"1": "a disc", "2": "a ring"}, pairs).measures
        assert {measure.name for measure in measures if measure.unofficial} == marked


def test_repetition_and_length():
    assert repetition("red red red red") == pytest.approx(2 / 3)
    assert repetition("a red disc, a red disc") == pytest.approx(2 / 5)
    assert repetition("a red disc") == repetition("disc") == repetition("") == 0
    assert length("Mara's two light-blue discs, here.") == 5


def test_a_degenerated_run_is_recognised_and_says_why():
    healthy = ["a red disc on the grass"] * 10
    assert degenerate(healthy) is None
    assert degenerate(healthy, at_limit=1) is None
    assert "2 of 10 texts ran into the limit" in degenerate(healthy, at_limit=2)
    assert "word pairs are repeats" in degenerate(["disc disc disc disc"] * 3 + healthy[:5])
    assert "2 of 10 texts have no word" in degenerate([*healthy[:8], "", "..."])
    assert degenerate([]) is None
    scores = score_texts({"1": "la la la la"}, [sample("1", "a song")])
    assert scores.degenerate
    assert any(scores.degenerate in note for note in scores.notes)
