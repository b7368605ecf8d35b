"""The benchmark of docs/benchmarks.md, as a user has it: its file, its data, a judge and answers."""

import hashlib
import json
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
COLOURS = ["red", "green", "blue", "grey", "black", "white", "brown", "pink", "orange", "violet"]
QUESTIONS = 24


def source_of_page() -> str:
    """The one whole example of the page."""
    (source,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return source


def questions(count=QUESTIONS) -> list[dict]:
    """Every third without a picture; no two ask the same."""
    return [
        {"id": f"q{number}", "question": f"What colour has kite {number}?", "label": COLOURS[number % len(COLOURS)],
         **({} if number % 3 == 2 else {"image": f"{number % 4}.png"})}
        for number in range(count)
    ]  # fmt: skip


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def make_toy(folder: Path, *, judged=True, known=True, rows=None) -> tuple[Path, Path]:
    """(the benchmark's file, its data folder); without ``judged`` an answer is right that is the label."""
    data, source = folder / "data", source_of_page()
    data.mkdir()
    text = lines(questions() if rows is None else rows)
    (data / "questions.jsonl").write_text(text)
    if known:
        source = source.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest())
    if not judged:
        source = source.replace("one.verdict is not None", "True")
        source = source.replace("float(one.verdict)", 'float(one.answer == one.item.extra["label"])')
        source += "\nimport dataclasses\n\nBENCHMARK = dataclasses.replace(BENCHMARK, judge=None)\n"
    file = folder / "colours.py"
    file.write_text(source)
    return file, data


def judge_file(folder: Path, endpoint, **others) -> Path:
    keys = {
        "base_url": endpoint.base_url,
        "model": endpoint.model,
        "timeout": 5.0,
        "price": {"input": 10, "output": 10},
    }
    path = folder / "judge.yaml"
    path.write_text(json.dumps(keys | others))  # JSON is YAML
    return path
