"""The public face: instant, complete, and told to type checkers as it is."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import trifacet

FOLDER = Path(trifacet.__file__).parent


def test_importing_it_is_instant():
    """In a process of its own: nothing heavy, and next to nothing of ours."""
    code = (
        "import sys, trifacet; print(*sorted(name for name in sys.modules if name.partition('.')[0] in "
        "('numpy', 'pydantic', 'torch', 'transformers', 'trifacet', 'yaml')))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["trifacet", "trifacet.base", "trifacet.base.version"]


def test_type_checkers_are_told_what_is_fetched():
    """The table of strings is no hole in the house: it says what the imports say that the layer test sees."""
    tree = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8"))
    told = [
        (node.module, alias.name, alias.asname)
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        for alias in node.names
    ]
    assert told == [(module, name, name) for name, module in trifacet._PLACES.items()]
    for name, module in trifacet._PLACES.items():
        assert getattr(trifacet, name) is getattr(importlib.import_module(module), name)


def test_no_name_is_that_of_a_module():
    modules = {path.stem for path in FOLDER.iterdir()}
    assert not modules & set(trifacet.__all__), "one would hide the other once both are imported"


def test_all_of_it_is_listed_and_nothing_else_is_there():
    assert set(trifacet.__all__) <= set(dir(trifacet))
    with pytest.raises(AttributeError, match="has no attribute 'lint_txt'"):
        trifacet.lint_txt  # noqa: B018
