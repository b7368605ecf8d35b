"""Languages, hashtags, lint and length: what leaves, what changes, and that where parts begin does not matter."""

import json
import re

import numpy as np
import pytest
from building.rows_of import run_step
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.building.steps import alt_length, hashtags, language, lint
from trifacet.building.steps.hashtags import strip_hashtags
from trifacet.lettering.lines import Lettering, Line
from trifacet.lint.patterns import HASHTAGS

DOG = "A brown dog jumps over a puddle in the park."


def rows_with(*alts, **values):
    return [{"alt": alt, "image": f"{number}.png"} | values for number, alt in enumerate(alts)]


# hashtags


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        (DOG, DOG),
        ("Our #cat sleeps on the #sofa.", "Our cat sleeps on the sofa."),
        ("A cat on a sofa. #cats #sofa", "A cat on a sofa."),
        ("A cat!  #cats", "A cat!"),
        ("My dog at the #beach", "My dog at the beach"),
        ("#a1 #b2 A cat", "A cat"),
        ("A cat (#ad), asleep", "A cat, asleep"),
        ("Dinner #food #yum , and more", "Dinner, and more"),
        ("Dinner\n\n#food#yum\n#tasty", "Dinner"),
        ("First #one #two\r\nsecond  line", "First\r\nsecond  line"),
        ("#日本語 の #café", "日本語 の café"),
        (
            "#1 in C# &#39;x&#39; #ff8800 https://a.example/b#sec",
            "#1 in C# &#39;x&#39; #ff8800 https://a.example/b#sec",
        ),
        ("#only", ""),
    ],
)
def test_labels_go_words_stay_and_the_rest_is_untouched(text, stripped):
    assert strip_hashtags(text) == stripped


@given(
    st.lists(
        st.sampled_from(["#cat", "＃犬", "dog", "#1", ".", " ", "\n", "(", ")", ",", "🐈", "&", "#", "/x"]), max_size=14
    )
)
@searched(500)
def test_stripping_leaves_no_hashtag_and_is_done_once(pieces):
    text = "".join(pieces)
    for inside in ("word", "remove"):
        once = strip_hashtags(text, inside)
        assert strip_hashtags(once, inside) == once
        if not HASHTAGS.search(text):
            assert once == text
    assert re.findall(r"dog|#1", once) == re.findall(r"dog|#1", HASHTAGS.sub(" ", text))  # nothing but hashtags goes


def test_hashtags_strip_or_drop_by_field(tmp_path):
    rows = [
        {"context": "Look! #dogs", "alt": DOG},
        {"context": "Hi", "alt": f"{DOG} #dog"},
        {"context": "Hi", "alt": DOG},
    ]
    stay, events = run_step(hashtags.STEP, rows, tmp_path)
    assert [(row["context"], row["alt"]) for row in stay] == [("Look!", DOG), ("Hi", DOG), ("Hi", DOG)]
    assert [(one["row"], one["verdict"], one["field"], one["before"], one["after"]) for one in events] == [
        (0, "change", "context", "Look! #dogs", "Look!"),
        (1, "change", "alt", f"{DOG} #dog", DOG),
    ]
    stay, events = run_step(hashtags.STEP, rows, tmp_path, do="drop", fields=["alt"])
    assert [row["row"] for row in stay] == [0, 2]
    assert [(one["row"], one["reason"], one["before"]) for one in events] == [(1, "hashtags", f"{DOG} #dog")]
    stay, events = run_step(hashtags.STEP, rows, tmp_path, do="drop")
    assert [row["row"] for row in stay] == [2]


def test_an_emptied_alt_text_is_for_alt_length(tmp_path):
    stay, _ = run_step(hashtags.STEP, rows_with("#dog #cat"), tmp_path)
    assert [row["alt"] for row in stay] == [""]
    stay, events = run_step(alt_length.STEP, stay, tmp_path)
    assert stay == [] and [one["reason"] for one in events] == ["no alt-text"]


def test_alt_length_is_the_paper_s_five_words(tmp_path):
    stay, events = run_step(alt_length.STEP, rows_with("one two three four five", "one two  three\nfour"), tmp_path)
    assert [row["row"] for row in stay] == [0]
    assert [(one["reason"], json.loads(one["detail"])) for one in events] == [("alt-text too short", {"words": 4})]


# language

SPANISH = "Un perro marrón salta por encima de un charco en el parque de la ciudad."
FINNISH = "Ruskea koira hyppää lätäkön yli puistossa aurinkoisena päivänä."


@pytest.mark.parametrize("accuracy", [*(pytest.param(a, marks=pytest.mark.endurance) for a in ("low", "high")), "both"])
def test_other_languages_leave_whichever_text_it_is(tmp_path, accuracy):
    rows = [
        {"context": "I love my dog very much indeed.", "alt": DOG},
        {"context": SPANISH, "alt": DOG},
        {"context": "I love my dog very much indeed.", "alt": SPANISH},
        {"context": "", "alt": FINNISH},
        {"context": "", "alt": "茶色の犬が公園の水たまりを飛び越えています"},
        {"context": "Sushi!", "alt": "🍣🍣🍣 #sushi"},
        {"context": f"{'#perro ' * 20} @marron https://perros.example/marron/parque", "alt": DOG},
    ]
    stay, events = run_step(language.STEP, rows, tmp_path, accuracy=accuracy)
    short = None if accuracy == "high" else "en"  # the exact mode is the more careful one
    assert [(row["row"], row["language"]) for row in stay] == [(0, "en"), (5, None), (6, short)]
    found = [(one["row"], one["field"], json.loads(one["detail"])["language"]) for one in events]
    assert found == [(1, "context", "es"), (2, "alt", "es"), (3, "alt", "fi"), (4, "alt", "ja")]
    assert {one["reason"] for one in events} == {"another language"} and events[0]["before"] == SPANISH
    again = run_step(language.STEP, rows, tmp_path, part_rows=2, accuracy=accuracy)
    assert again == (stay, events)


def test_languages_by_parameters(tmp_path):
    english = f"{DOG} It is a sunny day and everybody is outside with their children."
    rows = rows_with(SPANISH, english, "Sushi!", context="")
    stay, _ = run_step(language.STEP, rows, tmp_path, keep=["es"])
    assert [row["row"] for row in stay] == [0, 2]
    stay, events = run_step(language.STEP, rows, tmp_path, undetermined="drop")
    assert [row["row"] for row in stay] == [1]
    assert [one["reason"] for one in events] == ["another language", "language not certain"]
    stay, _ = run_step(language.STEP, [{"context": SPANISH, "alt": DOG}], tmp_path, fields=["alt"])
    assert len(stay) == 1
    for wrong in ({"keep": ["eo"]}, {"among": ["en"]}, {"keep": ["English"]}, {"keep": []}):
        with pytest.raises(ValidationError):
            language.Parameters.model_validate(wrong)
    with pytest.raises(TrifacetError, match="'xx'"):
        run_step(language.STEP, rows, tmp_path, among=["en", "xx"])


def test_the_second_look_saves_english_that_the_fast_mode_calls_foreign():
    text = "A man is on a tennis court."
    fast, both = (language.Parameters(accuracy=mode, confidence=0.5) for mode in ("low", "both"))
    pieces = [" ".join(text.split()[:count]) for count in range(3, 8)]
    assert all(language.detect(piece, both)[0] in ("en", None) for piece in pieces)
    assert language.detect(SPANISH, both)[0] == language.detect(SPANISH, fast)[0] == "es"


OTHER_SCRIPTS = {
    "te": "ఒక కుక్క పరుగెత్తుతోంది", "ka": "ძაღლი გარბის", "km": "ឆ្កែកំពុងរត់", "lo": "ໝາແລ່ນ", "my": "ခွေးပြေးနေသည်",
    "am": "ውሻ ይሮጣል", "si": "බල්ලෙක් දුවයි", "kn": "ನಾಯಿ ಓಡುತ್ತಿದೆ", "ml": "നായ ഓടുന്നു", "gu": "કૂતરો દોડે છે", "pa": "ਕੁੱਤਾ ਦੌੜਦਾ ਹੈ",
    "hy": "Շունը վազում է", "or": "କୁକୁର ଦୌଡୁଛି", "ru": "Собака", "zh": "猫", "he": "כלב", "el": "Σκύλος", "ko": "개",
    "ja": "いぬ", "th": "หมา", "ar": "كلب", "hi": "कुत्ता",
}  # fmt: skip
WITH_NAMES = (
    "Lech Wałęsa and Tadeusz Mazowiecki shake hands in Gdańsk",
    "Nguyễn Văn Thiệu meets Trần Văn Hương in Saigon",
    "Søren Kierkegaard statue in Copenhagen, Denmark",
    "View of Schloss Neuschwanstein from Marienbrücke",
    "Gnocchi alla sorrentina at Trattoria da Enzo",
    "Rembrandt van Rijn, De Nachtwacht, Rijksmuseum Amsterdam",
    "A panda with the name 团团 on its sign",
    "The letter π on a blackboard",
)


def test_texts_in_another_script_leave_however_short_they_are():
    english, several = language.Parameters(), language.Parameters(keep=["en", "ru", "ja"])
    found = {code: language.detect(text, english)[0] for code, text in OTHER_SCRIPTS.items()}
    assert found == {code: code for code in OTHER_SCRIPTS}
    stay = {code for code, text in OTHER_SCRIPTS.items() if language.detect(text, several)[0] in (None, "ru", "ja")}
    assert stay == {"ru", "ja", "zh"}, "too short to tell Chinese from Japanese"


def test_names_alone_make_no_text_foreign():
    english = language.Parameters()
    assert {language.detect(text, english)[0] for text in WITH_NAMES} <= {"en", None}
    for text in (SPANISH, SPANISH.upper(), f"{SPANISH} Juan Carlos, Madrid"):
        assert language.detect(text, english)[0] == "es"


def test_a_huge_text_costs_no_more_than_its_beginning():
    assert language.detect(f"{DOG} " * 40_000, language.Parameters())[0] == "en"


# lint


def test_lint_drops_what_is_no_description_and_notes_the_rest(tmp_path):
    rows = [
        *rows_with(DOG, "IMG_1.jpg", "Photo of a dog in a park.", "May be an image of dog"),
        {"alt": DOG, "context": DOG},
    ]
    stay, events = run_step(lint.STEP, rows, tmp_path)
    assert [row["row"] for row in stay] == [0, 2]
    told = [(one["row"], one["verdict"], one["reason"], json.loads(one["detail"])["rules"]) for one in events]
    assert told == [
        (1, "drop", "a file name instead of a text", ["file-name"]),
        (2, "note", "doubts about the alt-text", ["starts-with-image-of"]),
        (3, "drop", "words that a program or a page puts everywhere", ["boilerplate"]),
        (4, "drop", "repeats the post", ["repeats-post"]),
    ]
    assert all(one["before"] == rows[one["row"]]["alt"] for one in events)
    stay, _ = run_step(lint.STEP, rows, tmp_path, drop=["warning"], ignore=["boilerplate", "repeats-post"])
    assert [row["row"] for row in stay] == [0, 1, 3, 4]
    with pytest.raises(ValidationError, match="unknown rule 'file_name'; known are"):
        lint.Parameters.model_validate({"drop": ["file_name"]})


@pytest.mark.parametrize("part_rows", [1, 7, None])
def test_texts_on_many_images_equal_a_plain_count(tmp_path, part_rows):
    rng = np.random.default_rng(3)
    texts = [f"A dog number {word} in a park." for word in ("one", "two", "three", "four", "five", "six")]
    rows = []
    for _ in range(60):
        text = texts[rng.integers(6)]
        text = text.upper() if rng.random() < 0.1 else text.replace(".", "!") if rng.random() < 0.2 else text
        image = f"{rng.integers(25)}"
        known = {"sha256": image} if rng.random() < 0.9 else {"image": f"{image}.png"}
        rows.append({"alt": text} | known)
    images = {}
    for row in rows:
        images.setdefault(re.sub(r"\W+", " ", row["alt"]).lower(), set()).add(row.get("sha256") or row["image"])
    many = {text for text, which in images.items() if len(which) > 8}
    assert 0 < len(many) < len(images)
    stay, events = run_step(lint.STEP, rows, tmp_path, part_rows, max_images=8)
    expected = [number for number, row in enumerate(rows) if re.sub(r"\W+", " ", row["alt"]).lower() in many]
    dropped = [one for one in events if one["verdict"] == "drop"]
    assert [one["row"] for one in dropped] == expected
    assert {one["reason"] for one in dropped} == {"the same text on many images"}
    assert len(stay) == 60 - len(expected)


def test_the_same_image_many_times_is_not_many_images(tmp_path):
    stay, events = run_step(lint.STEP, [{"alt": DOG, "sha256": "a"} for _ in range(9)], tmp_path)
    assert len(stay) == 9 and events == []


def test_lint_asks_for_the_words_that_were_read_in_the_picture(tmp_path):
    lines = (Line(text="OPEN SUNDAY", box=(0, 0, 90, 30)),)
    lettering = Lettering(size=(100, 100), lines=lines).model_dump(mode="json")
    alts = ["A door with a sign.", 'A door that says "Open Monday".', "The door says that it is open on Sunday."]
    rows = [{"alt": alt, "extra": json.dumps({"lettering": lettering})} for alt in alts]
    stay, events = run_step(lint.STEP, [*rows, {"alt": alts[0]}], tmp_path, drop=["lettering-invented"])
    assert [row["alt"] for row in stay] == [alts[0], alts[2], alts[0]]
    assert [json.loads(event["detail"])["rules"] for event in events] == [
        ["lettering-left-out"],
        ["lettering-invented"],
    ]


def test_lint_of_no_rows(tmp_path):
    assert run_step(lint.STEP, [], tmp_path) == ([], [])
