"""Object HalBench: listed names, what is counted, and the pictures in the user's file."""

import base64
import io
import json

import pytest
from PIL import Image
from toy_benchmark import judge_file

from trifacet.base.errors import DataError, TrifacetError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import object_halbench as bench
from trifacet.benchmarks.objects.coco_objects import read_synonyms
from trifacet.benchmarks.objects.named_objects import mentions, name_reader
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.llm.parsing import UnparsedError
from trifacet.llm.prompts import load_prompt

TABLE = """person, man, woman
dog, puppy
dining table, table, coffee table
bus
tie, bow tie
bear
cake,  cheesecake
"""
OPTIONS = bench.Options(lemmas="wordnet")


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def write(folder, rows, objects=None):
    (folder / bench.SYNONYMS).write_text(TABLE)
    (folder / bench.FILE).write_text("".join(json.dumps(row) + "\n" for row in rows))
    if objects is not None:
        (folder / "objects.json").write_text(json.dumps(objects))
    return folder


def row(image_id, **more):
    return {"org_idx": 1, "image_id": image_id, "question": "Describe the picture.", **more}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Dogs", "dog"], [("dog", "dog")]),  # a word counts once
        (["man", "woman"], [("man", "person"), ("woman", "person")]),  # two words of one object twice
        (["men"], []),  # WordNet has "men" as a word of its own, and NLTK takes the first of the shortest
        (["buses"], [("bus", "bus")]),  # lemmas, not CHAIR's singular forms
        (["coffee tables"], [("coffee table", "dining table")]),
        (["big coffee table"], [("coffee table", "dining table")]),
        (["computer table"], []),  # the whole name counts
        (["baby bear"], [("bear", "bear")]),
        (["bow tie"], [("tie", "tie")]),
        (["cheesecake"], [("cheesecake", "cake")]),  # entries are stripped here
        ([" ", "sky"], []),
    ],
)
def test_names_become_objects(tmp_path, names, found):
    (tmp_path / "table").write_text(TABLE)
    table = read_synonyms(tmp_path / "table", "object-halbench")
    assert [tuple(one) for one in mentions(names, table, name_reader("wordnet", table))] == found


def test_a_spacy_model_finds_the_nouns_of_a_name(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: pip install 'trifacet[ner]'")
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    for word, tag, lemma in (("wooden", "JJ", "wooden"), ("tables", "NNS", "table"), ("coffee", "NN", "coffee"),
                             ("a", "DT", "a"), ("near", "IN", "near"), ("dogs", "NNS", "dog")):  # fmt: skip
        ruler.add(patterns=[[{"LOWER": word}]], attrs={"TAG": tag, "LEMMA": lemma})
    nlp.to_disk(tmp_path / "model")
    (tmp_path / "table").write_text(TABLE)
    words = name_reader(f"spacy:{tmp_path / 'model'}", read_synonyms(tmp_path / "table", "object-halbench"))
    assert words("wooden tables") == ["table"]
    assert words("coffee tables") == ["coffee table"]
    assert words("tables near dogs") == ["table", "dog"]


def test_a_spacy_model_without_a_tagger_is_refused_for_it_would_find_no_object(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: pip install 'trifacet[ner]'")
    spacy.blank("en").to_disk(tmp_path / "model")
    (tmp_path / "table").write_text(TABLE)
    with pytest.raises(TrifacetError, match="finds no noun in 'two dogs'; take an English one"):
        name_reader(f"spacy:{tmp_path / 'model'}", read_synonyms(tmp_path / "table", "object-halbench"))


def test_numbers(tmp_path):
    objects = {"1": ["dog", "person"], "2": ["bus"], "3": [], "4": ["dog"]}
    items = bench.read(write(tmp_path, [row(n) for n in (1, 2, 3, 4)], objects))
    lists = [["women", "bears"], ["bus"], [], None]
    outcome = bench.score(
        [
            Answered(item, "x", None if names is None else {"objects": names})
            for item, names in zip(items, lists, strict=True)
        ],
        OPTIONS,
    )
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["chair_s"] == 50.0  # of the two responses with an object
    assert values["chair_i"] == pytest.approx(100 / 3)
    assert values["recall"] == pytest.approx(100 * 2 / 3)
    assert outcome.counts["without_list"] == 1 and outcome.counts["responses"] == 3
    assert all("wordnet" in measure.unofficial for measure in outcome.measures)


def test_a_missing_tool_is_an_error(tmp_path):
    item = bench.read(write(tmp_path, [row(1)], {"1": []}))[0]
    with pytest.raises(TrifacetError, match="cannot be loaded"):
        bench.score([Answered(item, "x", {"objects": []})], bench.Options(lemmas="spacy:nowhere"))


def test_a_missing_tool_is_told_before_a_judge_is_paid(trifacet, tmp_path):
    data = write(tmp_path, [row(1)], {"1": []})
    (tmp_path / "answers.jsonl").write_text(json.dumps({"image_id": 1, "text": "There is a dog on it."}) + "\n")
    scored = ["benchmarks", "score", "object-halbench", "--data", data, "--answers", tmp_path / "answers.jsonl"]
    with ScriptedEndpoint(lambda messages: '{"objects": ["dog"]}') as endpoint:
        judge = ["--judge", judge_file(tmp_path, endpoint), "--output", tmp_path / "result"]
        code, _, err = trifacet(*scored, *judge, "--set", "lemmas=spacy:nowhere")
        assert (code, "'nowhere' cannot be loaded" in err, endpoint.calls.delivered) == (2, True, 0)
        assert not (tmp_path / "result").exists()


def test_short_answers_name_no_object_and_nobody_is_asked(tmp_path):
    item = bench.read(write(tmp_path, [row(1)], {"1": []}))[0]
    assert bench.fields(item, "a red dog") is None
    assert bench.BENCHMARK.judge.otherwise(item, "a red dog") == {"objects": []}
    fields = bench.fields(item, "a red dog runs")
    assert "a red dog runs" in load_prompt(bench.BENCHMARK.judge.prompt).render(fields)[1]


def test_lists_are_parsed_strictly():
    assert bench.parse('```json\n{"objects": ["dog"]}\n```') == {"objects": ["dog"]}
    for text in ('["dog"]', '{"objects": "dog"}', '{"objects": [1]}', "dog"):
        with pytest.raises(UnparsedError):
            bench.parse(text)


def annotations(folder):
    source = folder / "coco"
    source.mkdir()
    instances = {"categories": [{"id": 18, "name": "dog"}], "annotations": [{"image_id": 1, "category_id": 18}]}
    captions = {"annotations": [{"image_id": 1, "caption": "Two buses."}, {"image_id": 9, "caption": "A man."}]}
    (source / "instances_val2014.json").write_text(json.dumps(instances))
    (source / "captions_val2014.json").write_text(json.dumps(captions))
    return source


def test_pictures_are_unpacked_and_objects_built(tmp_path):
    data = write(tmp_path, [row(1, image=picture()), row("2", image=picture())])
    bench.build(annotations(tmp_path), data, bench.Captions())
    assert json.loads((data / "objects.json").read_text()) == {"1": ["bus", "dog"], "2": []}
    for item in bench.read(data):
        assert Image.open(data / item.image).size == (8, 6)
    assert [item.image for item in bench.read(data)] == ["images/000000000001.jpg", "images/000000000002.jpg"]


def test_captions_are_split_as_the_original_does_where_that_is_asked_for(trifacet, tmp_path, monkeypatch):
    from nltk import tokenize

    def punkt(text):
        asked.append(text)
        return text.replace(".", " .").split()

    asked = []
    monkeypatch.setattr(tokenize, "word_tokenize", punkt)
    data = write(tmp_path, [row(1, image=picture())])
    made = ["benchmarks", "prepare", "object-halbench", "--source", annotations(tmp_path), "--data", data]
    code, out, err = trifacet(*made, "--set", "sentences=punkt")
    assert (code, "punkt" in out, "two buses." in asked) == (0, False, True), err
    code, _, err = trifacet(*made, "--set", "lemmas=wordnet")
    assert (code, "known keys here are sentences" in err) == (2, True)
    assert "--set sentences=rule" in trifacet("benchmarks", "show", "object-halbench")[1]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("%%%", "is no base64"),
        (base64.b64encode(b"no picture").decode(), "holds no picture"),
        (7, "is missing or no text"),
        ("A" * 1000, "is larger than 100 bytes"),
    ],
)
def test_pictures_that_are_none_are_named(tmp_path, monkeypatch, image, message):
    if "larger" in message:
        monkeypatch.setattr(bench, "MAX_IMAGE_BYTES", 100)
    data = write(tmp_path, [row(1, image=image)])
    with pytest.raises(DataError, match=message) as caught:
        bench.build(annotations(tmp_path), data, bench.Captions())
    assert (caught.value.row, caught.value.field) == (1, "image")
    assert not list(data.glob("images/*"))


@pytest.mark.parametrize(
    ("bad", "field"),
    [(row("../../x"), "image_id"), (row(5), "image_id"), (row(1), "image_id"), (row(2, question=None), "question")],
)
def test_bad_rows_are_named(tmp_path, bad, field):
    with pytest.raises(DataError) as caught:
        bench.read(write(tmp_path, [row(1), bad], {"1": [], "2": []}))
    assert (caught.value.row, caught.value.field) == (2, field)
