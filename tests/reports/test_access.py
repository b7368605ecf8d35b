"""The report in a browser: no finding of axe-core and no sideways scrolling, wide and narrow, light and dark."""

from __future__ import annotations

import pytest
from axe import assert_accessible, inspect_page

from trifacet.reports.run.report import write_report


@pytest.mark.parametrize("dark", [False, True])
def test_the_report_has_no_violation_and_fits_its_window(run_folder, dark):
    assert_accessible(write_report(run_folder), dark=dark)


def test_axe_finds_what_is_wrong(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<!doctype html><html><head><title>x</title></head><body><img src='data:,'></body></html>")
    assert {"html-has-lang", "image-alt"} <= {broken["id"] for broken in inspect_page(page)["violations"]}
