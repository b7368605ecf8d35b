"""Probes: labels that are true by construction, files whose faults are named."""

import json
import re

import numpy as np
import pytest

from trifacet.base.errors import DataError
from trifacet.data.records import TestSample
from trifacet.evolving.exchanges import (
    CONTRADICTIONS,
    negated,
    other_colour,
    other_name,
    other_number,
    other_side,
    polarity,
    reworded,
    surface,
)
from trifacet.evolving.probes import (
    ALL,
    CONTRADICTION,
    GIVEN,
    OTHER,
    REFERENCE,
    SECOND,
    SURFACE,
    TRUNCATION,
    WORDING,
    about_lettering,
    is_question,
    make_probes,
    read_probes,
    says_otherwise,
    task_of,
    truncated,
)
from trifacet.metrics.texts import words

TEXTS = [
    "Three red birds sit on the left of a white fence behind the old house.",
    "Anna and Paul meet in front of the Italian bakery in Hamburg on 3 May 2020, at 10:30, with a black dog.",
    "A brown horse is not in the stable. It stands above the river, on the left side, and eats 14 apples.",
    "TWO GREEN BUSES WAIT AT THE STATION IN THE NORTH OF THE CITY",
    "The bike leans on the sofa; there is a photo of seven children on top of the television in the top right corner.",
]
RNG = np.random.default_rng


def rng():
    return RNG(4)


@pytest.mark.parametrize(("change", "text", "found"), [
    (negated, "Yes, a dog.", "No, a dog."),
    (negated, "no", "yes"),
    (negated, "NO", "YES"),
    (negated, "There isn't a dog.", "There is a dog."),
    (negated, "The dog is not brown.", "The dog is brown."),
    (negated, "The dog is brown.", "The dog is not brown."),
    (negated, "A brown dog", None),
    (negated, "Not a dog, nobody, yesterday.", None),
    (other_side, "A cat on the left.", "A cat on the right."),
    (other_side, "The left side is free.", "The right side is free."),
    (other_side, "He left the house right now.", None),
    (other_side, "That is the right answer.", None),
    (other_side, "A dog behind the sofa.", "A dog in front of the sofa."),
    (other_side, "In front of a sofa.", "Behind a sofa."),
    (other_side, "Above the door", "Below the door"),
    (other_side, "He stayed behind.", None),
    (reworded, "A photo", "A photograph"),
    (reworded, "A Photograph", "A Photo"),
    (reworded, "It says “there is a photo”.", None),
    (reworded, "It's a bikeshed", None),
    (reworded, "a tv", "a television"),
    (other_number, "no number", None),
    (other_colour, "no colour", None),
    (other_name, "no name", None),
])  # fmt: skip
def test_rules_by_example(change, text, found):
    assert change(text, rng()) == found


@pytest.mark.parametrize(("text", "found"), [
    ("A dog.", "a dog"), ("a dog", "A dog."), ("DOG", "DOG."), ("A", "A."), ("USA wins.", "USA wins"), ("?", None),
    ("Really?", "really?"), ("Well...", "well..."), ("ein Hund", "Ein Hund."), (".", None),
])  # fmt: skip
def test_the_surface_alone_changes(text, found):
    assert surface(text) == found
    assert found is None or words(found) == words(text)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_a_contradiction_changes_one_place_and_nothing_else(kind, text):
    for seed in range(20):
        changed = CONTRADICTIONS[kind](text, RNG(seed))
        if changed is None:
            continue
        ours, theirs = words(text), words(changed)
        assert ours != theirs
        start = next(n for n, (one, two) in enumerate(zip(ours, theirs, strict=False)) if one != two)
        ends = next((n for n, (a, b) in enumerate(zip(ours[::-1], theirs[::-1], strict=False)) if a != b), 0)
        gone, new = ours[start : len(ours) - ends], theirs[start : len(theirs) - ends]
        assert len(gone) <= 3 and len(new) <= 3, (gone, new)
        if kind == "number":
            assert all(number not in text.split() for number in new if number.isdigit())
        if kind == "colour":
            assert new[0] not in ours
        assert CONTRADICTIONS[kind](text, RNG(seed)) == changed


def test_each_kind_of_contradiction_is_found_somewhere():
    assert {kind for kind, change in CONTRADICTIONS.items() if any(change(text, rng()) for text in TEXTS)} == set(
        CONTRADICTIONS
    )


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_cut_lacks_more_than_half(text):
    cut = truncated(text)
    assert text.startswith(cut[:-1]) and 2 * len(words(cut)) < len(words(text))
    assert truncated("Three dogs on a sofa.") is None


@pytest.mark.parametrize(("request_", "question", "lettering"), [
    ("Describe the picture.", False, False), ("How many dogs are there?", True, False), ("Count them.", True, False),
    ("What does the sign say?", True, True), ("Write alt-text for the image.", False, False),
    ("Read the words.", False, True), ("Is the dog brown", True, False),
])  # fmt: skip
def test_what_is_asked_for(request_, question, lettering):
    assert (is_question(request_), about_lettering(request_)) == (question, lettering)


@pytest.mark.parametrize(("reference", "other", "asked", "otherwise"), [
    ("The car is red.", "Red.", "What colour is the car?", False),
    ("The car is red.", "It is blue.", "What colour is the car?", True),
    ("There are three dogs.", "3", "How many dogs are there?", False),
    ("There are three dogs.", "Four dogs", "How many dogs are there?", True),
    ("Yes, a dog.", "Yes, a cat.", "Is there a dog?", False),
    ("Yes, a dog.", "No.", "Is there a dog?", True),
    ("Yes", "Two", "Is there a dog?", False),
    ("A dog on a sofa.", "A brown dog lies on a sofa.", "Describe.", False),
    ("A dog on a sofa.", "Two boats in a harbour.", "Describe.", True),
    ("The dogs", "The dog", "What is it?", False),
    ("", "A dog", "Describe.", False),
])  # fmt: skip
def test_another_answer_surely_is_another(reference, other, asked, otherwise):
    assert says_otherwise(reference, other, asked) is otherwise


def described(samples=40):
    rng = RNG(0)
    things = ["dog", "cat", "horse", "boat", "bus", "kite", "tree", "house", "river", "clock", "lamp", "apple"]
    colours = ["red", "blue", "green", "black", "white"]
    found = []
    for n in range(samples):
        one, two = rng.choice(things, 2, replace=False)
        count, colour = rng.choice(["Two", "Three", "Four"]), rng.choice(colours)
        text = f"{count} {colour} {one}s stand on the left of a {two}, and nobody is near."
        if n % 2:
            sample = TestSample(
                id=f"d{n}",
                image=f"{n}.png",
                prompt="Describe it.",
                references=(text, f"{one} by {two}"),
                extra={"task": "describe"},
            )
        else:
            answer = ("Yes, " if n % 4 else "No, ") + text.lower()
            sample = TestSample(
                id=f"d{n}", image=f"{n}.png", prompt="Is it so?", references=(answer,), extra={"task": "yes-no"}
            )
        found.append(sample)
    return found


def test_made_probes_are_balanced_and_their_labels_true():
    samples = described()
    by_id = {sample.id: sample for sample in samples}
    probes = make_probes(samples, 30, "task", "Describe.", 7)
    assert len({probe.sample.id for probe in probes}) == 30
    assert {probe.task for probe in probes} == {"describe", "yes-no"}
    assert len({probe.id for probe in probes}) == len(probes)
    kinds = set()
    for name in {probe.sample.id for probe in probes}:
        of_one = [probe for probe in probes if probe.sample.id == name]
        assert sum(probe.label for probe in of_one) * 2 == len(of_one) > 0
        assert [probe.answer.answer for probe in of_one] == list(range(len(of_one)))
    for probe in probes:
        sample, text = by_id[probe.sample.id], probe.answer.text
        reference = sample.references[0]
        assert probe.sample.references == (reference,) and probe.unit == sample.id
        kinds.add(probe.kind.partition(":")[0])
        if probe.kind == REFERENCE:
            assert probe.label and text == reference
        elif probe.kind == SURFACE:
            assert probe.label and text != reference and words(text) == words(reference)
        elif probe.kind == SECOND:
            assert probe.label and text in sample.references[1:]
        elif probe.kind == TRUNCATION:
            assert not probe.label and reference.startswith(text[:-1]) and not is_question(sample.prompt)
        elif probe.kind == OTHER:
            assert not probe.label and text in {one.references[0] for one in samples if one.image != sample.image}
            assert polarity(text) != polarity(reference) or says_otherwise(reference, text, sample.prompt)
        else:
            assert not probe.label and probe.kind.startswith(CONTRADICTION)
            assert len(set(words(text)) ^ set(words(reference))) <= 4 and words(text) != words(reference)
    assert kinds == {REFERENCE, SURFACE, SECOND, TRUNCATION, OTHER, CONTRADICTION.strip(": ")}


def test_the_same_probes_whatever_stands_before():
    samples = described()
    assert make_probes(samples, 10, "task", "Describe.", 7) == make_probes(samples, 10, "task", "Describe.", 7)
    assert make_probes(samples, 10, "task", "Describe.", 8) != make_probes(samples, 10, "task", "Describe.", 7)
    ids = [probe.sample.id for probe in make_probes(samples, 10, "task", "Describe.", 7)]
    assert len(set(ids) & {sample.id for sample in samples if sample.extra["task"] == "yes-no"}) == 5


def test_samples_that_nothing_can_be_made_of_give_none():
    bare = [TestSample(id="a", image="a.png"), TestSample(id="b", image="b.png", references=("犬",))]
    assert make_probes(bare, 10, "task", "Describe.", 7) == []
    assert make_probes([], 10, "task", "Describe.", 7) == []


@pytest.mark.parametrize(
    ("value", "task"), [("count", "count"), (3, "3"), (None, ALL), (True, ALL), ([1], ALL), (" ", ALL)]
)
def test_the_task_of_a_sample(value, task):
    sample = TestSample(id="a", image="a.png", extra={"kind": value})
    assert task_of(sample, "kind") == task and task_of(sample, "other") == ALL


GOOD = {
    "id": "p1",
    "task": "count",
    "image": "0.png",
    "prompt": "How many?",
    "reference": "Two",
    "answer": "2",
    "label": True,
}


def written(path, *rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_probes_of_a_file(shown, tmp_path):
    file = written(tmp_path / "p.jsonl", GOOD, {"id": "p2", "reference": "A dog", "answer": "A cat ", "label": False})
    first, second = read_probes(file, shown)
    assert (first.task, first.label, first.kind, first.id, first.unit) == ("count", True, GIVEN, "p1", "0.png")
    assert first.sample.prompt == "How many?" and first.sample.references == ("Two",) and first.answer.text == "2"
    assert (second.task, second.label, second.answer.text, second.sample.image) == (ALL, False, "A cat", None)


@pytest.mark.parametrize(("change", "told"), [
    ({"label": 1}, "row 2, field 'label': is int, not true or false; write true for a right answer"),
    ({"label": "true"}, "row 2, field 'label': is str, not true or false"),
    ({"label": None}, "row 2, field 'label': is missing; give it a value"),
    ({"reference": " "}, "row 2, field 'reference': is no text, or an empty one; write it as a text"),
    ({"answer": ["a"]}, "row 2, field 'answer': is no text"),
    ({"task": 3}, "row 2, field 'task': is no text"),
    ({"id": "p1"}, "row 2, field 'id': 'p1' is the id of row 1 too; give each probe its own id"),
    ({"id": 7}, "row 2, field 'id': "),
    ({"image": "none.png"}, "row 2, field 'image': no image file 'none.png' under "),
    ({"image": "../none.png"}, "row 2, field 'image': path '../none.png' lies outside"),
    ({"lable": True}, "row 2, field 'lable': is no field of a probe; did you mean 'label'?"),
    ({"x": True}, "row 2, field 'x': is no field of a probe; known fields are id, task, image"),
    ({"prompt": ""}, "row 2, field 'prompt': is empty"),
])  # fmt: skip
def test_what_is_wrong_with_a_row_is_named(change, told, shown, tmp_path):
    file = written(tmp_path / "p.jsonl", GOOD, {**GOOD, "id": "p2", **change})
    with pytest.raises(DataError) as error:
        read_probes(file, shown)
    assert told in str(error.value) and "p.jsonl" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "\n\n", "{", "[1]", '{"id": "a"'])
def test_a_file_that_is_none(content, shown, tmp_path):
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "p.jsonl"))):
        read_probes(written(tmp_path / "p.jsonl", content), shown)


def test_wordings_need_no_lettering():
    text = "A photo of a bike, and nobody near it at all."
    pool = [TestSample(id=f"w{n}", image=f"{n}.png", prompt=prompt, references=(text if n < 2 else "Two boats wait.",))
            for n, prompt in enumerate(["Describe it.", "Read the sign.", "Describe it."])]  # fmt: skip
    kinds = {
        name: {
            probe.kind
            for seed in range(6)
            for probe in make_probes(pool, 3, "task", "", seed)
            if probe.sample.id == name
        }
        for name in ("w0", "w1")
    }
    assert WORDING in kinds["w0"] and WORDING not in kinds["w1"]
