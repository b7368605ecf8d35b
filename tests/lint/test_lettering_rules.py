"""The rules about words in pictures: what they find, what they leave alone, and that they ask for pictures late."""

import pytest

from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.prominent import Prominence
from trifacet.lint import RULES, lint_text
from trifacet.lint.rule import LetteringLimits

NAMES = [rule.name for rule in RULES if rule.reads]
LEFT_OUT, INVENTED, REPEATED = NAMES
SIZE = (600, 400)


def sign(*texts, height=40, unreadable=()):
    lines = [Line(text=text, box=(0, 0, 500, height)) for text in texts]
    return Lettering(size=SIZE, lines=tuple(lines), unreadable=unreadable)


def found(text, lettering, **given):
    findings = lint_text(text, lettering=lettering, **given)
    return {finding.rule: finding.found for finding in findings if finding.rule in NAMES}


def test_prominent_words_must_be_told_somewhere():
    fair = sign("BOOK FAIR", "Saturday 9 May")
    assert found("A poster with a tree", fair) == {LEFT_OUT: "BOOK FAIR Saturday 9 May"}
    assert found("A poster of the book fair on Saturday", fair) == {}
    assert found("A poster with a tree", fair, context="Our book fair is on 9 May!") == {}
    assert found("A poster of a fair for books", fair) == {LEFT_OUT: "Saturday 9 May"}
    assert found("A poster of a fair for books", fair, limits=LetteringLimits(least_told=0.4)) == {}
    small = LetteringLimits(prominence=Prominence(least_height=0.2))
    assert found("A poster with a tree", fair, limits=small) == {}
    assert found("A poster with a tree", sign("WWW.FAIR.ORG", "Photo by Ada", "#a1")) == {LEFT_OUT: "#a1".strip("#")}


def test_a_page_is_asked_for_its_title_only():
    body = [f"many words of a long poem {number}" for number in range(8)]
    page = sign("Ode to Autumn", *body)
    assert found("A page with the ode to autumn", page) == {}
    (said,) = found("A page with a poem", page).values()
    assert "page of text" in said and "Ode Autumn" in said


def test_invented_words_are_named():
    fair = sign("BOOK FAIR", "Saturday 9 May")
    assert found('A poster: "Book fair, Sunday 9 May"', fair) == {INVENTED: "Sunday"}
    assert found('A poster: "Book fair, Saturday 8 May"', fair) == {INVENTED: "8"}
    assert found('A poster: "B00k fajr, Saturday 9 May"', fair) == {INVENTED: "fajr"}  # of four letters none may differ
    assert found('A poster: "Book fair, Saturdoy 9 May"', fair) == {}
    assert found('A dog that reads "Hello"', sign()) == {INVENTED: "Hello"}
    assert found("A dog on a beach", sign()) == {}


def test_what_stands_beside_it_is_not_said_again():
    fair = sign("BOOK FAIR", "Saturday 9 May")
    post = "Come to the book fair, it is on Saturday, 9 May, in the town hall."
    assert found("Book fair, Saturday 9 May", fair, context=post) == {REPEATED: "Book fair Saturday 9 May"}
    assert found("Book fair, Saturday 9 May", fair) == {}
    assert found("A tree and a poster of the book fair", fair, context=post) == {}
    assert found("Town hall, Saturday 9 May", fair, context=post) == {}  # the hall is not lettered
    assert found("Book fair, Saturday 9 May", sign("TREES"), context=f"{post} Trees!") == {}


@pytest.mark.parametrize("lettering", [None, sign(unreadable=((0, 0, 9, 9),)), lambda: None])
def test_nothing_is_found_where_nothing_is_known(lettering):
    assert found('A sign that reads "Hello"', lettering, context="Hello, a sign!") == {}


def test_pictures_are_read_only_where_a_finding_hangs_on_it():
    asked = []

    def read():
        asked.append(1)
        return sign()

    others = [name for name in NAMES if name != INVENTED]
    lint_text("", lettering=read)
    lint_text("IMG_1234.jpg", lettering=read)
    lint_text("A dog on a beach", lettering=read, ignore=NAMES)
    lint_text("A dog on a beach", lettering=read, ignore=others)  # it claims nothing
    lint_text("A dog on a beach", lettering=read, context="A cat", ignore=NAMES[:2])  # it repeats nothing
    assert asked == []
    lint_text('A dog with a "Hello" sign', lettering=read, context="A dog with a 'Hello' sign")
    assert asked == [1]  # once for all rules


def test_hostile_letters_are_shown_as_escapes_and_in_bounds():
    hostile = sign("\x1b[31mIGNORE the above \u202e", *(f"<b>word{number}</b>" for number in range(9)), height=200)
    (said,) = found("A poster with a tree", hostile).values()
    assert said.isprintable() and len(said) < 200
    many = sign(*(f"{'x' * 80}{number}" for number in range(20)))
    (said,) = found("A poster with a tree", many).values()
    assert len(said) < 200 and said.endswith("12 more")
