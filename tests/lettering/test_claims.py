"""What a text says that the letters say is found, in bounded time; speech, names, inches and apostrophes are none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.lettering.claims import MOST_CLAIMS, checked, claimed
from trifacet.lettering.lines import Lettering, Line

# Sentences of alt-texts, and what they claim: the strings that stand in the picture, by their author's intent.
LED = {
    'A sign that reads "No Parking" on a wall.': ["No Parking"],
    "A mug that says hello world on a table.": ["hello world"],
    "A poster titled 'Don't stop' by the sea.": ["Don't stop"],
    "A sign reading STOP HERE in red.": ["STOP HERE"],
    "His book titled the great gatsby.": ["the great gatsby"],
    "Cake with the words happy new year in gold.": ["happy new year"],
    "Text overlay: 30 Beginner Recipes.": ["30 Beginner Recipes"],
    "Noodles with the title overlay reading 30 beginner recipes": ["30 beginner recipes"],
    "A sign says no dogs on the beach, with a dog.": ["no dogs"],
    "A jar labelled flour and a jar labelled sugar.": ["flour", "sugar"],
    "A tin labeled “Tea & Co.” beside it.": ["Tea & Co."],
    "Ein Schild mit der Aufschrift „Guten Tag“.": [],
    "A menu with the heading Today: soup 3.50 and bread": ["Today: soup 3.50 and bread"],
}
UNLED = {
    "A banner: BORN THIS WAY in pink.": ["BORN THIS WAY"],
    "„Guten Tag“ auf einem Schild": ["Guten Tag"],
    "Une affiche « Bonjour »": ["Bonjour"],
    "看板に「営業中」とある": ["営業中"],
    'Nine friends hold up "Yes" and "No" cards.': ["Yes", "No"],
    "A cup, ‘best dad’, half full.": ["best dad"],
}
NONE = [
    '6" x 4" photo of a 54" roll of vinyl',
    "A 5'10\" man and a 6' fence",
    "The dogs' bowls and the cats' toys",
    "'90s kids at the dogs' park",
    'He says "hello" to her',
    "“Hello,” says Ada",
    'A scene of the song "Hello"',
    'A man nicknamed "The Rock"',
    "A woman reading a book under a tree",
    "The text is blue",
    "Words with the text in white letters",
    "A NASA rocket over the USA",
    "A RED BUS STOPS HERE IN THE RAIN",
    "A girl saying goodbye",
    "",
]


@pytest.mark.parametrize(("text", "claims"), [*LED.items(), *UNLED.items()], ids=lambda value: str(value)[:30])
def test_claims_are_found_with_their_places(text, claims):
    found = claimed(text)
    assert [one.text for one in found if text in UNLED or one.led] == claims
    assert all(text[slice(*one.span)].strip(" ,") == one.text for one in found)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_claim(text):
    assert claimed(text) == ()


def sign(*texts, confidence=1.0, unreadable=()):
    lines = tuple(Line(text=text, box=(0, 0, 90, 10), confidence=confidence) for text in texts)
    return Lettering(size=(100, 100), lines=lines, unreadable=unreadable)


def lacking(lettering, text, *beside):
    return [one.missing for one in checked(lettering, text, *beside)]


def test_invented_words_are_told():
    text = 'A sign that reads "Closed on Sunday"'
    assert lacking(sign("CLOSED ON", "SUNDAY"), text) == [()]
    assert lacking(sign("OPEN ON", "MONDAY"), text) == [("Closed", "Sunday")]
    assert lacking(sign(), text) == [("Closed", "Sunday")]  # letters that are not there
    assert [one.words for one in checked(sign(), text)] == [2]
    assert lacking(sign(), "A dog on a beach") == []


def test_what_may_stand_where_nothing_could_be_read_is_not_called_invented():
    text = 'A sign that reads "Closed" and a cup that says "Thermodynamics of the sea"'
    unread = ((0, 0, 40, 10),)  # as long as eight letters
    assert lacking(sign("SHOP", unreadable=unread), text) == [(), ("Thermodynamics", "sea")]
    assert lacking(sign(unreadable=unread), text) == []  # "cannot read"
    assert lacking(sign("CL0SF0", confidence=0.6), text) == [(), ("Thermodynamics", "sea")]


def test_quotes_of_the_post_are_none_of_the_picture_unless_it_is_said_so():
    post = "Ada calls it her 'happy place'."
    assert lacking(sign(), "Ada at her “happy place”", post) == []
    assert lacking(sign(), "Ada at her “happy place”", "Nice!") == [("happy", "place")]
    assert lacking(sign(), "A sign that reads “happy place”", post) == [("happy", "place")]


@given(st.text(max_size=200))
@searched(200)
def test_claims_stand_where_they_are_said_to(text):
    ends = 0
    for claim in claimed(text):
        assert ends <= claim.span[0] < claim.span[1] <= len(text)
        assert claim.text in text[slice(*claim.span)]
        ends = claim.span[1]


PIECES = ['"a ', "“", "'a ", "a sign that reads ", "STOP HERE ", "titled ", "„", "that says: ", "`", "the text ", "A "]
PIECES += ["“a”", "'", "<b>", "\u202e", "ignore the above. ", "«a", "text overlay reading "]


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_time_is_linear_whatever_the_text(piece):
    text = (piece * 100_000)[:100_000]
    start = time.process_time()
    assert len(claimed(text)) <= MOST_CLAIMS
    assert time.process_time() - start < 5  # seconds; it takes a tenth of one
