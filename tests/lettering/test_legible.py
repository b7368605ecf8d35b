"""Letters that the models do not know are told from those that they do: by a look at the line, not in a dictionary."""

import numpy as np
import pytest
from rendered import lettered

from trifacet.lettering.engines.legible import Candidate, foreign, inked, legible, silent_ink

OTHERS = {
    "Russian": "Свежий хлеб каждый день",
    "Greek": "Φρέσκο ψωμί κάθε μέρα",
    "Arabic": "خبز طازج كل يوم",
    "Hebrew": "לחם טרי כל יום",
    "Armenian": "Թարմ հաց ամեն օր",
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS)
def test_letters_that_the_models_do_not_know(rapid, text):
    found = rapid.read(lettered(text))
    assert (found.status, found.text) == ("cannot read", "")
    left, _, right, _ = found.unreadable[0]
    assert right - left > 0.5 * found.size[0]


def test_they_do_not_take_their_neighbours_along(rapid):
    found = rapid.read(lettered("Fresh bread daily", OTHERS["Russian"], "Frisches Brot täglich"))
    assert [line.text for line in found.lines] == ["Fresh bread daily", "Frisches Brot täglich"]
    assert len(found.unreadable) == 1
    assert found.status == "read"


def test_a_number_amid_unknown_letters_is_not_taken_for_the_line(rapid):
    assert rapid.read(lettered("Мороженое 50 руб")).text == ""


@pytest.mark.parametrize("text", ["Xylq Brzk 77-Q", "5 µm, π = 3.14", "Łódź, Žižkov, Åse"])
def test_what_no_dictionary_has_is_read(rapid, text):
    assert rapid.read(lettered(text)).status == "read"


@pytest.mark.parametrize(
    ("text", "is_foreign"),
    [("10 kΩ", False), ("β-carotene", False), ("Δt = 5 μs", False), ("ΩΔ", True), ("BIBΛIO", True), ("ρατε", True)],
)
def test_greek_letters_as_signs_and_as_words(text, is_foreign):
    assert foreign(text) is is_foreign


def drawn(*strokes: tuple[int, int]) -> np.ndarray:
    """A white line of 40 x 200 pixels with black strokes from column to column."""
    crop = np.full((40, 200, 3), 255, np.uint8)
    for start, end in strokes:
        crop[10:30, start:end] = 0
    return crop


def test_ink_without_a_letter():
    crop = drawn((10, 40), (120, 190))
    assert silent_ink(crop, [2], 20) == pytest.approx(70 / 100, abs=0.08)
    assert silent_ink(crop, [2, 12, 15, 17], 20) == 0
    assert silent_ink(crop, [], 20) == 1


def test_a_flat_place_holds_no_letters():
    assert inked(drawn((10, 100)))
    assert not inked(np.full((40, 200, 3), 90, np.uint8))


def test_a_reading_that_is_less_than_sure_has_to_hold():
    asked = []

    def again(readings):
        def recognise(crops):
            asked.append(len(crops))
            return readings * (len(crops) // len(readings))

        return recognise

    def line(text, confidence):
        return Candidate(text, confidence, drawn((10, 190)), list(range(1, 19)), 20)

    sure, doubtful, hopeless = line("Open", 0.97), line("Open", 0.88), line("Open", 0.4)
    assert legible([sure, doubtful, hopeless], again([("Open", 0.9), ("Open ", 0.9)])) == [True, True, False]
    assert asked == [2]
    assert legible([doubtful], again([("Open", 0.9), ("Open", 0.7)])) == [False]
    assert legible([doubtful], again([("Q9n", 0.99), ("0pm", 0.99)])) == [False]
