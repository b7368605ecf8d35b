"""Reviews to test with: files of two models, their server as a process, and a browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe import launch
from PIL import Image

NAMES = ("plain-model", "tuned-model")  # must occur on no page
SECONDS = 90


def write_review(folder: Path, count: int = 4) -> list[str]:
    """The three files and the images of a small review; returns the arguments of the command."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, texts = [], ([], [])
    for number in range(count):
        exif = Image.Exif()
        exif[0x010E] = "secret place"
        Image.new("RGB", (40, 30), (number * 20, 90, 160)).save(
            folder / f"{number}.jpg", exif=exif, comment=b"secret comment"
        )
        rows.append({"id": f"s{number}", "image": f"{number}.jpg", "context": f"Post {number} <b>&", "references": []})
        texts[0].append({"id": f"s{number}", "text": f"alpha {number} <script>document.title='gotcha'</script>"})
        texts[1].append({"id": f"s{number}", "text": f"omega {number}"})
    for name, lines in (("test.jsonl", rows), ("a.jsonl", texts[0]), ("b.jsonl", texts[1])):
        write_lines(folder / name, lines)
    named = [f"{name}={folder / file}" for name, file in zip(NAMES, ("a.jsonl", "b.jsonl"), strict=True)]
    return ["review", *named, "--data", str(folder / "test.jsonl"), "--store", str(folder / "votes.sqlite")]


def write_lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@contextmanager
def running(arguments, port=0, minutes=5):
    """The command as a process of its own, with the links that it prints as ``links``; stopped at the end."""
    command = [sys.executable, "-m", "trifacet", *arguments, "--port", str(port), "--for", str(minutes)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": _paths()}
    )
    try:
        wanted = arguments.count("--judge") or 1
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
def read_only(folder: Path):
    """The folder as one that nobody can write; skips where root cannot have it so."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    if shutil.which("mount") is None or subprocess.run(["mount", "--bind", folder, folder], check=False).returncode:
        pytest.skip("a folder cannot be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


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
