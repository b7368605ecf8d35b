"""``pip install trifacet`` alone, without any extra, does all that asks no model of this machine; so without POSIX."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trifacet.base.extras import EXTRAS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DONE = {  # by what they end with
    "--help": 0,
    "recipes": 0,
    "families": 0,
    "benchmarks": 0,
    "lint site --sarif lint.sarif": 1,
    "score texts.jsonl --references texts.jsonl --profile coco": 0,
    "compare a=texts.jsonl b=texts.jsonl --references texts.jsonl --profile coco --html compare.html": 0,
    "data check pairs.jsonl --kind preference": 0,
    "data show pairs.jsonl --kind preference --output show.html": 0,
    "data convert pairs.jsonl trl.json --to trl --kind preference": 0,
    "run recipe.yaml --set sft.lr=1": 2,
}
NEEDING = {
    "run recipe.yaml": "train",
    "sft recipe.yaml": "train",
    "align recipe.yaml": "train",
    "describe a.png --model m": "train",
    "generate pairs.jsonl --model m --output o.jsonl": "train",
    "diff m n": "train",
    "export m --to hub-folder": "train",
    "rewards recipe.yaml --model m": "train",
    "probe pairs.jsonl --model m --output probe": "train",
    "review texts.jsonl texts.jsonl --data pairs.jsonl": "review",
    "read a.png": "lettering",
    "alt wordpress fetch --site https://example.org --user ada --password-file texts.jsonl": "alt",
}
COME_ALONG = {"pydantic_core", "markupsafe", "starlette", "huggingface_hub", "cv2"}  # with one that is required
POSIX_MODULES = ["fcntl", "resource", "pwd", "grp", "termios"]
POSIX_NAMES = ["fork", "register_at_fork", "O_NONBLOCK", "O_CLOEXEC", "setitimer", "alarm", "SIGALRM", "SIGPROF"]
RUN_ALL = """
import contextlib, os, signal, sys
sys.modules.update(dict.fromkeys({blocked}))
for name in {lacking}:  # Windows has none of them
    for place in (os, signal):
        if hasattr(place, name):
            delattr(place, name)
from trifacet.cli.main import main
for line in {lines}:
    sys.argv = ["trifacet", *line.split()]
    try:
        main()
    except SystemExit as end:
        print(f"\\n== {{line}} == {{end.code or 0}}", file=sys.stderr, flush=True)
"""


def names_of(requirements):
    return {re.split(r"[>=\[ ]", one)[0].lower() for one in requirements}


def test_every_package_that_is_imported_is_required_or_of_an_extra():
    base, own = names_of(PROJECT["dependencies"]), PROJECT["optional-dependencies"]
    known = {*sys.stdlib_module_names, "trifacet", *COME_ALONG}
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            named += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {one.partition(".")[0] for one in named} - known
    brought = {module: {one.lower() for one in names} for module, names in packages_distributions().items()}
    required = {module for module in imported if brought.get(module, set()) & base}
    assert imported - required == {module for modules in EXTRAS.values() for module in modules} & imported - required
    for extra, modules in EXTRAS.items():
        for module in modules:
            assert brought.get(module, {module}) & names_of(own[extra]), f"{extra} does not bring {module}"


def test_what_asks_no_model_works_without_the_extras_and_all_else_names_its_own(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.html").write_text("<img>")
    (tmp_path / "site" / "b.md").write_text("![](a.png)")
    (tmp_path / "site" / "c.json").write_text('[{"alt": "photo"}]')
    (tmp_path / "site" / "d.csv").write_text("alt\nphoto\n")
    pq.write_table(pa.table({"alt": ["photo"]}), tmp_path / "site" / "e.parquet")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "texts.jsonl").write_text('{"id": "1", "text": "A red kite over a beach"}\n')
    (tmp_path / "pairs.jsonl").write_text(
        '{"id": "1", "image": "a.png", "prompt": "Describe it", "chosen": "A red square.", "rejected": "A ball."}\n'
    )
    (tmp_path / "recipe.yaml").write_text(
        "{name: x, output: out, model: {path: m}, sft: {}, align: {dpo: {objective: dpo}},"
        " data: {root: ., sft: pairs.jsonl, preference: pairs.jsonl}}"
    )
    blocked = sorted({module for modules in EXTRAS.values() for module in modules})
    code = RUN_ALL.format(blocked=[*blocked, *POSIX_MODULES], lacking=POSIX_NAMES, lines=[*DONE, *NEEDING])
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=tmp_path)
    said = re.split(r"\n== (.*) == (\d+)\n", done.stderr)
    ended = {
        line: (int(number), before) for before, line, number in zip(said[::3], said[1::3], said[2::3], strict=False)
    }
    assert ended.keys() == DONE.keys() | NEEDING.keys(), done.stderr
    assert {line: ended[line][0] for line in DONE} == DONE, done.stderr
    for line, extra in NEEDING.items():
        number, words = ended[line]
        assert number == 2 and f"which is not installed; pip install 'trifacet[{extra}]'" in words, (line, words)
        assert "needs" in words.splitlines()[-1] and "Traceback" not in words
