"""What a scan costs beside lint: ``python bench/alt_scan.py``, CPU seconds per megabyte of pages made here."""

from __future__ import annotations

import time
from pathlib import Path

from trifacet.describing.formats import format_called
from trifacet.lint.linting import LintCounts, LintSettings, lint_documents
from trifacet.lint.sources import Document

WORDS = (
    "<p>Some words with a <a href='/x'>link</a> and <b>more</b> of them, for a paragraph as long as usual ones.</p>\n"
)
PICTURE = '<figure><img src="a.png" alt="A red boat in the harbour"><figcaption>The caption</figcaption></figure>\n'
PAGES = {
    "no picture": WORDS * 8000,
    "one picture in 10 kB": (WORDS * 90 + PICTURE) * 90,
    "one picture in 1 kB": (WORDS * 9 + PICTURE) * 900,
    "pictures only": PICTURE * 6000,
}


def seconds_per_megabyte() -> None:
    """Print a row for each page."""
    for name, body in PAGES.items():
        data = f"<!doctype html><title>T</title>{body}".encode()
        began = time.process_time()
        places = len(list(format_called("html").places(data, "a.html")))
        scanned = time.process_time()
        document = Document(Path("a.html"), "html", data)
        list(lint_documents([document], LintSettings(), LintCounts(), lambda problem: None))
        linted = time.process_time()
        scan, lint = (1e6 * seconds / len(data) for seconds in (scanned - began, linted - scanned))
        print(f"{name:<22} {places:>5} places  scan {scan:.2f} s/MB  lint {lint:.2f} s/MB")


if __name__ == "__main__":
    seconds_per_megabyte()
