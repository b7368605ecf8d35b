"""The tables of the docs that are written from the code."""

from pathlib import Path

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.cli.pages import PAGES, update
from trifacet.settings.tables import BEGIN, END, with_table

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name):
    page = (DOCS / name).read_text(encoding="utf-8")
    assert with_table(page, PAGES[name]()) == page, "run: python -m trifacet.cli.pages"


def test_pages_are_written_in_place(tmp_path):
    for name in PAGES:
        (tmp_path / name).write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    update(tmp_path)
    for name, made in PAGES.items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text == f"before\n{BEGIN}\n{made()}\n{END}\nafter\n"


def test_a_page_without_markers_is_refused():
    with pytest.raises(TrifacetError, match="no place for the keys"):
        with_table("no markers\n", "table")
