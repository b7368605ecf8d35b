"""Small builds for tests: a recipe over made-up posts, the command in a process of its own, what came out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import yaml

_SENTENCE = "a small red boat lies on the quiet lake below old trees while two children eat bread near their dog"
WORDS = _SENTENCE.split()


def posts(count: int) -> list[dict]:
    """Posts of made-up words: some without alt-text, with a short one, with a typo that the world's scribe knows."""
    rows = []
    for number in range(count):
        words = [WORDS[(number * step + step) % len(WORDS)] for step in range(1, 9 + number % 5)]
        alt = " ".join(words[: number % 9]) + (f" {number}" if number % 9 else "")
        rows.append({"id": f"post-{number}", "context": f"{' '.join(words)} number {number}.", "alt": alt})
    return rows


def write_recipe(folder: Path, output: Path, rows: list[dict], steps: list, **others) -> Path:
    """A recipe over these rows as JSON lines."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "posts.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    values = {"sources": [{"path": str(source)}], "output": str(output), "steps": steps, **others}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def start(*arguments, **variables) -> subprocess.Popen:
    """``trifacet build`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "trifacet", "build", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "300"} | variables,
    )


def finish(process: subprocess.Popen, timeout: float = 400) -> tuple[int, str, str]:
    """Its exit code, standard output and standard error."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def made(output: Path) -> dict[str, bytes]:
    """All that a build is for, and what it decided, byte for byte."""
    patterns = ("*/*.parquet", "images/*/*", "failed.parquet", "manifest.json", "stages/*/events/*.parquet")
    return {str(path.relative_to(output)): path.read_bytes() for pattern in patterns for path in output.glob(pattern)}


def samples(output: Path, kind: str = "sft") -> list[dict]:
    """The rows of a set."""
    return [row for shard in sorted((output / kind).glob("*.parquet")) for row in pq.read_table(shard).to_pylist()]
