"""The metrics of lettering count words of pictures in texts, and texts' claims in pictures."""

import json

import pytest

from trifacet import score
from trifacet.base.errors import DataError, TrifacetError
from trifacet.comparing.comparison import ComparisonSettings, compare
from trifacet.comparing.contestants import Contestant
from trifacet.data.records import TestSample
from trifacet.lettering.given import given_lettering
from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.settings import Reading
from trifacet.metrics.lettering import (
    PRECISION,
    RECALL,
    RECALL_ALONE,
    UNOFFICIAL,
    Words,
    count_words,
    lettering_of,
    with_lettering,
)
from trifacet.metrics.scores import measures_of, score_texts
from trifacet.metrics.target import Reference

SIGN = Lettering(
    size=(600, 400),
    lines=(
        Line(text="BOOK FAIR", box=(50, 50, 550, 130), confidence=0.99),
        Line(text="Saturday 9 May", box=(50, 150, 550, 210), confidence=0.98),
        Line(text="printed by Smith & Sons, Leeds", box=(10, 390, 100, 396), confidence=0.99),
    ),
)
WORDLESS = Lettering(size=(600, 400))
GREEK = Lettering(size=(600, 400), unreadable=((10, 10, 300, 60),))


def post(name, lettering, context="", **fields):
    extra = {} if lettering is None else {"lettering": lettering}
    return TestSample(id=name, image=f"{name}.png", context=context, extra=extra, **fields)


def kept(lettering):
    return lettering.model_dump(mode="json")


def test_prominent_words_and_claims_are_counted():
    assert count_words("A poster for a book fair on Saturday.", SIGN) == Words(5, 3, 5, 3, 0, 0)
    right = 'A poster that reads "Book Fair, Saturday 9 May".'
    assert count_words(right, SIGN) == Words(5, 5, 5, 5, 5, 5)
    assert count_words(right.replace("Saturday", "Sunday"), SIGN) == Words(5, 4, 5, 4, 5, 4)
    assert count_words(right.replace("9", "8"), SIGN) == Words(5, 4, 5, 4, 5, 4)
    assert count_words("A yellow poster.", SIGN) == Words(5, 0, 5, 0, 0, 0)


def test_words_that_the_post_has_are_no_proof_of_reading():
    counted = count_words("Our book fair.", SIGN, "Come to our book fair!")
    assert (counted.asked, counted.said) == (5, 2)
    assert (counted.asked_alone, counted.said_alone) == (3, 0)
    assert count_words("Saturday", SIGN, "Come to our book fair!").said_alone == 1


def test_what_is_quoted_from_the_post_is_no_claim_and_what_is_said_to_be_lettered_is_one():
    beside = "She calls it a “miracle cake”."
    assert count_words("A “miracle cake” on a table.", WORDLESS, beside).claimed == 0
    assert count_words('A cake with a sign that reads "miracle cake".', WORDLESS, beside)[-2:] == (2, 0)


def test_values_are_of_sums_over_the_samples_that_count():
    samples = [
        post("a", kept(SIGN)),
        post("b", kept(WORDLESS)),
        post("c", kept(GREEK)),
        post("d", ["EXIT", "Keep shut"]),
    ]
    texts = {
        "a": 'A poster, "Book Fair".',
        "b": 'A wall that reads "Hello".',
        "c": 'A sign that reads "Hello".',
        "d": "An exit door.",
    }
    scores = score_texts(texts, samples, profiles=())
    measures = {one.name: one for one in scores.measures}
    assert measures[RECALL].units == ("a", "d")  # b has no words, c none that can be read
    assert scores.metrics[RECALL] == pytest.approx(100 * 3 / 8)
    assert scores.metrics[PRECISION] == pytest.approx(100 * 2 / 3)
    assert scores.per_sample["a"][RECALL] == pytest.approx(40)
    assert scores.per_sample["a"][PRECISION] == 100
    assert scores.per_sample["b"][PRECISION] == 0
    assert PRECISION not in scores.per_sample["d"]  # it claims nothing
    assert not {RECALL, RECALL_ALONE, PRECISION} & scores.per_sample["c"].keys()
    assert measures[RECALL].better == measures[PRECISION].better == "higher"
    assert measures[PRECISION].unofficial == UNOFFICIAL
    assert "1 of 4 pictures have letters that cannot be read: their samples have no lettering metric" in scores.notes


def test_nothing_is_said_of_samples_of_which_nothing_is_known():
    scores = score_texts({"a": 'It reads "x y"', "b": "b"}, [post("a", None), post("b", None)], profiles=())
    assert RECALL not in scores.metrics
    assert not any("lettering" in note for note in scores.notes)
    some = score_texts({"a": "Book fair", "b": "b"}, [post("a", kept(SIGN)), post("b", None)], profiles=())
    assert some.metrics[RECALL] == pytest.approx(40)
    assert some.metrics[PRECISION] is None  # no text claims anything
    assert "1 of 2 samples have no words read in a picture, and no lettering metric" in some.notes
    none = score_texts({"a": "Book fair"}, [post("a", kept(GREEK))], profiles=())
    assert none.metrics[RECALL] is none.metrics[PRECISION] is None


def test_a_row_that_states_no_lettering_is_told_and_left_out():
    samples = [post("a", "EXIT"), post("b", [{"text": "EXIT", "size": 3}]), post("c", ["EXIT"])]
    scores = score_texts({"a": "exit", "b": "exit", "c": "exit"}, samples, profiles=())
    assert scores.metrics[RECALL] == 100
    note = next(note for note in scores.notes if note.startswith("no lettering metric has"))
    assert "sample 'a'" in note and "extra.lettering" in note and "and 1 more" in note
    with pytest.raises(DataError, match="sample 'b'"):
        lettering_of(samples[1])


def test_lines_that_a_row_lists_count_whatever_their_boxes():
    listed = [{"text": "EXIT", "box": [0, 0, 20, 8]}, "Fire door"]
    assert count_words("exit", lettering_of(post("a", listed))).asked == 3
    sized = given_lettering([{"text": "EXIT", "box": [0, 0, 20, 2]}, "Fire door"], (900, 900), "extra.lettering")
    assert count_words("exit", lettering_of(post("a", kept(sized)))).asked == 2  # its size is known: small print


def test_copies_with_one_number_changed_score_lower_by_the_paired_test():
    samples = [post(f"p{n}", ["Room", str(10 + n)]) for n in range(12)]
    right = {one.id: f'A door that reads "Room {10 + n}".' for n, one in enumerate(samples)}
    wrong = {name: text.replace("Room 1", "Room 3").replace("Room 2", "Room 4") for name, text in right.items()}
    both = [
        Contestant(name, name, measures_of(score_texts(texts, samples, profiles=())))
        for name, texts in (("right", right), ("wrong", wrong))
    ]
    compared = compare(both, ComparisonSettings(metrics=(RECALL, PRECISION), draws=1000))
    assert [one.value for one in compared.differences] == [-50, -50]
    assert all(one.verdict == "worse" and one.chance.p < 0.01 for one in compared.differences)


def test_models_that_claim_in_different_samples_are_compared():
    samples = [post("a", ["EXIT"]), post("b", ["EXIT"]), post("c", kept(WORDLESS))]
    told = {"one": {"a": 'It reads "exit"', "b": "b", "c": "c"}, "two": {"a": "a", "b": "b", "c": 'It reads "open"'}}
    both = [
        Contestant(name, name, measures_of(score_texts(texts, samples, profiles=()))) for name, texts in told.items()
    ]
    compared = compare(both, ComparisonSettings(metrics=(PRECISION,), draws=200))
    assert [one.value for one in compared.differences] == [-100]


def test_pictures_are_read_once_and_what_rows_state_stays(rendered_posts, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    samples = [
        TestSample(id="a", image="sign.png", context=""),
        TestSample(id="b", image="sign.png", context="", extra={"lettering": ["EXIT"]}),
        TestSample(id="c", image=None, context="words only"),
    ]
    done = []
    found = with_lettering(samples, rendered_posts, on_progress=lambda *progress: done.append(progress))
    assert done == [(1, 1)]
    assert lettering_of(found[0]).text == "Platform 9"
    assert found[1] is samples[1] and found[2] is samples[2]
    scores = score_texts({"a": 'A sign, "Platform 8".', "b": "Exit", "c": "c"}, found, profiles=())
    assert scores.per_sample["a"] == pytest.approx(scores.per_sample["a"] | {RECALL: 50, PRECISION: 50})
    assert "1 of 3 samples have no words read in a picture, and no lettering metric" in scores.notes
    assert json.dumps(found[0].extra)  # as records are written
    from_python = score({"a": 'A sign, "Platform 8".'}, [{"id": "a", "image": "sign.png"}], images=rendered_posts)
    assert from_python.metrics[RECALL] == from_python.metrics[PRECISION] == 50


@pytest.fixture
def rendered_posts(tmp_path):
    pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (320, 90), "white")
    ImageDraw.Draw(picture).text((30, 25), "Platform 9", font=ImageFont.load_default(36), fill="black")
    picture.save(tmp_path / "sign.png")
    return tmp_path


def test_without_pictures_there_is_nothing_to_read(tmp_path):
    with pytest.raises(TrifacetError, match="name none"):
        with_lettering([Reference("a", ["text"])], tmp_path)
    assert with_lettering([], tmp_path) == []


def test_a_picture_that_is_not_there_names_its_sample(tmp_path):
    pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
    with pytest.raises(TrifacetError, match="sample 'a'"):
        with_lettering([Reference("a", ["text"], "none.png")], tmp_path)


def test_given_needs_rows_that_state_their_words(tmp_path):
    with pytest.raises(TrifacetError, match=r"sample 'a'.*'given'"):
        with_lettering([post("a", None)], tmp_path, Reading(engine="given"))
