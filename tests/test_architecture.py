"""The house: every import points down, and no files import each other in a circle.

``FLOORS`` is the one list of rooms, from the ground up; docs/architecture.md shows the same. An import inside a
function or under TYPE_CHECKING counts as any other. The package itself, which is the public face, stands above all
rooms, so that none of them takes a name from it.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "trifacet"
FLOORS = (
    ("base", "statistics"),
    ("settings", "web"),
    ("preferences",),
    ("data", "engine"),
    ("lint", "models"),
    ("generation", "llm"),
    ("demo", "metrics"),
    ("benchmarks", "building", "probing", "review", "training"),
    ("comparing",),
    ("evaluation",),
    ("reports",),
    ("runs",),
    ("api", "cli"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def name_of(path: Path) -> str:
    """The dotted name of a module below ``PACKAGE``'s parent."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


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
    return (found & modules) - {name_of(path)}


def house(package: Path = PACKAGE) -> dict[str, set[str]]:
    """What each module imports."""
    files = {name_of(path): path for path in package.rglob("*.py")}
    return {name: imports_of(path, set(files)) for name, path in files.items()}


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


def test_every_import_points_down():
    assert upward(house()) == []


def test_no_circles():
    assert circles(house()) == []
