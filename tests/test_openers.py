"""What a user names is opened by ``base/opening.py`` alone: a regular file, of a stated size at most where it is held.

``EXCEPTIONS`` are the files that open something else, and what: the program's own files are written by it and lie in
folders that it has claimed, those of the package come with it, and checkpoints and pictures have readers of their own.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile_files import kinds

from trifacet.base.digests import file_digest
from trifacet.base.errors import TrifacetError

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "trifacet"
OPENERS = {"open", "read_text", "read_bytes", "read_table", "read_schema", "read_metadata", "ParquetFile", "safe_open",
           "load_file", "load_workbook", "ZipFile", "connect", "memory_map", "OSFile", "parse"}  # fmt: skip
WITHIN = {"opened", "open_regular", "_unpacked"}  # a block of one of these has the file open already
EXCEPTIONS = {
    "the opener itself": "base/opening",
    "standard input": "cli/streams",
    "archives, whose bytes are in memory": "describing/formats/zipped",
    "pictures, which have a decoder": "base/images data/shards demo/endpoint_server describing/rasters",
    "state that the program keeps": (
        "base/claims base/files base/journal base/seals describing/patching "
        "describing/wordpress/journal engine/kept_features engine/reference evaluation/run_folder "
        "generation/results "
        "llm/answers_file base/sqlite_file reports/funnel/page runs/folder runs/keeping building/asking building/build "
        "building/card "
        "building/downloads building/examples building/folder building/keeping building/output building/shard_writer "
        "building/stage_folder building/step building/story building/trial building/workers training/bad_rows "
        "training/callbacks training/checkpoints training/curriculum training/outcome training/phase_reference "
        "training/reference training/trainer training/watching regions/store studies/outcomes studies/running "
    ),
    "files of the package, docs and corpora": "cli/build_demo cli/pages cli/recipes describing/names "
    "describing/requests llm/prompts metrics/meteor_jar metrics/wordnet metrics/wordnet_synonyms "
    "serving/app web/site web/page",
    "files of a checkpoint": "models/adapters models/asking models/difference models/loading models/processors "
    "models/soundness",
}
EXCEPTED = {f"{file}.py" for files in EXCEPTIONS.values() for file in files.split()}


def openings(path: Path) -> list[int]:
    """Lines that open or read a file, to write it not counted, outside a block that has it open."""
    found: list[int] = []

    def visit(node: ast.AST, within: bool) -> None:
        if isinstance(node, ast.With):
            within = within or any(_called(item.context_expr) in WITHIN for item in node.items)
        if isinstance(node, ast.Call) and _called(node) in OPENERS and not within and not _own(node):
            found.append(node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child, within)

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found


def _called(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _own(call: ast.Call) -> bool:
    """The opener's own functions, opening to write, and what only has such a name."""
    name, first = _called(call), call.args[0] if call.args else None
    if name in ("read_text", "read_bytes", "parse"):
        return isinstance(call.func, ast.Name) or name == "parse"
    mode = first if isinstance(call.func, ast.Attribute) else next(iter(call.args[1:]), None)
    return name == "open" and isinstance(mode, ast.Constant) and str(mode.value)[0] in "wax"


def test_nothing_else_opens_what_a_user_names():
    found = {path.relative_to(PACKAGE).as_posix(): lines for path in PACKAGE.rglob("*.py") if (lines := openings(path))}
    assert {file: lines for file, lines in found.items() if file not in EXCEPTED} == {}


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("open('a')", [1]),
        ("path.read_text(encoding='utf-8')", [1]),
        ("pq.read_table(path)", [1]),
        ("path.open('wb')", []),
        ("read_text(path, 10)", []),
        ("with opened(path) as file:\n    pq.ParquetFile(file)", []),
        ("with opened(path) as file:\n    pass\nwith safe_open(path) as file:\n    pass", [3]),
    ],
)
def test_what_is_taken_for_an_opening(tmp_path, code, lines):
    (tmp_path / "a.py").write_text(code)
    assert openings(tmp_path / "a.py") == lines


KINDS = kinds()


@pytest.fixture(params=["pipe", "device", "folder", "circle"])
def no_file(request):
    """Makes something that is no file."""

    def make(path):
        match request.param:
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "circle":
                path.symlink_to(path.name)

    return make


@pytest.mark.parametrize("name", KINDS)
def test_a_reader_does_not_wait_for_what_is_no_file(name, no_file, tmp_path):
    kind = KINDS[name]
    for other, content in kind.beside.items():
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(content)
    no_file(tmp_path / kind.name)
    with pytest.raises(TrifacetError) as caught:
        if (told := kind.read(tmp_path / kind.name)) == [] and (tmp_path / kind.name).is_dir():
            raise TrifacetError(f"{tmp_path}: {told}")  # a folder may be named, and holds nothing
    assert str(tmp_path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 2500, "a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_one_line(name, tmp_path):
    for kind in KINDS.values():
        path = tmp_path / f"{name}{Path(kind.name).suffix}"
        if kind.beside or path.parent != tmp_path:
            continue
        with pytest.raises(TrifacetError) as caught:
            kind.read(path)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(OSError, match=r"name"):
        file_digest(tmp_path / name)


def test_a_command_ends_at_once_where_its_file_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "x.parquet")
    told = subprocess.run(
        [sys.executable, "-m", "trifacet", "data", "unpack", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 2
    assert told.stderr.startswith("error: ") and "no regular file" in told.stderr
