"""Pages that people work on: their server as a process, a browser, and somebody at the keyboard."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from axe import launch

SECONDS = 90


@contextmanager
def running(arguments, port=0, minutes=5):
    """The command as a process of its own, with the links that it prints as ``links``; stopped at the end."""
    command = [sys.executable, "-m", "trifacet", *arguments, "--port", str(port), "--for", str(minutes)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": _paths()}
    )
    try:
        wanted = arguments.count("--judge") + arguments.count("--person") or 1
        process.links = [re.search(r"http://\S+", process.stdout.readline())[0] for _ in range(wanted)]
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SECONDS)


def _paths() -> str:
    return os.pathsep.join(path for path in sys.path if path)


def until(condition, seconds=SECONDS):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
    return found


@contextmanager
def chromium():
    """The installed Chromium, driven by playwright; skips where either is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install axe-playwright-python")
    with playwright.sync_playwright() as driver:
        browser = launch(driver)
        try:
            yield browser
        finally:
            browser.close()


FOCUSED = "Autofocus processing was blocked"  # Chromium's note where a key was quicker than the page's own focus


class Person:
    """A page of somebody with nothing but a keyboard; ``console`` is what should stay empty."""

    def __init__(self, browser, link, **settings):
        context = browser.new_context(**settings)
        context.set_default_timeout(SECONDS * 1000)
        self.page, self.link, self.console = context.new_page(), link, []
        self.page.on("console", lambda message: None if FOCUSED in message.text else self.console.append(message.text))
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on("request", lambda request: self.console.append(request.url) if self.strange(request.url) else None)
        self.page.goto(link)
        self.page.wait_for_url("**/begin")

    def strange(self, url):
        return not url.startswith(self.link.partition("/?")[0])

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, words):
        """Tab until a control called so has the focus, which can be seen."""
        for _ in range(40):
            self.press("Tab")
            tag, name, text, ring = self.page.evaluate(
                "(e => [e.tagName, e.name, e.innerText, getComputedStyle(e).outlineStyle])(document.activeElement)"
            )
            if tag in ("A", "BUTTON", "INPUT", "SUMMARY", "TEXTAREA") and words in (name, " ".join(text.split())):
                assert ring != "none", f"{words}: the focus cannot be seen"
                return
        raise AssertionError(f"the keyboard does not reach {words!r}")

    def heading(self, words):
        """Wait until the page that has this heading is there whole, with the heading as what is read first."""
        self.page.wait_for_function(
            """words => {
                const heading = document.querySelector("h1");  // null while a page is on its way
                const ready = document.readyState === "complete" && document.activeElement === heading;
                return ready && heading !== null && heading.innerText.includes(words);
            }""",
            arg=words,
        )
