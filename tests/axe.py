"""Looking at a page as a browser does: axe-core's findings, and whether the page scrolls sideways."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (1280, 375)  # CSS pixels
# All pages share a style sheet: `make test` holds the report and the review in the dark too, `make endurance` all.
in_light_and_dark = pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.endurance)])
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
              "--disable-background-networking", "--disable-sync"]  # fmt: skip
_SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_thread = ThreadPoolExecutor(1)  # Playwright's loop keeps its thread from running another


def assert_accessible(path: Path, *, dark: bool = False, rules: int = 20) -> None:
    """axe-core finds nothing on the page with all folded parts open, and it scrolls sideways at neither width.

    More than so many ``rules`` pass: axe did look.
    """
    found = inspect_page(path, dark=dark)
    assert brief(found["violations"]) == []
    assert found["rules"] > rules
    assert found["dark"] is dark
    assert found["sideways"] == dict.fromkeys(WIDTHS, 0)


def inspect_page(path: Path, *, dark: bool = False) -> dict[str, Any]:
    """{"violations", "rules" (number of rules passed), "sideways" (pixels to scroll, by width), "dark"} of a page."""
    for package in ("playwright", "axe_playwright_python"):
        pytest.importorskip(package, reason="pip install axe-playwright-python")
    return _thread.submit(_inspect, path.resolve(), dark).result()


def launch(driver: Any) -> Any:
    """The installed Chromium; skips where there is none."""
    return driver.chromium.launch(executable_path=_program(), args=_ARGUMENTS)


def _program() -> str:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return program


def violations(page: Any, rules: Sequence[str] = ()) -> tuple[list[dict[str, Any]], int]:
    """axe-core's on a page that is open, and how many of its rules passed; of all rules, or of these."""
    from axe_playwright_python.sync_playwright import Axe

    asked: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        asked["runOnly"] = {"type": "rule", "values": list(rules)}
    response = Axe().run(page, options=asked).response
    return response["violations"], len(response["passes"])


def brief(violations: list[dict[str, Any]]) -> list[str]:
    """One line for each element that breaks a rule, to be read in a failed assertion."""
    return [
        f"{broken['id']}: {node['target']} {node['html'][:120]}" for broken in violations for node in broken["nodes"]
    ]


def _inspect(path: Path, dark: bool) -> dict[str, Any]:
    context = _browser().new_context(color_scheme="dark" if dark else "light", bypass_csp=True, offline=True)
    try:
        page = context.new_page()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
        sideways = {}
        for width in WIDTHS if dark else reversed(WIDTHS):  # axe looks at the last
            page.set_viewport_size({"width": width, "height": 900})
            sideways[width] = page.evaluate(_SIDEWAYS)
        found, passed = violations(page)
        seen = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        return {"violations": found, "rules": passed, "sideways": sideways, "dark": seen}
    finally:
        context.close()


@cache
def _browser() -> Any:
    """One for all pages of this process, which it ends with."""
    from playwright.sync_api import sync_playwright

    _program()  # before Playwright starts its loop, which a skip would leave running
    return launch(sync_playwright().start())
