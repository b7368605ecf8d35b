"""CHAIR: which words are objects, what is counted, and what COCO's annotations say is in an image."""

import json

import pytest

from trifacet.base.errors import DataError, TrifacetError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.checking import check_files, why_not_official
from trifacet.benchmarks.known import chair
from trifacet.benchmarks.objects import ground_truth
from trifacet.benchmarks.objects.coco_objects import ObjectFinder, read_synonyms
from trifacet.benchmarks.objects.ground_truth import build_ground_truth
from trifacet.benchmarks.objects.words import word_splitter

TABLE = """person, man, woman, child
dog, puppy
bear
train, locomotive
bus
tie, bow, bow tie
wine glass
chair, seat
toilet
cake,  cheesecake
motorcycle, motor bike
couch
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "synonyms.txt").write_text(TABLE)
    return read_synonyms(tmp_path / "synonyms.txt")


@pytest.mark.parametrize(
    ("caption", "objects"),
    [
        ("A man and two Puppies.", ["person", "dog"]),
        ("dog dog dog", ["dog"] * 3),  # mentions count with repetition
        ("a baby bear beside an adult dog", ["bear", "dog"]),  # no person
        ("a passenger train on train tracks", ["train"]),
        ("a toilet seat and a seat", ["toilet"]),
        ("a seat", ["chair"]),
        ("two wine glasses and a wine glass", ["wine glass"] * 2),
        ("a bow tie and a tie", ["tie", "tie"]),
        ("two ties on one bus, and buses", ["bus"]),  # "ties" becomes "ty", "bus" "bu": the quirks of the original
        ("a cheesecake", []),  # two spaces before it in the table
        ("the dog's tail", ["dog"]),
        ("a dog-train", []),
        ("It is a dog. It is a bear.\nA man", ["dog", "bear", "person"]),
        ("a dog.bear", []),  # no white space: one word
        ("", []),
    ],
)
def test_objects_of_a_caption(table, caption, objects):
    assert [mention.object for mention in ObjectFinder(table).find(caption)] == objects


def test_a_full_stop_before_a_quotation_mark_ends_no_sentence():
    """Which is where the rule and punkt part, and why a number by the rule is marked."""
    assert "dog." in word_splitter("rule")('it says "dog." the man')
    assert "dog" in word_splitter("rule")('it says "dog".\nthe man')


def folder(tmp_path, objects, images=None):
    (tmp_path / "synonyms.txt").write_text(TABLE)
    (tmp_path / "objects.json").write_text(json.dumps(objects))
    if images is not None:
        (tmp_path / "images.txt").write_text(images)
    return tmp_path


def test_counts_and_shares(tmp_path):
    data = folder(tmp_path, {"7": ["dog", "person"], "9": ["bear"], "12": []})
    items = chair.read(data)
    assert [(item.id, item.image) for item in items][:1] == [("7", "COCO_val2014_000000000007.jpg")]
    captions = ["a man and a dog and a bear and a bear", "nothing", "a couch"]
    outcome = chair.score([Answered(item, text) for item, text in zip(items, captions, strict=True)])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["chair_i"] == pytest.approx(100 * 3 / 5)
    assert values["chair_s"] == pytest.approx(100 * 2 / 3)
    assert values["recall"] == pytest.approx(100 * 2 / 3)
    assert outcome.counts["mentions"] == 5
    assert "punkt" in outcome.measures[0].unofficial


def test_punkt_is_asked_for_or_not_used(tmp_path, monkeypatch):
    import nltk.tokenize

    def lacking(text, preserve_line=False):
        raise LookupError

    data = folder(tmp_path, {"7": ["dog"]})
    monkeypatch.setattr(nltk.tokenize, "word_tokenize", lacking)
    with pytest.raises(TrifacetError, match="punkt_tab"):
        chair.score([Answered(chair.read(data)[0], "a dog")], chair.Options(sentences="punkt"))
    with pytest.raises(TrifacetError, match="punkt_tab"):
        chair.BENCHMARK.tools(chair.Options(sentences="punkt"))
    monkeypatch.setattr(nltk.tokenize, "word_tokenize", lambda text: text.split())
    outcome = chair.score([Answered(chair.read(data)[0], "a dog")], chair.Options(sentences="punkt"))
    assert {measure.unofficial for measure in outcome.measures} == {""}


def test_images_to_describe_are_chosen_by_file_name(tmp_path):
    data = folder(tmp_path, {"7": ["dog"], "9": []}, "000000000009.jpg\n\nCOCO_train2014_000000000007.jpg\n")
    assert [(item.id, item.image) for item in chair.read(data)] == [
        ("9", "000000000009.jpg"),
        ("7", "COCO_train2014_000000000007.jpg"),
    ]


@pytest.mark.parametrize(
    ("objects", "images", "message"),
    [
        ({"x": []}, None, "no image id"),
        ({"7": ["cat"]}, None, "no list of COCO's objects"),
        ({"7": "dog"}, None, "no list of COCO's objects"),
        ({}, None, "has no image"),
        ({"7": []}, "8.jpg\n", r"images.txt, row 1: image 8 is not in objects.json"),
        ({"7": []}, "seven\n", r"images.txt, row 1: is no file name"),
        ({"7": []}, "7.jpg\n07.jpg\n", r"images.txt, row 2: a second row"),
        ({"7": []}, "\n", "names no image"),
        ([], None, "is not a JSON object"),
    ],
)
def test_bad_files_are_named(tmp_path, objects, images, message):
    with pytest.raises(DataError, match=message):
        chair.read(folder(tmp_path, objects, images))


def coco(tmp_path):
    source = tmp_path / "annotations"
    source.mkdir()
    instances = {
        "info": {"year": 2014},
        "annotations": [
            {"image_id": 7, "category_id": 18, "segmentation": [[1.5, 2, 3]]},
            {"image_id": 7, "category_id": 18},
            {"image_id": 9, "category_id": 1},
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    captions = {"annotations": [{"image_id": 7, "caption": "A woman. Two dogs."}, {"image_id": 11, "caption": "Sky."}]}
    (source / "instances_val2014.json").write_text(json.dumps(instances))
    (source / "captions_val2014.json").write_text(json.dumps(captions))
    (tmp_path / "synonyms.txt").write_text(TABLE)
    return source


def test_a_number_of_thousands_of_digits_is_no_image(tmp_path):
    digits = "9" * 5000
    (tmp_path / "synonyms.txt").write_text(TABLE)
    (tmp_path / "objects.json").write_text(f'{{"{digits}": []}}')
    with pytest.raises(DataError, match=r"objects\.json: '9{40}' is no image id"):
        chair.read(tmp_path)
    (tmp_path / "objects.json").write_text('{"9": []}')
    for name in ("9.jpg", "COCO_val2014_000000000009.jpg"):
        (tmp_path / "images.txt").write_text(name)
        assert [item.id for item in chair.read(tmp_path)] == ["9"]
    (tmp_path / "images.txt").write_text(f"COCO_{digits}.jpg")
    with pytest.raises(DataError, match="row 1: is no file name"):
        chair.read(tmp_path)


def test_ground_truth_is_outlines_and_captions(tmp_path):
    source = coco(tmp_path)
    assert chair.build(source, tmp_path, chair.Options()).startswith("objects.json: 3 images")
    assert json.loads((tmp_path / "objects.json").read_text()) == {"7": ["dog", "person"], "9": ["person"], "11": []}
    assert len(chair.read(tmp_path)) == 3
    files = [source / "instances_val2014.json"], [source / "captions_val2014.json"]
    assert build_ground_truth(*files, tmp_path / "synonyms.txt", only={9}).objects == {"9": ["person"]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"dog"', '"dogs"', r"instances_val2014.json, row 2, field 'categories.name': category 'dogs' is not among"),
        ('"image_id": 9', '"image_id": "9"', r"row 3, field 'image_id': is no whole number"),
        ('"category_id": 1}', '"category_id": 5}', r"row 3, field 'category_id': category 5 is not defined"),
        ('"annotations"', '"notes"', "has no annotations"),
        ("[[1.5", "[[1.5.", "broken JSON"),
        ('"image_id": 9', '"image_id": ' + "9" * 5000, "broken JSON"),
        ('"image_id": 9', '"image_id": ' + "9" * 400, "broken JSON"),
        ('"image_id": 9', '"image_id": ' + "9" * 19, r"row 3, field 'image_id': is no whole number|broken JSON"),
        ("[[1.5", "[" * 9000 + "[[1.5", "is nested too deep"),
    ],
)
def test_bad_annotations_are_named(tmp_path, old, new, message):
    source = coco(tmp_path)
    path = source / "instances_val2014.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        chair.build(source, tmp_path, chair.Options())
    assert not (tmp_path / "objects.json").exists()


def test_a_folder_without_annotations_is_named(tmp_path):
    with pytest.raises(DataError, match=r"has no instances_\*.json"):
        chair.build(tmp_path, tmp_path, chair.Options())


def reasons(data):
    return why_not_official(check_files(chair.BENCHMARK, data), [], [])[""]


def test_a_prepared_file_is_official_where_it_was_made_of_cocos_whole_files_as_the_original_makes_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ground_truth, "ObjectFinder", lambda table, rules, sentences: ObjectFinder(table, rules))
    monkeypatch.setattr(ground_truth, "_COMPLETE", {(3, 2): "the whole of it"})
    source = coco(tmp_path)
    (tmp_path / "images.txt").write_text("7.jpg\n")
    chair.build(source, tmp_path, chair.Options(sentences="punkt"))
    record = json.loads((tmp_path / "objects.json.made.json").read_text())
    assert list(record["sources"]) == ["instances_val2014.json", "captions_val2014.json", "synonyms.txt"]
    files = check_files(chair.BENCHMARK, tmp_path)
    assert [one.state for one in files] == ["other", "made", "own"] and files[1].release == "the whole of it"
    assert [reason for reason in reasons(tmp_path) if "synonyms" not in reason] == []
    chair.build(source, tmp_path, chair.Options())
    assert "by a rule" in reasons(tmp_path)[1]
    monkeypatch.setattr(ground_truth, "_COMPLETE", {})
    assert "3 outlines and 2 captions are not" in chair.build(source, tmp_path, chair.Options(sentences="punkt"))
    assert "3 outlines and 2 captions are not" in reasons(tmp_path)[1]


@pytest.mark.parametrize("record", [None, "{", "[]", "{}", '{"sha256": 7}', "[" * 100_000])
def test_a_file_of_truth_that_was_edited_or_has_no_record_is_not_official(tmp_path, record):
    source = coco(tmp_path)
    chair.build(source, tmp_path, chair.Options())
    if record is None:
        path = tmp_path / "objects.json"
        path.write_text(path.read_text().replace('"dog", ', ""))
    else:
        (tmp_path / "objects.json.made.json").write_text(record)
    assert any("has no record of what it was made of" in reason for reason in reasons(tmp_path))
