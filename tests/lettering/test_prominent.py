"""What a reader should hear of is asked for; addresses, credits, small print and watermarks are not."""

import pytest

from trifacet.lettering.lines import Lettering, Line
from trifacet.lettering.prominent import Prominence, is_address, is_credit, is_page, letter_height, prominent


def line(text, height=100.0, upper=0.0, **more):
    return Line(text=text, box=(0, upper, 900, upper + height), **more)


def texts(*lines, rule=None):
    return [one.text for one in prominent(Lettering(size=(1000, 1000), lines=lines), rule)]


@pytest.mark.parametrize(
    "text",
    [
        "www.thefoodietakesflight.com",
        "EarningPick.Com",
        "rockmywedding.co.uk | @rockmywedding",
        "https://a.example/b?c=d",
        "@ada.writes",
        "ada@example.org",
    ],
)
def test_addresses_are_not_asked_for(text):
    assert is_address(text)
    assert texts(line(text), line("BORN THIS WAY")) == ["BORN THIS WAY"]


@pytest.mark.parametrize(
    "text", ["St. Mary", "Dr. No", "8.30 a.m.", "No.1 in town", "Visit shop.example.com today", "me"]
)
def test_words_are_no_addresses(text):
    assert not is_address(text)


@pytest.mark.parametrize(
    "text",
    ["Credit: Getty", "Photo by Ada", "© 2024 Ada", "PHOTO: Ada", "Ada © 2020", "shutterstock", "Courtesy of NASA"],
)
def test_credits_are_not_asked_for(text):
    assert is_credit(text)
    assert texts(line(text), line("SALE")) == ["SALE"]


@pytest.mark.parametrize(
    "text", ["Photo contest", "Credit cards taken", "Image is everything", "Source of life", "Art"]
)
def test_words_are_no_credits(text):
    assert not is_credit(text)


def test_size_confidence_and_letters_decide():
    big = line("SALE", 100)
    assert texts(big, line("small print", 24)) == ["SALE"]
    assert texts(line("small print", 29), line("note", 31)) == ["note"]  # .03 of 1000 pixels
    assert texts(big, line("guess", 100, confidence=0.79)) == ["SALE"]
    assert texts(big, line("y!"), line("30"), line("I")) == ["SALE", "30"]
    assert texts(big, line("note", 31), rule=Prominence(least_of_tallest=0.5)) == ["SALE"]
    assert texts(line("SALE", 25), rule=Prominence(least_height=0.02)) == ["SALE"]
    assert texts() == []


def test_letters_of_turned_lines_are_as_tall_as_their_rectangle():
    turned = Line(text="SALE", box=(0, 0, 200, 900), quad=((0, 900), (0, 0), (200, 0), (200, 900)))
    assert letter_height(turned) == 200
    assert letter_height(line("SALE", 40)) == 40


def test_lines_stated_without_a_place_count():
    stated = Line(text="SALE", box=(0, 0, 1000, 1000), placed=False)
    assert texts(stated, line("note", 40)) == ["SALE", "note"]


def test_hashtags_are_asked_for_unless_they_are_a_wall():
    assert texts(line("#MeToo"), line("#NOW")) == ["#MeToo", "#NOW"]
    assert texts(line("TAGS"), line("#one"), line("• #two #three"), line("#four")) == ["TAGS"]


def test_what_stands_everywhere_is_a_watermark():
    assert texts(line("Demo"), line("demo"), line("SALE"), line("DEMO")) == ["SALE"]


def test_a_page_is_asked_for_its_title():
    body = [line("five words of a poem", 30, upper=40 * number) for number in range(2, 8)]
    page = (line("A FAREWELL TO ARMS", 31), *body)
    assert is_page(Lettering(size=(1000, 1000), lines=page))
    assert texts(*page) == ["A FAREWELL TO ARMS"]  # the first line, where none is taller
    assert texts(*body, line("THE END", 60), line("now", 40)) == ["THE END"]
    assert texts(line("www.ada.org"), *page)[0] == "A FAREWELL TO ARMS"
    assert not is_page(Lettering(size=(1000, 1000), lines=body[:5]))
    assert not is_page(Lettering(size=(10, 10), lines=[Line(text="字" * 50, box=(0, 0, 9, 9))]))
