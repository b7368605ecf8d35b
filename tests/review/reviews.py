"""Reviews to test with: files of two models."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

NAMES = ("plain-model", "tuned-model")  # must occur on no page


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
