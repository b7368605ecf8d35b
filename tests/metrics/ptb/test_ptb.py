"""The tokeniser equals the COCO toolkit's recorded tokens; its habits, one by one; no text is too much for it."""

import gzip
import importlib.util
import json
import random
import shutil
import string
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.metrics.ptb import PUNCTUATION, tokenize, tokenize_all

ORACLE = Path(__file__).parents[3] / ".." / "shared" / "data" / "ptb_tokenizer" / "ptb_oracle.jsonl.gz"
needs_oracle = pytest.mark.skipif(not ORACLE.is_file(), reason="no ../shared/data/ptb_tokenizer")


@needs_oracle
def test_equals_the_recorded_tokens():
    """The lines of one input, the last of which has none behind it."""
    pairs = [json.loads(line) for line in gzip.decompress(ORACLE.read_bytes()).decode("utf-8").split("\n")[:-1]]
    ours = [" ".join(tokens) for tokens in tokenize_all([pair["text"] for pair in pairs])]
    assert ours == [pair["ptb"] for pair in pairs] and len(pairs) > 6000


PIECES = """
    a A The the Mr. Ms. Mrs. MS. THE <b> <b>x </b> <br/> <i a='b'> <!--x--> <? B. b. U. U.S. etc. no. No. fig. 5 12 1/2
    ½ 555 1234 '90 'n c;d :D :) =) ;d (=-=) (-=) dog dogs' it's can't cannot Mass. Ph.D. a.m. x.jpg www.a.com m@x.org
    http://a.b/c. ( ) [x] - -- ... . , ! ?! " “x” Here However, This You You. I. J.K. St. Jan. co. ill. é 日本 more'n c#
    $5 5% 1,000.5 3/4/24 10:30 and/or AT&T &amp; #x @y ^_^ <3 > < / * bat., dog.The C# A.B
""".split()  # noqa: SIM905
SPACES = [" ", " ", "  ", "\t", "\xa0", ""]


def made_up(draw):
    """A caption of tricky pieces: often ends in one that what follows decides about, sometimes blank."""
    parts = draw.choices(PIECES, k=draw.choice([0, 0, 1, 1, 1, 2, 3, 5]))
    return draw.choice(["", "", " "]) + "".join(
        part + draw.choice([" ", " ", "  ", "\t", "\xa0", ""]) for part in parts
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The toolkit's own way: all captions in one file, one a line, to its Java program."""
    package, java = importlib.util.find_spec("pycocoevalcap"), shutil.which("java")
    if package is None or java is None:
        pytest.skip("needs pycocoevalcap (extra evaluate) and Java")
    jar = Path(package.submodule_search_locations[0], "tokenizer", "stanford-corenlp-3.4.1.jar")
    file = tmp_path_factory.mktemp("ptb") / "captions.txt"

    def tokens(texts):
        file.write_text("\n".join(texts), encoding="utf-8")
        command = [java, "-XX:TieredStopAtLevel=1", "-cp", jar, "edu.stanford.nlp.process.PTBTokenizer"]
        done = subprocess.run([*command, "-preserveLines", "-lowerCase", file], capture_output=True, check=True)
        lines = done.stdout.decode("utf-8").split("\n")[: len(texts)]
        return [[word for word in line.rstrip().split(" ") if word and word not in PUNCTUATION] for line in lines]

    return tokens


@pytest.mark.parametrize("count", [4000, pytest.param(200_000, marks=pytest.mark.endurance)])
def test_equals_the_original_on_captions_that_touch_each_other(count, original):
    draw = random.Random(count)
    captions = [made_up(draw) for _ in range(count)]
    differ = [
        (captions[place : place + 3], ours, theirs)
        for place, (ours, theirs) in enumerate(zip(tokenize_all(captions), original(captions), strict=True))
        if ours != theirs
    ]
    assert len(differ) <= count // 100_000, differ  # "555Ph.D.bat.," and its like: docs/scores.md


# What stands behind a caption, and the caption's tokens: all recorded from the original.
ENDS = [
    ("the Wii U.", ["A dog"], "the wii u"),
    ("the Wii U.", ["a dog"], "the wii u."),
    ("the Wii U.", ["The.", "A dog"], "the wii u."),
    ("the Wii U.", ["", " ", "A dog"], "the wii u"),
    ("the Wii U.", [], "the wii u."),
    ("plan B. ", ["Mr. X"], "plan b"),
    ("plan B.", ["Ms."], "plan b."),
    ("plan B.", ["Ms.", ""], "plan b"),
    ("plan B.", ["Mrs. X"], "plan b."),
    ("plan B.", ["<b> x"], "plan b"),
    ("plan B.", ["<b>x"], "plan b."),
    ("plan B.", ["<b", "x> y"], "plan b."),
    ("plan B. <b>", ["x"], "plan b <b>"),
    ("plan B. <b>", [], "plan b. <b>"),
    ("plan B. Mr.", ["x"], "plan b mr."),
    ("plan B. Ms. X", [], "plan b ms. x"),
    ("no.", ["5 dogs"], "no."),
    ("no. ", ["5 dogs"], "no"),
    ("no.", ["", "5 dogs"], "no"),
    ("no.  5", ["x"], "no 5"),
    ("the '90", ["x"], "the '90"),
    ("the '90", [], "the 90"),
    ("rock 'n", [], "rock 'n"),
    ("a :)", ["x"], "a :-rrb-"),
    ("a :)", [], "a -rrb-"),
]


@pytest.mark.parametrize(("text", "behind", "expected"), ENDS)
def test_what_follows_a_caption_decides_as_in_the_original(text, behind, expected):
    assert " ".join(tokenize_all([text, *behind])[0]) == expected


HABITS = {
    "lower case": ("A Red Bus", "a red bus"),
    "brackets stay, renamed": ("a (red) bus [sic] {x}", "a -lrb- red -rrb- bus -lsb- sic -rsb- -lcb- x -rcb-"),
    "punctuation goes": ("Two cats, one dog; a sofa: see?", "two cats one dog a sofa see"),
    "quotes go": ("a \"big\" 'sign' ``here''", "a big sign here"),
    "curly quotes go": ("a \u201cbig\u201d \u2018sign\u2019", "a big sign"),
    "but two in a row are a token of their own": ("\u201c\u201d", "``''"),
    "repeated marks stay": ("wow!! what?! so!", "wow !! what ?! so"),
    "dashes go": ("a - b -- c \u2013 d\u2014e", "a b c d e"),
    "a long rule stays": ("a ------ b", "a ------ b"),
    "hyphens join": ("a well-lit, black-and-white photo", "a well-lit black-and-white photo"),
    "ellipses go": ("a... b \u2026 c . . . d", "a. b c d"),
    "emoji vanish": ("dog \U0001f415\u200d\U0001f9ba end\U0001f600", "dog end"),
    "cannot is two": ("cannot gonna gimme", "can not gon na gim me"),
    "n't": ("don't can\u2019t WON'T", "do n't ca n't wo n't"),
    "'s and kin": ("it's we'll they\u2019ve I'd", "it 's we 'll they 've i 'd"),
    "plural possessive": ("the dogs' bowl", "the dogs bowl"),
    "apostrophes inside": ("O'Neil ma'am o'clock", "o'neil ma'am o'clock"),
    "y'all": ("y'all", "y' all"),
    "'tis": ("'Twas 'tis", "'t was 't is"),
    "years": ("the '90s and 1980s", "the '90s and 1980s"),
    "abbreviations keep the period": ("U.S. etc. at 5 a.m. on Main St.", "u.s. etc. at 5 a.m. on main st."),
    "words lose it": ("a bus. the end.", "a bus the end"),
    "unless a comma follows": ("ready to bat., now", "ready to bat. now"),
    "states with a capital": ("Mass. mass.", "mass. mass"),
    "before a number only": ("no. 5 or no.", "no. 5 or no"),
    "an initial, or a sentence's end": ("Plan A. The end by A. Smith", "plan a the end by a. smith"),
    "no space after the period": ("a dog.The cat", "a dog.the cat"),
    "money": ("$5.99 US$3 \u20ac5 \xa37 5\xa2", "$ 5.99 us$ 3 $ 5 # 7 5 cents"),
    "per cent": ("50% off", "50 % off"),
    "fractions": ("1/2 \xbd 1 1/2", "1/2 1/2 1\xa01/2"),
    "numbers": ("1,000.5 -3 10:30 10:30am", "1,000.5 -3 10:30 10:30 am"),
    "telephone": ("(555) 123-4567", "-lrb-555-rrb-\xa0123-4567"),
    "dates": ("3/4/2024 2024-03-04", "3/4/2024 2024-03-04"),
    "slashes": ("and/or a/b/c/d", "and/or a/b/c / d"),
    "companies": ("AT&T a & b R&amp;D", "at&t a & b r&d"),
    "web and mail": ("See http://a.org/b?c=d. me@x.org", "see http://a.org/b?c=d me@x.org"),
    "hashtags and users": ("#dogs2 @me_2", "#dogs 2 @me_2"),
    "files": ("12.jpg a.png", "12.jpg a.png"),
    "smileys": (":) :-( :D ^_^", ":-rrb- :--lrb- :d ^_^"),
    "a smiley needs an end": (":Dog", "dog"),
    "tags": ('<b>x</b> <a href="y z">', '<b> x </b> <a\xa0href="y\xa0z">'),
    "entities": ("a &amp; b &quot;c&quot; &lt;", "a & b c <"),
    "accents stay": ("caf\xe9 cafe\u0301 \xbfQu\xe9?", "caf\xe9 cafe\u0301 \xbf qu\xe9"),
    "scripts": ("\u65e5\u672c \u041f\u0440\u0438\u0432", "\u65e5\u672c \u043f\u0440\u0438\u0432"),
    "signs": ("100\xb0C Nike\xae", "100 \xb0 c nike \xae"),
    "soft hyphens vanish": ("sun\xadshine", "sunshine"),
    "'em is cut off any word": ("'empty", "'em pty"),
    "nothing": (" . , ", ""),
}  # fmt: skip


@pytest.mark.parametrize("habit", HABITS)
def test_habits_of_the_original(habit):
    text, expected = HABITS[habit]
    assert " ".join(tokenize(text)) == expected


@pytest.mark.parametrize("separator", ["\r", "\n", "\r\n", "\u2028", "\u2029", "\x0b", "\x0c", "\t"])
def test_a_caption_is_one_caption_whatever_it_holds(separator):
    captions = [f"a dog{separator}on grass", "a cat", separator, "1 1/2", ""]
    assert tokenize_all(captions) == [["a", "dog", "on", "grass"], ["a", "cat"], [], ["1\xa01/2"], []]


def test_punctuation_within_soft_hyphens_is_punctuation():
    """The tokenizer writes ``?``, which the toolkit leaves out."""
    assert tokenize_all(["\xad?\xad", "a \xad.\xad b", "\xad?"]) == [[], ["a", "b"], []]


TRICKY = st.text(alphabet="abSTnt019 .,:;-'\u2019\"!?()<>/&@#_=~\\\xad\u0301\u65e5\ud800\U0001f600\x00\n", max_size=30)


@given(st.one_of(TRICKY, st.text(st.characters(), max_size=30)))
@searched(400)
def test_any_text_gives_tokens_that_joining_by_spaces_keeps(text):
    tokens = tokenize(text)
    assert not PUNCTUATION & set(tokens)
    assert all(token and " " not in token for token in tokens)
    assert tokenize("q " + text + " q")[:1] == ["q"]


WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=9)


@given(st.lists(st.one_of(WORDS, st.tuples(WORDS, WORDS).map("-".join)), max_size=8))
@searched(100)
def test_plain_words_stay_as_they_are(words):
    once = tokenize(" ".join(words))
    assert tokenize(" ".join(once)) == once


@given(
    st.lists(st.one_of(TRICKY, st.sampled_from(PIECES), st.lists(st.sampled_from(PIECES)).map(" ".join)), max_size=6)
)
@searched(200)
def test_captions_touch_nothing_but_the_end_of_the_one_before(texts):
    """All at once, with each plain word once and little of what follows held, is each with all that follows it."""
    rest = ["".join(f"\n{text}" for text in texts[place + 1 :]) for place in range(len(texts))]
    lines = [text.replace("\n", " ") for text in texts]
    assert tokenize_all(lines) == [tokenize(text, after) for text, after in zip(lines, rest, strict=True)]


# What could make a tokeniser look through the rest of the text again and again: all must end.
HOSTILE = [
    "a", "1", "a.", "a/", "a@", "@", "<a ", '<a b="', "<!a", "http://", "http://-", "www.-", "a~", "~a.com/..", "1a.",
    "a,b", "'", "&amp;", "5 55 ", "aa'", "\ud800", "\u65e5", "\xad", "o'", "no. ", "A.  ", "a.b-", "a_",
    "a. <!b ", "a. <b c='", "a. <b ",
]  # fmt: skip


@pytest.mark.parametrize("size", [20_000, pytest.param(150_000, marks=pytest.mark.endurance)])
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_is_done_in_one_pass(piece, size):
    start = time.process_time()
    tokens = tokenize((piece * size)[:size])
    assert time.process_time() - start < size / 10_000  # seconds; it takes a fiftieth of them
    assert sum(map(len, tokens)) <= 9 * size
