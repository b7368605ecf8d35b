"""Tables on the terminal: words stay whole where they can, and numbers stand at the right."""

import io
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from trifacet.base.progress import Terminal
from trifacet.cli import common
from trifacet.cli.build import REASONS, _why

COLUMNS = ("step", "rows", "core seconds", "questions", "tokens in", "tokens out", "cost", "at most")
ROWS = [
    ["rejected-response", 1_000_000, 3.25, 64000, 20439, 17648, "0.0091", "0.0151"],
    ["exact-duplicates", 53, 0.5, "", "", "", "", ""],
]


def shown(monkeypatch, width, title, columns, rows):
    monkeypatch.setattr(common, "out", Terminal(file=io.StringIO(), width=width, soft_wrap=True))
    common.print_table(title, columns, rows)
    return common.out.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_no_word_of_the_widest_table_is_broken(monkeypatch, width):
    lines = shown(monkeypatch, width, "costs", COLUMNS, ROWS)
    assert max(map(len, lines)) <= width
    words = [word for name in COLUMNS for word in name.split()] + [str(cell) for row in ROWS for cell in row]
    told = "\n".join(lines)
    assert all((f"{word:.2f}" if isinstance(word, float) else word) in told for word in words)


def test_numbers_stand_at_the_right_also_as_text_and_beside_empty_cells(monkeypatch):
    lines = shown(monkeypatch, 80, "", ("name", "cost"), [["a", "0.5"], ["b", "1,200.25"], ["c", ""]])
    (half,) = [line for line in lines if "0.5" in line]
    (many,) = [line for line in lines if "1,200.25" in line]
    assert half.index("0.5") + len("0.5") == many.index("1,200.25") + len("1,200.25")


def test_all_rows_that_left_are_counted_and_the_most_frequent_reasons_named():
    counts = {f"drop: reason {number}": number for number in range(1, 7)} | {"fail: broken": 9, "note: doubts": 50}
    told = _why({"counts": counts})
    assert told.startswith("9 broken, 6 reason 6, 5 reason 5")
    assert sum(int(part.split()[0]) for part in told.split(", ")) == 9 + sum(range(1, 7))
    assert len(told.split(", ")) == REASONS + 1
    assert _why({"counts": {"change: hashtags stripped": 3}}) == ""


def test_the_version_is_told_and_is_that_of_the_package(trifacet):
    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())["project"]
    assert trifacet("--version") == (0, f"trifacet {project['version']}\n", "")


def test_names_of_models_and_metrics_are_no_markup_of_a_table(monkeypatch):
    from trifacet.cli import run
    from trifacet.runs import run as run_

    models = {"[red]sft[/red]": {"metrics": {"[bold]x": 1.0}}, "b\x1b[31m": {"metrics": {"[bold]x": None}}}
    finished = run_.Finished(Path("report.html"), {"models": models, "seeds": True}, unofficial={"[bold]x": "[red]"})
    console = Terminal(file=io.StringIO(), width=120, soft_wrap=True)
    for module in (common, run):
        monkeypatch.setattr(module, "out", console)
    monkeypatch.setattr("trifacet.runs.run.run_recipe", lambda recipe, overwrite: finished)
    monkeypatch.setattr(
        "trifacet.training.recipe.load_recipe", lambda path, given: SimpleNamespace(name="x", output="out", stages=[])
    )
    run.run(Path("recipe.yaml"))
    said = console.file.getvalue()
    assert "[red]sft[/red]" in said and "[bold]x*" in said and "\x1b" not in said
    assert "* not official: [bold]x: [red]" in said
    assert run._plain_cell("[red]x") == "[red]x"


SAID = ":cat: at x.csv:100: [red]a[/red] [link=https://a.example]b[/] \\[c] C:\\"


def test_what_is_said_is_printed_letter_by_letter_wherever_it_stands(monkeypatch):
    """Rich makes pictures of names between colons, styles of what is in brackets, and eats backslashes."""
    from rich.progress import Progress

    from trifacet.base import progress

    console = Terminal(file=io.StringIO(), width=300, force_terminal=True, color_system=None)
    monkeypatch.setattr(common, "out", console)
    common.print_table(SAID, [SAID], [[SAID], [common.plain(SAID)]])
    console.print(SAID)
    console.print(common.plain(SAID))
    console.tell((SAID, "bold"), SAID)
    monkeypatch.setattr(progress, "console", console)
    with progress.Bar(SAID) as bar:
        bar.update(1, 2, SAID)
    with Progress(*progress.Bar(SAID)._bar.columns[:1], console=console) as shown:
        shown.add_task(SAID)
    told = console.file.getvalue().replace("\x1b", "")
    assert told.count(SAID) >= 11 and "🐱" not in told and "💯" not in told


def test_no_source_holds_markup_of_rich():
    """It would be printed as it stands: the consoles take none."""
    source = Path(__file__).resolve().parents[2] / "src" / "trifacet"
    found = [
        path.name
        for path in source.rglob("*.py")
        if re.search(r"\[(?:bold|dim|red|yellow|green)|\[/\]", path.read_text("utf-8"))
    ]
    assert found == []
