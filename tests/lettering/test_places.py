"""Where each word of a line stands: by the line's own words, whatever pieces the engine boxed, turned as the line."""

import math

import numpy as np
import pytest

from trifacet.lettering.lines import Line, Word
from trifacet.lettering.places import placed_words


def corners(line):
    return {one.text: rounded(one.quad) for one in placed_words(line)}


def rounded(quad):
    return tuple((round(x, 6), round(y, 6)) for x, y in quad)


def boxed(left, upper, right, lower):
    return ((left, upper), (right, upper), (right, lower), (left, lower))


def test_pieces_are_put_together_and_what_was_run_together_stays_one():
    pieces = [("A", 0, 10), ("FAREW", 20, 70), ("ELL", 72, 100), ("TO", 120, 140), ("RESTAURANTSIN", 150, 280)]
    words = tuple(Word(text=text, box=(left, 5, right, 25)) for text, left, right in pieces)
    line = Line(text="A FAREWELL TO RESTAURANTSIN", box=(0, 5, 290, 25), words=words)
    assert corners(line) == {
        "A": boxed(0, 5, 10, 25),
        "FAREWELL": boxed(20, 5, 100, 25),
        "TO": boxed(120, 5, 140, 25),
        "RESTAURANTSIN": boxed(150, 5, 280, 25),
    }


def test_signs_hang_on_their_words_and_hyphens_part_them():
    (price, middle, class_) = placed_words(Line(text='"$4,000" Middle-Class', box=(0, 0, 210, 10)))
    assert (price.text, price.word) == ('"$4,000"', "4,000")
    assert [(one.text, one.word) for one in (middle, class_)] == [("Middle", "Middle"), ("Class", "Class")]
    assert rounded(price.quad) == boxed(0, 0, 80, 10)
    assert rounded(middle.quad) == boxed(90, 0, 150, 10)


@pytest.mark.parametrize("degrees", [-40, -10, 0, 15, 60, 100, 170])
def test_words_of_a_turned_line_are_turned_as_it_is(degrees):
    """The engine's upright boxes around turned words lead back to the words' own rectangles."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def turned(left, upper, right, lower):
        return [(500 + x * cos - y * sin, 500 + x * sin + y * cos) for x, y in boxed(left, upper, right, lower)]

    def around(quad):
        return tuple(float(edge) for edge in (*np.min(quad, 0), *np.max(quad, 0)))

    places = {"Market": (10, 0, 90, 30), "day": (105, 0, 150, 30)}
    quad = turned(0, 0, 160, 30)
    words = tuple(Word(text=text, box=around(turned(*place))) for text, place in places.items())
    found = corners(Line(text="Market day", box=around(quad), quad=tuple(quad), words=words))
    for text, place in places.items():
        assert np.allclose(found[text], turned(*place), atol=0.01), text


def test_a_line_without_places_of_its_words_is_cut_evenly():
    assert corners(Line(text="ab cde", box=(0, 0, 60, 9))) == {"ab": boxed(0, 0, 20, 9), "cde": boxed(30, 0, 60, 9)}
    assert placed_words(Line(text=" - ", box=(0, 0, 60, 9))) == ()
    assert corners(Line(text="ab", box=(5, 5, 5, 5))) == {"ab": boxed(5, 5, 5, 5)}
