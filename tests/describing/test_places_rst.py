"""Places of reStructuredText: which directives show images, what is around them, where a new text is put."""

import time

import pytest

from trifacet.base.errors import DataError
from trifacet.describing.findings import is_missing
from trifacet.describing.formats.rst import FORMAT
from trifacet.describing.place import Edit


def places(page):
    return list(FORMAT.places(page.encode(), "a.rst"))


def put(page, alt):
    edits = {place.key: Edit(alt) for place in places(page) if not place.fixed}
    return FORMAT.edited(page.encode(), "a.rst", edits).decode()


WRITTEN = {
    ".. image:: a.png": ".. image:: a.png\n   :alt: A boat",
    ".. image:: a.png\n": ".. image:: a.png\n   :alt: A boat\n",
    ".. image:: a.png\n  :width: 3\n\nx": ".. image:: a.png\n  :alt: A boat\n  :width: 3\n\nx",
    ".. image:: a.png\n   :width: 3\n   :alt: old\n": ".. image:: a.png\n   :width: 3\n   :alt: A boat\n",
    ".. image:: a.png\n   :alt: old\n     and more\n   :width: 3\n":
        ".. image:: a.png\n   :alt: A boat\n   :width: 3\n",
    ".. image:: a.png\n   :alt:\n": ".. image:: a.png\n   :alt: A boat\n",
    ".. figure:: a.png\n\n   A caption.\n": ".. figure:: a.png\n   :alt: A boat\n\n   A caption.\n",
    ".. |x| image:: a.png\n.. _y: z\n": ".. |x| image:: a.png\n   :alt: A boat\n.. _y: z\n",
    ".. note::\n\n   .. image:: a.png\n": ".. note::\n\n   .. image:: a.png\n      :alt: A boat\n",
    "- .. image:: a.png\n- b\n": "- .. image:: a.png\n     :alt: A boat\n- b\n",
    ".. IMAGE:: a.png\n": ".. IMAGE:: a.png\n   :alt: A boat\n",
}  # fmt: skip


@pytest.mark.parametrize("page", WRITTEN)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_only_the_text_changes(page, ends):
    if "\n" not in page and ends != "\n":
        return
    page, wanted = page.replace("\n", ends), WRITTEN[page].replace("\n", ends)
    assert put(page, "A boat") == wanted
    assert put(wanted, "A boat") == wanted


@pytest.mark.parametrize(
    "page",
    [
        "Code::\n\n   .. image:: a.png\n", ".. code-block:: rst\n\n   .. image:: a.png\n",
        ".. a comment\n\n   .. image:: a.png\n",
        "..\n   .. image:: a.png\n", ".. raw:: html\n\n   .. image:: a.png\n",
        ".. image: a.png\n", "text .. image:: a.png\n",
        ".. |x| replace:: image::\n", "",
    ],
)  # fmt: skip
def test_what_is_no_image_is_no_place(page):
    assert places(page) == []


def test_what_is_not_known_is_listed_and_fixed():
    (place,) = places(".. someone-s:: x\n\n   .. image:: a.png\n\n.. other stuff\n")
    assert "someone-s" in place.fixed
    (place,) = places(".. image:: {{ x }}.png\n")
    assert "template" in place.fixed
    with pytest.raises(DataError, match="template"):
        put(".. image:: a.png\n", "a {{ x }} b")


PAGE = """======
Harbours
======

Boats lie here.

.. image:: a.png

They come from far.

Bergen
------

.. figure:: b.png
   :target: /b

   The quay
   in 1912

   A legend.

.. |logo| image:: logo.png
.. image:: c.png
   :alt:
"""


def test_context_and_states():
    a, b, logo, c = places(PAGE)
    assert (a.around.before, a.around.after) == ("Boats lie here.", "They come from far.")
    assert (a.around.page, a.around.headings) == ("Harbours", ("Harbours",))
    assert (b.around.caption, b.around.link, b.role) == ("The quay in 1912", "/b", "functional")
    assert b.around.headings == ("Harbours", "Bergen")
    assert (logo.alt, logo.state, logo.role) == ("logo", "text", "lettering")
    assert (c.alt, c.state, c.role) == ("", "empty", "decorative")
    assert [is_missing(place) for place in (a, b, logo, c)] == [True, True, False, False]


HOSTILE_PAGES = {
    "directives": ".. image:: a.png\n\n" * 2_000,
    "options": ".. image:: a.png\n" + "   :x: y\n" * 50_000,
    "bullets": "- " * 20_000 + ".. image:: a.png",
    "unknown": "".join(" " * number + ".. x::\n" for number in range(500)) + " " * 600 + ".. image:: a.png\n",
    "paragraph": "word\n" * 50_000 + ".. image:: a.png\n",
    "titles": "x\n===\n\n.. image:: a.png\n\n" * 1_000,
}


@pytest.mark.parametrize("name", HOSTILE_PAGES)
def test_a_hostile_file_takes_no_longer_than_its_length(name):
    page = HOSTILE_PAGES[name]
    start = time.process_time()
    free = [place for place in places(page) if not place.fixed]
    if free:
        FORMAT.edited(page.encode(), "a.rst", {free[-1].key: Edit("A boat")})
    assert time.process_time() - start < 10
