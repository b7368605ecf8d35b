"""Each rule finds its own kind of trouble and no other, in any text, in time linear in its length."""

import gzip
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import TrifacetError
from trifacet.lint import COMPAT, PLATFORMS, RULES, lint_text
from trifacet.lint.patterns import HASHTAGS, URL, graphemes, is_empty, words_only

VERDICTS = Path(__file__).resolve().parents[3] / "shared/data/alt_lint/double_great_alt_text_3.2.1_oracle.json.gz"
CLEAN = "A brown dog jumps over a puddle in the park."


# Of each kind of program one or two, as it calls its images.
PROGRAMS = """Screenshot 2023-11-02 091500|Screenshot (3)|Screenshot_20231102-091500_Maps
Screen Shot 2023-11-02 at 9.15.00 PM
Screencast from 02.11.2023 09:15:00|SCR-20231102-qrst|CleanShot 2023-11-02 at 09.15.00@2x
Captura de pantalla 2023-11-02 a las 9.15|Captura de tela 2023-11-02 às 09.15|Schermata 2023-11-02 alle 09.15.00
Capture d’écran 2023-11-02 091500|Skärmavbild 2023-11-02 kl. 09.15|Снимок экрана 2023-11-02 в 09.15.00
スクリーンショット 2023-11-02 9.15.00|屏幕截图 2023-11-02 091500|截屏2023-11-02 09.15.00
스크린샷 2023-11-02 오후 9.15.00
Ekran görüntüsü 2023-11-02 091500|Zrzut ekranu 2023-11-02|IMG20231102091500|_DSC4711|DJI_0815|CIMG4711
IMG_4711 copy|IMG_4711 (2)|P1030815|FullSizeRender|FullSizeRender 3|Photo on 02-11-2023 at 09.15 #2
photo_2023-11-02_09-15-00|signal-2023-11-02-091500|Snapchat-987654321|WhatsApp Image 2023-11-02 at 09.15.00 (1)
Pasted image 20231102091500|image001|image (7)|unnamed (2)|unnamed-1|download (4)|Untitled-2|Untitled design (9)
Unknown-3|Slide12|Grafik 7|Bild 11|Immagine 2|Image 4|图片 3|画像1|Frame 12|Group 7|Rectangle 44|Layer 3|Asset 2@3x
Artboard 3 copy|DALL·E 2023-11-02 09.15.00 - a dog in a hat|ChatGPT Image Nov 2, 2023, 09_15_00 PM
Firefly_20231102091500|00017-2468013579|hero-image-3|product-98765-small|logo-2|0042
photo-1600000000000-0f1e2d3c4b5a|pexels-jane-doe-7654321|istockphoto-987654321-1024x1024|file-20231102-21-xyz987
dogs-640x480-2|my-dog-scaled-1024x683|1_Zy9Xw8Vu7Ts6Rq5Po4NmLk|media/dog.PNG?width=300
https://cdn.example.com/a/dog.webp#x|C:\\Users\\me\\dog.jpg|dog.png.webp|Dog.PSD|dog.jxl|chart.pdf""".replace(
    "\n", "|"
).split("|")


def found(text, **given):
    return [finding.rule for finding in lint_text(text, **given)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_example_breaks_this_rule_and_no_other(rule):
    (finding,) = lint_text(rule.example, **rule.given)
    assert (finding.rule, finding.level) == (rule.name, rule.level)
    assert finding.message in finding.cause and "\n" not in finding.cause
    assert found(rule.example, ignore=[rule.name], **rule.given) != [rule.name]


@pytest.mark.parametrize("rule", [*RULES, *COMPAT], ids=lambda rule: rule.name)
def test_every_rule_is_documented_with_its_example(rule):
    page = (Path(__file__).resolve().parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith(f"| `{rule.name}` |")]
    assert rule.example.strip()[:20] in line
    assert rule.level in line
    assert rule.detail and rule.detail in line.replace("`", "")


@pytest.mark.parametrize(
    "text",
    [
        CLEAN,
        "Portrait of a woman in a blue coat, black and white.",
        "A woman takes a picture of her son with a phone.",
        "Two friends posing for a photo",
        "NASA and ESA logos on a rocket.",
        "The scoreboard reads 3:2 after 90 minutes.",
        "Player #25 writes C# in an editor.",
        "A chart: sales rise from 3 to 5 < 7 & then fall.",
        "Bananas e.g. on a table at 5 p.m. today.",
        "A bottle of vitamin A",
        "Un chien dort sur le canapé.",
        # Words that end no English text, and "photo", end those of others.
        "Zwei Kinder sehen sich ein Buch an",
        "Bague en or",
        "A vendre : une bague en or",
        "En svømmende and",
        "Mỏ than ở Quảng Ninh, một mỏ than",
        "Un homme avec un appareil photo",
        "Une femme prend une photo",
        "Un enfant regarde l'image",
        "一只狗在公园里跳过水坑。",
        "כלב קופץ מעל שלולית בפארק",
        # What the picture shows, in words that stand elsewhere for something else.
        "Photo 2 dogs and a cat",
        "Image 2 of 5 shows the east wall",
        "Screenshot 3 of the setup: choose a name",
        "Group 12 boys on a bus",
        "A P-51 Mustang in the air",
        "A jar of vitamins B and A",
        "snake_case on a blackboard",
        "forget-me-nots",
        "jack-o'-lantern",
        "mother-in-law",
        "Boeing 747-400 at night",
        "sars-cov-2 particles",
        'A banner that reads "#MeToo"',
        "A tweet: “see dogs.com #dog”",
        "The Amazon.com office in Rome",
        "A poster with the address example.org",
        "What the bowl is made of",
        "The one he arrived with",
        "Dinner for six…",
        "A child writes the letter a",
        "Mona Lisa",
        "Vitamin C: A",
        "A passport photo",
        "A satellite image",
        "A man looks at an old photo",
        "A wall with a framed family picture",
        "Pictures of a family hang in a hall",
        "Photos of lost cats on a fence",
        'Caption: "we were here" cut into wood',
        "ID: a driving licence of Ohio",
        "Bars of 20, 20, 20, 20 and 20",
        "Ha ha ha, says the sign",
        "哈哈哈哈，两只狗在笑",
        "ワンワンワンと鳴く犬がいる",
    ],
)
def test_good_texts_are_clean(text):
    assert found(text, context="What a day!", platform="x") == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "missing"),
        ("\u200b \ufeff\x00\n", "missing"),
        ("images/cat.PNG", "file-name"),
        ("my cat 2.jpeg", "file-name"),
        ("DSC_0042", "file-name"),
        ("d41d8cd98f00b204e9800998ecf8427e", "file-name"),
        ("team_photo_final", "file-name"),
        ("shutterstock_1234567890", "file-name"),
        ("IMG-20230401-WA0001", "file-name"),
        *((name, "file-name") for name in PROGRAMS),
        ("A loaf of red red red red", "repeats-itself"),
        ("a dog on a sofa and a dog on a sofa and a dog on a sofa and a dog", "repeats-itself"),
        ("一只狗在跑一只狗在跑一只狗在跑一只狗在跑一只狗在跑一只狗在跑", "repeats-itself"),
        ("A bowl, full to the brim, and a dog that sleeps in front…", "cut-off"),
        ("Images of dogs on a beach", "starts-with-image-of"),
        ("[image]", "placeholder"),
        ("No description available.", "placeholder"),
        ("***", "placeholder"),
        ("Untitled design", "placeholder"),
        ("[object Object]", "placeholder"),
        ("spacer.", "placeholder"),
        ("This is a picture of a dog on a beach.", "starts-with-image-of"),
        ("Alt text: a dog on a beach.", "starts-with-image-of"),
        ("In this image, a dog runs.", "starts-with-image-of"),
        ("Dog on a beach stock photos", "ends-with-image"),
        ("A dog&nbsp;on a beach.", "markup"),
        ("A [dog](a.html) on a beach.", "markup"),
        ("A dog on a beach, www.dogs.example", "url"),
        ("A dog on a beach, shop at dogs.com today.", "url"),
        ("Un café au #café du coin.", "hashtags"),
        ("犬がいます #日本語", "hashtags"),
        ("犬です", "very-short"),
        ("I'm sorry, but I can't help with that.", "boilerplate"),
        ("May be an image of dog and text", "boilerplate"),
        ("A dog on a beach with…", "cut-off"),
        ("A dog on a beach,", "cut-off"),
        ("Two dogs and", "cut-off"),
        ("A man eats an", "cut-off"),
        ("The cup is red or", "cut-off"),
    ],
)
def test_kin_of_the_examples_are_found(text, rule):
    assert found(text) == [rule]


def test_the_name_of_the_image_itself_is_no_text():
    for name, rules in (
        ("harbour-at-night", ["file-name"]),
        ("top_weather", ["file-name"]),
        ("Harbour", ["very-short"]),
    ):
        assert found(name, image=f"https://a.example/{name.lower()}.jpg?w=3") == rules
    assert found("top-of-the-weather", image="a/other.jpg") == []


def test_limits_of_platforms_and_graphemes():
    for platform, limit in PLATFORMS.items():
        for letters, rules in ((limit, []), (limit + 1, ["over-limit"])):
            text = ("ab " * letters)[: letters - 1] + "."
            assert found(text, platform=platform, ignore=["repeats-itself"]) == rules, (platform, letters)
    family = "👩‍👩‍👧‍👦"  # one grapheme of seven characters
    assert graphemes(family * 3) == 3
    text = "A family on a beach. " + family * 1900
    assert "over-limit" not in found(text, platform="bluesky")
    assert "over-limit" in found(text, platform="mastodon")
    assert found(CLEAN, max_chars=len(CLEAN)) == []
    assert found(CLEAN, max_chars=len(CLEAN) - 1) == ["too-long"]


def test_repeating_the_post_is_more_than_sharing_words():
    assert found(CLEAN, context=f"Look! {CLEAN.upper()} #dogs https://a.example/x") == ["repeats-post"]
    assert found(f"{CLEAN} Wow.", context=CLEAN) == ["repeats-post"]
    assert found(CLEAN, context="My brown dog in the park.") == []
    assert found("Dogs in parks", context="I love dogs in parks and cats") == []
    assert found(CLEAN, context="") == []


def test_unknown_names_are_refused():
    with pytest.raises(TrifacetError, match="unknown platform 'orkut'"):
        lint_text(CLEAN, platform="orkut")
    with pytest.raises(TrifacetError, match=r"unknown rule 'avoid-emoji' .*other rule set"):
        lint_text(CLEAN, ignore=["avoid-emoji"])


def test_compat_equals_the_npm_linter_on_every_recorded_text():
    if not VERDICTS.is_file():
        pytest.skip("the recorded verdicts are not on this machine (../shared/data/alt_lint)")
    with gzip.open(VERDICTS, "rt", encoding="utf-8") as file:
        recorded = json.load(file)
    assert len(recorded) == 3370
    differing = [row for row in recorded if found(row["text"], rules=COMPAT) != row["violations"]]
    assert differing == []


@given(st.text(max_size=200), st.text(max_size=200))
@searched(100)
def test_no_text_makes_a_rule_stumble(text, post):
    for rules in (RULES, COMPAT):
        for finding in lint_text(text, context=post, platform="bluesky", max_chars=10, rules=rules):
            assert finding.found.count("\n") == 0 and len(finding.found) <= 80


HOSTILE = [
    "a",
    "IMG_1",
    "a.jpg ",
    "\n",
    "\x00",
    " ",
    "#",
    "#a",
    "#1",
    "a.",
    "a-",
    "<a ",
    "[a",
    "**",
    "*a",
    "__a",
    "`",
    "&a",
    "www.",
    "@a.",
    "\u200d",
    "ffff",
    "1",
]
HOSTILE += ["photo ", "image of ", "I can't ", "may be an a ", "here is a ", "👍🏽", "e\u0301"]


@pytest.mark.parametrize("size", [15_000, pytest.param(150_000, marks=pytest.mark.endurance)])
@pytest.mark.parametrize("piece", HOSTILE, ids=ascii)
def test_time_is_linear_in_the_length_whatever_the_text(piece, size):
    text = (piece * size)[:size]
    start = time.process_time()
    lint_text(text, context=text[1:], platform="bluesky", max_chars=125)
    lint_text(text, rules=COMPAT)
    words_only(text)
    assert time.process_time() - start < size / 15_000  # seconds; it takes a fifteenth of them


def test_hashtags_links_and_what_is_neither():
    text = "#café C# #1 &#39; &#x27; #fff #A1B2C3 #facade https://a.example/b#sec a.com/#top (#ad) ##two"
    assert HASHTAGS.findall(text) == ["#café", "#facade", "#ad", "##two"]
    assert URL.findall(text) == ["https://a.example/b#sec", "a.com/#top"]
    assert words_only("Hi @anna.b see https://a.example #Wow 🐈 ok") == "Hi see ok"
    assert is_empty("\u2800\u3164 \t") and not is_empty("🐈")
