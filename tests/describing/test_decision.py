"""The decision tree: its questions as the W3C's page puts them, each with a case of our own."""

import pytest

from trifacet.describing.decision import Known, decided, name_parts

CASES = {
    # Does the image contain text?
    "its words stand beside it": (
        Known(written="Book fair", beside="Come to the book fair on Saturday"),
        "decorative",
    ),
    "its words stand nowhere else": (Known(written="Book fair Saturday", beside="Come to the book fair"), "lettering"),
    "a logo": (Known(file_name="acme-logo.svg"), "lettering"),
    "an icon beside the words of its paragraph": (Known(file_name="icon-phone.png", words_beside=True), "decorative"),
    "an icon on its own says something": (Known(file_name="icon-phone.png"), "plain"),
    # Is it in a link or a button?
    "nothing else says what the link does": (Known(control="link"), "functional"),
    "the link has words too": (Known(control="link", named=True), "decorative"),
    "a button of a picture alone, whatever it is called": (
        Known(control="button", file_name="chart.png"),
        "functional",
    ),
    "an empty text where the link has no other name": (
        Known(alt="", marked="alt is empty", control="link"),
        "functional",
    ),
    "the second picture of a link": (Known(control="link", place=2, together=2), "group"),
    "the words in it do not change what a link needs": (Known(control="link", written="Home"), "functional"),
    # Does it add to the meaning?
    "a photograph": (Known(file_name="DSC_2043.jpg"), "plain"),
    "a chart by its name": (Known(file_name="barChart-2024.png"), "complex"),
    "a chart by its text": (Known(alt="A chart of sales in four years"), "complex"),
    "a chart by its caption": (Known(caption="Map showing the harbours"), "complex"),
    "it is described elsewhere": (Known(described=True), "complex"),
    "the first of three stars": (Known(place=1, together=3), "group"),
    "the third of them": (Known(place=3, together=3), "group"),
    # Is it decorative?
    "the page says so": (Known(alt="", marked="alt is empty"), "decorative"),
    "and is believed, whatever the file is called": (Known(alt="", marked="x", file_name="chart.png"), "decorative"),
    "a spacer by its name": (Known(file_name="img/spacer.gif"), "decorative"),
    "a dot": (Known(size=(1, 1)), "decorative"),
    "nobody is told of it": (Known(hidden="aria-hidden", control="link"), "decorative"),
    "a small picture with words beside it": (Known(size=(16, 16), words_beside=True), "decorative"),
    "a small picture alone": (Known(size=(16, 16)), "plain"),
    # Words that only look so.
    "a chartreuse wall is no chart": (Known(file_name="chartreuse-wall.jpg"), "plain"),
    "who draws a graph is no graph": (Known(alt="A girl photographs a dog"), "plain"),
    "a logo is not in a catalogo": (Known(file_name="catalogo.png"), "plain"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_question_has_its_answer(name):
    known, role = CASES[name]
    found, reason = decided(known)
    assert found == role, reason
    assert reason
    assert "\n" not in reason


def test_words_of_a_file_name():
    assert name_parts("barChart_2.png") == ["bar", "chart"]
    assert name_parts("HTMLGraph") == ["html", "graph"] or name_parts("HTMLGraph") == ["htmlgraph"]
    assert name_parts("") == []
    assert len(name_parts("a1" * 100_000)) <= 1000
