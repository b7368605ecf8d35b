"""What may be a key word: noun phrases in English, content words else, a spaCy pipeline's nouns; and hostile texts."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.regions.keywords.candidates import find_candidates
from trifacet.regions.keywords.choosing import choose
from trifacet.regions.keywords.settings import KeyWords

ALL = KeyWords(k=100)


def found_in(text, **settings):
    return [one.text for one in find_candidates(text, KeyWords(**settings))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man in a red shirt rides a big brown horse.", ["man", "red shirt", "big brown horse"]),
        ("Anna holds a golden retriever puppy", ["Anna", "golden retriever puppy"]),
        ("a bathroom with a sink and a teddy bear", ["bathroom", "sink", "teddy bear"]),  # verbs to the lexicon
        ("The kitchen features a stove.", ["kitchen", "stove"]),  # a noun to the lexicon
        ("The image shows a dog in the background of a photo", ["dog"]),
        ("the woman's hat isn't blue, it's red", ["woman", "hat"]),
        ("A t-shirt, a well-known brand", ["t-shirt", "well-known brand"]),
        ("horses, dogs. Cats\ntrees", ["horses", "dogs", "Cats", "trees"]),
        ("HE SAW A RED DOG RUNNING", ["RED DOG"]),
        ("", []),
        ("12 3,4 ... !!", []),
        ("\x00\x1bdog\x7f \ud800 cat\u202e", ["dog", "cat"]),
        ("a red \t dog, a red\x0bcat, a red\ncow", ["red dog", "cat", "cow"]),
        ("a <b>dog</b> & a &quot;cat&quot;", ["b", "dog", "b", "cat"]),
    ],
)
def test_english_noun_phrases(text, expected):
    found = found_in(text, language="en", leave_out=[*KeyWords().leave_out, "quot"])
    assert found == list(dict.fromkeys(expected))


def test_each_occurrence_has_its_place_and_forms_are_one_word():
    text = "A dog, two Dogs and the red dog. DOG!"
    found = {one.text: one for one in find_candidates(text, ALL)}
    assert [text[start:end] for start, end in found["dog"].spans] == ["dog", "Dogs", "DOG"]
    assert found["dog"].positions == (1, 3, 8)
    assert [text[start:end] for start, end in found["red dog"].spans] == ["red dog"]
    assert found["red dog"].positions == (6,)


def test_a_long_run_of_nouns_is_cut_from_its_end():
    text = "a plastic kitchen window and a big green garden table leg"
    assert found_in(text, phrase=2) == ["plastic", "kitchen window", "green garden", "table leg"]
    assert all(len(one.split()) <= 1 for one in found_in(text, phrase=1))


def test_what_is_left_out_can_be_chosen():
    text = "A photo of a dog beside a cat"
    assert found_in(text) == ["dog", "cat"]
    assert found_in(text, leave_out=[]) == ["photo", "dog", "cat"]
    assert found_in(text, leave_out=["dogs"]) == ["photo", "cat"]  # by stem


@pytest.mark.parametrize(
    ("text", "expected", "never"),
    [
        (
            "Ein Hund sitzt auf dem roten Sofa neben einer Katze. Der Hund schläft.",
            "Hund Sofa Katze",
            "Ein auf dem Der",
        ),
        ("Una mujer con un vestido rojo camina por la playa con su perro.", "mujer vestido playa perro", "con la su"),
        ("Un homme tient un parapluie jaune sous la pluie.", "homme parapluie pluie", "Un la sous"),
        ("Рыжая кошка спит на красном диване.", "кошка диване", "на"),
        ("लाल सोफे पर एक बिल्ली बैठी है", "सोफे बिल्ली", "पर एक है"),
        ("一只猫坐在红色沙发上，旁边有一本书。", "红色沙发 书", "在 一"),
        ("赤いソファの上に猫が座っています。", "ソファ 猫", "の に が"),
        ("빨간 소파 위에 고양이가 앉아 있다", "소파 고양이가", "있다"),
    ],
    ids=["de", "es", "fr", "ru", "hi", "zh", "ja", "ko"],
)
def test_other_languages_have_content_words(text, expected, never):
    found = find_candidates(text, ALL)
    names = [one.text for one in found]
    assert set(expected.split()) <= set(names)
    assert not set(never.split()) & set(names)
    assert [[text[slice(*span)].casefold() for span in one.spans] for one in found if len(one.spans) > 1] == (
        [["hund", "hund"]] if "Hund" in text else []
    )
    positions = [place for one in found for place in one.positions]
    assert len(set(positions)) == len(positions)
    assert choose(text, ALL)


def test_the_most_frequent_words_are_kept():
    text = "Der Hund und die Katze und der Vogel. Der Vogel singt, die Katze hört. Der Vogel fliegt."
    assert found_in(text, candidates=2) == ["Katze", "Vogel"]
    assert found_in("a dog, a cat, a bird and a bird", candidates=2) == ["dog", "bird"]


def test_the_language_may_be_given():
    assert found_in("gift", language="en") == ["gift"]
    assert found_in("die Stadt ist alt", language="de") == ["Stadt", "alt"]
    assert found_in("the sofa", language="de") == ["the", "sofa"]
    with pytest.raises(ValidationError, match="no stop words of 'xx' are known; use auto"):
        KeyWords(language="xx")


def test_what_is_beyond_the_words_that_are_read_has_no_say():
    text = "A dog and a cat near a tree. "
    assert choose(text + "A bird sings. " * 50_000, KeyWords(words=8)) == choose(text, KeyWords(words=8))


PIECES = ["dog", "cats", "red", "n't", "the", "猫", "hund", "\x00", "-", "'", ".", "\n"]
HOSTILE = {
    "one noun": "dog " * 100_000,
    "many nouns": " ".join(f"dog{place} sees" for place in range(50_000)),
    "another language": " ".join(f"der hund{place}" for place in range(50_000)),
    "no space": "图" * 1_000_000,
    "one word": "x" * 1_000_000,
    "hyphens": "a-" * 500_000,
    "apostrophes": "ab'" * 300_000,
    "contractions": "n't" * 300_000,
    "marks": "\u0301" * 1_000_000,
    "punctuation": "'.!?" * 250_000,
    "control characters": "\x00\x07\ud800" * 300_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_time_and_words_are_bounded(text):
    start = time.process_time()
    found = choose(text, KeyWords(k=100))
    assert time.process_time() - start < 2
    assert all(len(word.text) <= 5 * 65 for word in found)
    assert sum(len(word.spans) for word in found) <= 1000


def test_with_the_largest_settings_a_hundred_thousand_words_take_seconds():
    for method in ("mfpo", "multipartite"):
        start = time.process_time()
        settings = KeyWords(method=method, words=2000, candidates=1000, k=100)
        assert len(choose(HOSTILE["many nouns"], settings)) == 100
        assert time.process_time() - start < 10


@searched(40)
@given(st.text(max_size=200) | st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_spans_are_in_the_text_and_apart(text):
    found = find_candidates(text, ALL)
    spans = sorted(span for one in found for span in one.spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(text[slice(*one.spans[0])].split() == one.text.split(" ") and one.text for one in found)
    assert choose(text, ALL) == choose(text, ALL)
    assert {word.text for word in choose(text, ALL)} <= {one.text for one in found}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A German spaCy pipeline that knows five words."""
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: pip install 'trifacet[ner]'")
    nlp = spacy.blank("de")
    ruler = nlp.add_pipe("attribute_ruler")
    for word, part in {"hund": "NOUN", "anna": "PROPN", "rote": "ADJ", "sofa": "NOUN", "sieht": "VERB"}.items():
        ruler.add(patterns=[[{"LOWER": word}]], attrs={"POS": part})
    folder = tmp_path_factory.mktemp("spacy") / "model"
    nlp.to_disk(folder)
    return str(folder)


def test_a_spacy_pipeline_tags_any_language(pipeline):
    text = "Der Hund sieht: Anna, das rote Sofa! Sofa <image>"
    found = find_candidates(text, KeyWords(tagger=pipeline))
    assert [(one.text, one.positions) for one in found] == [
        ("Hund", (1,)),
        ("Anna", (3,)),
        ("rote Sofa", (5,)),
        ("Sofa", (7,)),
    ]
    assert [text[slice(*one.spans[0])] for one in found] == [one.text for one in found]
    assert find_candidates("", KeyWords(tagger=pipeline)) == []
    long = find_candidates("Hund. " * 100_000, KeyWords(tagger=pipeline, words=50))
    assert [len(one.spans) for one in long] == [50]


def test_a_pipeline_that_cannot_tag_or_is_not_there_is_refused(tmp_path):
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed: pip install 'trifacet[ner]'")
    spacy.blank("en").to_disk(tmp_path / "model")
    with pytest.raises(TrifacetError, match="does not say which words are nouns; take one with a tagger"):
        find_candidates("A dog.", KeyWords(tagger=str(tmp_path / "model")))
    with pytest.raises(TrifacetError, match=r"cannot be loaded .* install it or name its folder"):
        find_candidates("A dog.", KeyWords(tagger="no_such_pipeline"))
