"""The house: every import points down, and no files import each other in a circle.

``FLOORS`` is the one list of rooms, from the ground up; docs/architecture.md shows the same. An import inside a
function or under TYPE_CHECKING counts as any other. The package itself, which is the public face, stands above all
rooms, so that none of them takes a name from it.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "trifacet"
FLOORS = (
    ("base", "statistics"),
    ("settings", "web"),
    ("lettering", "preferences"),
    ("data", "engine"),
    ("lint", "models"),
    ("generation", "llm", "regions"),
    ("demo", "metrics"),
    ("benchmarks", "building", "probing", "review", "training"),
    ("comparing", "describing", "serving"),
    ("evaluation",),
    ("publishing", "reports"),
    ("runs",),
    ("evolving",),
    ("studies",),
    ("api", "cli"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imports_of(path: Path, modules: set[str]) -> set[str]:
    """The modules of the package that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: relative imports hide what is imported"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found & modules


def house(package: Path = PACKAGE) -> dict[str, set[str]]:
    """What each module imports, by dotted names."""
    files = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }
    return {name: imports_of(path, set(files)) - {name} for name, path in files.items()}


def upward(house: dict[str, set[str]]) -> list[str]:
    """Imports of a room on the same floor or above, as "file -> file"."""

    def floor(module: str) -> tuple[int, str]:
        room = [*module.split("."), ""][1]
        return FLOOR_OF.get(room, len(FLOORS)), room

    wrong = []
    for module, imported in house.items():
        here, room = floor(module)
        for other in imported:
            there, other_room = floor(other)
            if room != other_room and there >= here:
                wrong.append(f"{module} -> {other}")
    return sorted(wrong)


def circles(house: dict[str, set[str]]) -> list[str]:
    """One line for each module that can be reached from itself: the way there."""
    done: set[str] = set()
    found = []

    def visit(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            found.append(" -> ".join((*way[way.index(module) :], module)))
        elif module not in done:
            for other in sorted(house[module]):
                visit(other, (*way, module))
            done.add(module)

    for module in sorted(house):
        visit(module, ())
    return found


def test_every_room_has_a_floor():
    rooms = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/**/*.py")}
    assert rooms == set(FLOOR_OF)


def test_the_docs_show_the_same_floors():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (\d+) \| `(\w+)/` \|", page, re.MULTILINE)
    assert {(int(floor), room) for floor, room in shown} == {(floor + 1, room) for room, floor in FLOOR_OF.items()}
    assert [int(floor) for floor, _ in shown] == sorted(int(floor) for floor, _ in shown)


def test_files_that_the_docs_name_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z_]+/\w+(?:/|\.py|/\w+\.py))`", page)
    assert [name for name in named if not (PACKAGE / name).exists() and not (ROOT / name).exists()] == []


def test_an_import_up_and_a_circle_are_found(tmp_path):
    for name, text in {
        "base/low.py": "def f():\n    from trifacet.cli import high",
        "cli/high.py": "import trifacet.base.low",
        "web/one.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trifacet.web import two",
        "web/two.py": "from trifacet.web.one import f",
    }.items():
        file = tmp_path / "trifacet" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    made = house(tmp_path / "trifacet")
    assert upward(made) == ["trifacet.base.low -> trifacet.cli.high"]
    assert circles(made) == [
        "trifacet.base.low -> trifacet.cli.high -> trifacet.base.low",
        "trifacet.web.one -> trifacet.web.two -> trifacet.web.one",
    ]


def test_every_import_points_down():
    assert upward(house()) == []


def test_no_circles():
    assert circles(house()) == []
