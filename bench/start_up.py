"""What a command costs before it does anything: CPU seconds, and when the first line of a run comes.

    python bench/start_up.py

Each command runs three times, in turns; the median counts. `a recipe's typo` and what follows it end by themselves; of
`the first line of a run` the process is ended as soon as the line is there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
COMMANDS = {
    "trifacet --help": ["--help"],
    "a recipe's typo": ["run", str(RECIPES / "demo.yaml"), "--set", "sft.lr=1e-4"],
    "a stage that is not there": ["run", str(RECIPES / "demo.yaml"), "--only", "dop"],
    "trifacet families": ["families"],
    "trifacet recipes": ["recipes"],
    "trifacet benchmarks": ["benchmarks"],
    "trifacet lint, one page": ["lint", "page.html"],
    "trifacet data check, one row": ["data", "check", "row.jsonl", "--kind", "preference"],
    "trifacet score, one text": ["score", "texts.jsonl", "--references", "texts.jsonl", "--profile", "coco"],
}
FIRST_LINE = "the first line of a run"


def cpu_seconds(arguments: list[str], folder: Path) -> float:
    """Of one command in ``folder``, with all that it starts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trifacet", *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def first_line_seconds(folder: Path) -> float:
    """Seconds of the clock until a run of the demo has said something."""
    command = [sys.executable, "-m", "trifacet", "run", str(RECIPES / "demo.yaml"), "--set", "output=run"]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        said, took = process.stderr.readline(), time.monotonic() - began
        process.kill()
    if not said.strip():
        raise RuntimeError("the run said nothing")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.html").write_text('<img src="a.png" alt="A red kite over a beach">')
        (folder / "row.jsonl").write_text('{"id": "1", "prompt": "Describe", "chosen": "Red.", "rejected": "Blue."}\n')
        (folder / "texts.jsonl").write_text('{"id": "1", "alt": "A red kite over a beach"}\n')
        taken: dict[str, list[float]] = {what: [] for what in [*COMMANDS, FIRST_LINE]}
        for _ in range(rounds):
            for what, arguments in COMMANDS.items():
                taken[what].append(cpu_seconds(arguments, folder))
            taken[FIRST_LINE].append(first_line_seconds(folder))
    for what, seconds in taken.items():
        unit = "s of the clock" if what == FIRST_LINE else "CPU s"
        print(f"{what:32} {statistics.median(seconds):5.2f} {unit}")


if __name__ == "__main__":
    main()
