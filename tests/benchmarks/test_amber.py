"""AMBER: what nouns cover, its program's formulas, and its tools."""

import json

import numpy as np
import pytest

from trifacet.base.errors import DataError, TrifacetError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.checking import check_files
from trifacet.benchmarks.known import amber
from trifacet.benchmarks.objects.amber_counts import AmberCounts, WordList, amber_f1, count_nouns, rounded
from trifacet.benchmarks.objects.nouns import noun_tagger, similarity

TRUTH = WordList(("road", "person", "person"), (("path", "ground"), ("man",), ("man",)))
TEMPTING = WordList(("car", "dog"), (("ground", "bus"), ("puppy",)))
VOCABULARY = {"road", "path", "ground", "person", "man", "car", "bus", "dog", "puppy", "sky", "orange", "street"}
EQUAL = str.__eq__


def counts(text, alike=EQUAL):
    return count_nouns(text.split(), TRUTH, TEMPTING, VOCABULARY, {"orange"}, alike)


@pytest.mark.parametrize(
    ("nouns", "expected"),
    [
        ("road path", AmberCounts(2, 0, 3, 1, 2, 0)),
        ("person man", AmberCounts(2, 0, 3, 1, 2, 0)),  # a word that stands there twice is covered once
        ("orange", AmberCounts(1, 0, 3, 0, 2, 0)),  # ignored, but in the denominator
        ("unicorn", AmberCounts(0, 0, 3, 0, 2, 0)),  # outside the vocabulary
        ("ground", AmberCounts(1, 0, 3, 1, 2, 0)),  # in both lists: the truth comes first
        ("bus puppy dog", AmberCounts(3, 3, 3, 0, 2, 2)),
        ("sky", AmberCounts(1, 1, 3, 0, 2, 0)),
        ("", AmberCounts(0, 0, 3, 0, 2, 0)),
    ],
)
def test_counts_of_a_response(nouns, expected):
    assert counts(nouns) == expected


def test_a_noun_that_is_like_another():
    """Like a truth word: covered and no hallucination, also where it is marked as one that was tempting."""

    def alike(word, other):
        return word == other or (word, other) in {("street", "road"), ("street", "car"), ("sky", "dog")}

    assert counts("street", alike) == AmberCounts(1, 0, 3, 1, 2, 1)
    assert counts("sky", alike) == AmberCounts(1, 1, 3, 0, 2, 1)


def write(folder, *, note=None, relation=None, query=None):
    (folder / "query").mkdir(exist_ok=True)
    notes = [
        {"id": 1, "type": "generative", "truth": ["sky", "dog"], "hallu": ["cat"]},
        {"id": 2, "type": "discriminative-hallucination", "truth": "no"},
        {"id": 3, "type": "discriminative-attribute-state", "truth": "yes"},
        {"id": 4, "type": "relation", "truth": "no"},
    ]
    queries = [{"id": n, "image": f"AMBER_{n % 2}.jpg", "query": "What?"} for n in (1, 2, 3, 4)]
    (folder / "annotations.json").write_text(json.dumps([*notes[:3], note or notes[3]]))
    (folder / "relation.json").write_text(json.dumps(relation or {"sky": [], "dog": ["puppy"], "cat": []}))
    (folder / "safe_words.txt").write_text("orange\nline")
    (folder / "query" / "query_all.json").write_text(json.dumps([*queries[:3], query or queries[3]]))
    return folder


PLAIN = amber.Options(tagger="words", similarity="equal")


def outcome_of(folder, answers, options=PLAIN):
    items = amber.read(folder)
    assert [item.id for item in items] == ["1", "2", "3", "4"]
    return amber.score([Answered(item, text) for item, text in zip(items, answers, strict=True)], options)


def test_numbers_of_both_tasks(tmp_path):
    outcome = outcome_of(write(tmp_path), ["puppy cat sky", "No", "No", "Yes"])
    values = {measure.name: round(measure.value, 1) for measure in outcome.measures}
    assert values["chair"] == round(100 / 3.001, 1)
    assert values["cover"] == round(200 / 2.001, 1)  # 99.95
    assert values["hal"] == 100.0  # 100 less the share without
    assert values["cog"] == 99.9  # denominators start at 0.001
    assert values["existence/accuracy"] == 99.9
    assert values["state/accuracy"] == values["attribute/accuracy"] == 0.0
    assert values["all/recall"] == round(100 / 2.001, 1)  # of two that are no, one was answered so
    assert {m.name for m in outcome.measures if m.name.startswith("number/")} == set()


def test_f1_is_of_rounded_numbers_and_existence_has_an_epsilon_of_its_own():
    sums = np.array([73.0, 100, 73, 73, 100])  # P 100.0, R 73.0
    assert amber_f1(0.0001)(sums) == pytest.approx(100 * 2 * 0.73 / 1.7301)
    assert amber_f1(0.001)(sums) == pytest.approx(100 * 2 * 0.73 / 1.731)
    assert rounded(np.array([0.25, 0.35, 2.675, np.nan])).tolist()[:3] == [0.2, 0.3, 2.7]


def test_only_yes_and_no_alone_are_answers_unless_asked_otherwise(tmp_path):
    folder = write(tmp_path)
    answers = ["sky", "No.", "yes", "no, not at all"]
    assert outcome_of(folder, answers).counts["all/right"] == 0
    lenient = outcome_of(folder, answers, PLAIN.model_copy(update={"answers": "first_word"}))
    assert lenient.counts["all/right"] == 3
    assert all("first word" in m.unofficial for m in lenient.measures if "/" in m.name)


def test_what_is_asked_about_an_image_is_drawn_together(tmp_path):
    outcome = outcome_of(write(tmp_path), ["sky", "No", "Yes", "No"])
    score = next(measure for measure in outcome.measures if measure.name == "amber")
    assert score.units == ("AMBER_1.jpg", "AMBER_0.jpg")


def test_other_tools_are_told_and_missing_ones_leave_their_numbers_out(tmp_path):
    folder = write(tmp_path)
    plain = {measure.name: measure.unofficial for measure in outcome_of(folder, ["sky", "No", "No", "No"]).measures}
    assert "en_core_web_lg" in plain["chair"] and "nltk" in plain["amber"] and plain["all/f1"] == ""
    lacking = outcome_of(folder, ["sky", "No", "No", "No"], amber.Options(tagger="words", similarity="spacy:nowhere"))
    assert all("/" in measure.name for measure in lacking.measures)
    assert any("spaCy model 'nowhere' cannot be loaded" in note for note in lacking.notes)
    with pytest.raises(TrifacetError, match="tagger=guess is not known"):
        noun_tagger("guess")
    with pytest.raises(TrifacetError, match="similarity=spacy: is not known"):
        similarity("spacy:")


def test_a_spacy_model_tags_and_compares(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: pip install 'trifacet[ner]'")
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    ruler.add(patterns=[[{"LOWER": "dogs"}]], attrs={"TAG": "NNS", "LEMMA": "dog"})
    nlp.to_disk(tmp_path / "plain")
    with pytest.raises(TrifacetError, match="has no word vectors"):
        similarity(f"spacy:{tmp_path / 'plain'}")
    for word, vector in (("dog", [1, 0]), ("puppy", [0.9, 0.1]), ("sky", [0, 1])):
        nlp.vocab.set_vector(word, np.array(vector, dtype=np.float32))
    nlp.to_disk(tmp_path / "model")
    alike = similarity(f"spacy:{tmp_path / 'model'}")
    assert (alike("dog", "puppy"), alike("dog", "sky"), alike("dog", "unknown")) == (True, False, False)
    assert noun_tagger(f"spacy:{tmp_path / 'model'}")("Two dogs ran") == ["dog"]


def test_nltk_tags_then_lemmas_as_the_original(monkeypatch):
    import nltk

    monkeypatch.setattr(nltk, "word_tokenize", str.split)
    monkeypatch.setattr(nltk, "pos_tag", lambda words: [(word, "NNS" if word[-1] == "s" else "VB") for word in words])
    assert noun_tagger("nltk")("dogs run churches") == ["dog", "church"]


@pytest.mark.parametrize(
    ("parts", "file", "field"),
    [
        ({"note": {"id": 4, "type": "relations", "truth": "no"}}, "annotations.json", "type"),
        ({"note": {"id": 4, "type": "relation", "truth": "nope"}}, "annotations.json", "truth"),
        ({"note": {"id": 4, "type": "generative", "truth": ["sun"], "hallu": []}}, "annotations.json", "truth"),
        ({"note": {"id": 4, "type": "generative", "truth": ["sky"]}}, "annotations.json", "hallu"),
        ({"note": {"id": 5, "type": "relation", "truth": "no"}}, "query_all.json", "id"),
        ({"query": {"id": 3, "image": "a.jpg", "query": "?"}}, "query_all.json", "id"),
        ({"query": {"id": 4, "image": "a.jpg"}}, "query_all.json", "query"),
        ({"relation": {"sky": "x", "dog": [], "cat": []}}, "relation.json", "sky"),
    ],
)
def test_bad_rows_are_named(tmp_path, parts, file, field):
    with pytest.raises(DataError) as caught:
        amber.read(write(tmp_path, **parts))
    assert (caught.value.file.name, caught.value.field) == (file, field)


def test_the_files_by_task_do_as_well(tmp_path):
    folder = write(tmp_path)
    queries = folder / "query"
    rows = json.loads((queries / "query_all.json").read_text())
    (queries / "query_all.json").unlink()
    with pytest.raises(DataError, match="no such file"):
        amber.read(folder)
    (queries / "query_discriminative-existence.json").write_text(json.dumps(rows[1:2]))
    assert [item.id for item in amber.read(folder)] == ["2"]
    (queries / "query_discriminative.json").write_text(json.dumps(rows[1:]))
    assert [item.id for item in amber.read(folder)] == ["2", "3", "4"]
    (queries / "query_generative.json").write_text(json.dumps(rows[:1]))
    assert [item.id for item in amber.read(folder)] == ["1", "2", "3", "4"]


def test_files_that_are_not_read_decide_nothing(tmp_path):
    """A copy of AMBER's own folder holds the questions twice: all together, and by task."""
    write(tmp_path)
    queries = tmp_path / "query"
    for task in ("generative", "discriminative", "discriminative-relation"):
        (queries / f"query_{task}.json").write_text("[]")

    def states():
        found = check_files(amber.BENCHMARK, tmp_path)
        return {one.need.path.removeprefix("query/query_"): one.state for one in found if "query" in one.need.path}

    assert states() == {
        "all.json": "other",
        "generative.json": "unread",
        "discriminative.json": "unread",
        "discriminative-existence.json": "left out",
        "discriminative-attribute.json": "left out",
        "discriminative-relation.json": "unread",
    }
    (queries / "query_all.json").unlink()
    assert (states()["generative.json"], states()["discriminative-relation.json"]) == ("unknown", "unread")
    (queries / "query_discriminative.json").unlink()
    assert states()["discriminative-relation.json"] == "unknown"


def test_questions_in_no_form_are_missing_files(trifacet, tmp_path):
    folder = write(tmp_path)
    command = ["benchmarks", "check", "amber", "--data", folder, "--json", "-"]
    (folder / "query" / "query_all.json").rename(folder / "query" / "query_discriminative-relation.json")
    states = {one["path"]: one["state"] for one in json.loads(trifacet(*command)[1])["files"]}
    assert states["query/query_all.json"] == "left out"
    (folder / "query" / "query_discriminative-relation.json").unlink()
    code, out, _ = trifacet(*command)
    states = {one["path"]: one["state"] for one in json.loads(out)["files"]}
    assert code == 1 and states["query/query_all.json"] == "missing"
