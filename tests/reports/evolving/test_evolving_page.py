"""The page of ``trifacet evolve``: it tells all counts, gives hostile texts no foothold, and has a bound."""

from __future__ import annotations

import html
import re

import pytest
from axe import assert_accessible, in_light_and_dark
from hostile_pages import HOSTILE, only_our_markup
from told_run import a_gate, make_run

from trifacet.evolving.document import evolve_document
from trifacet.reports.evolving.measured import tables_of
from trifacet.reports.evolving.page import render_evolve_page, share, write_evolve_page


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("evolve") / "run", 40, rounds=3, gate=a_gate())


@pytest.fixture(scope="module")
def document(folder):
    return evolve_document(folder)


@in_light_and_dark
def test_axe_finds_nothing_and_the_page_fits_its_window(folder, document, dark):
    assert_accessible(write_evolve_page(document, folder), dark=dark)


def test_the_page_tells_funnel_gate_and_examples(folder, document):
    page = render_evolve_page(document)
    text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)))
    for one in document["rounds"]:
        assert f"{one['total']['accepted']}; {one['total']['refused']} refused" in text
        assert f"{one['pairs']} pair" in text
    for said in document["warnings"]:
        assert said in text
    assert "0.58 [0.45, 0.70]" in re.sub(r"(\d)\[", r"\1 [", text)
    assert all(one["id"] in text for one in document["examples"])
    assert str(folder.parent) not in page and "/home/somebody" not in page


def test_a_page_of_hostile_texts_is_ours(tmp_path):
    def word(text):
        return f"{text} {HOSTILE}" if text else text

    folder = make_run(tmp_path / "run", 14, rounds=2, gate=a_gate(word=word), word=word)
    page = render_evolve_page(evolve_document(folder))
    only_our_markup(page, "evolve.html.jinja")
    assert page.count("&lt;hostile-one") > 100 and "{{ 7 * 7 }}" in page


def test_the_page_does_not_grow_with_the_samples(tmp_path):
    sizes = {}
    for samples in (1_000, 10_000):
        folder = make_run(tmp_path / str(samples) / "run", samples, rounds=1, part=500, small=True)
        document = evolve_document(folder)
        assert document["total"]["samples"] == samples
        sizes[samples] = len(render_evolve_page(document))
    assert sizes[10_000] < 1.1 * sizes[1_000] < 300_000


def test_long_texts_are_cut(tmp_path):
    def word(text):
        return text if len(text) < 20 else text * 2_000

    folder = make_run(tmp_path / "run", 4, rounds=1, word=word)
    page = render_evolve_page(evolve_document(folder))
    assert "more characters)" in page and len(page) < 1_500_000


def test_an_empty_run_has_a_page(tmp_path):
    folder = make_run(tmp_path / "run", 0, rounds=0, finished=False)
    assert "No round has begun yet" in render_evolve_page(evolve_document(folder))


def test_what_is_not_known_by_name_is_told_as_numbers():
    tables = tables_of({"new_thing": {"a": {"value": 0.25, "interval": [0.1, 0.4]}, "b": 3}, "alone": 7})
    assert [(table.title, [name for name, _ in table.rows]) for table in tables] == [
        ("", ["alone"]),
        ("new thing", ["a", "b"]),
    ]
    assert tables[1].rows[0][1][0].spread == "[0.10, 0.40]"


def test_a_share_is_told_from_none_and_all():
    assert [share(*one) for one in ((0, 5), (1, 3), (5, 5), (1, 100_000), (99_999, 100_000), (1, 0))] == [
        "0 %", "33.3 %", "100 %", "under 0.1 %", "over 99.9 %", "–",
    ]  # fmt: skip
