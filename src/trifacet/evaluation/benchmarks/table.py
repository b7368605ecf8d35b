"""The benchmarks that are there: one file each in ``known/``, or a file that the user names.

Invariant: nothing but the files of ``known/`` is found by itself; a file of the user's runs only where it was named.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from trifacet.errors import DataError, TrifacetError
from trifacet.evaluation.benchmarks import known
from trifacet.evaluation.benchmarks.benchmark import Benchmark


class Entry(NamedTuple):
    """A benchmark and, in a line, what it is about: the first of its file."""

    benchmark: Benchmark
    what: str


def known_benchmarks() -> dict[str, Entry]:
    """Every benchmark of the package by name, in the order of their files' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(known.__path__))
    entries = [_entry(importlib.import_module(f"{known.__name__}.{name}")) for name in names]
    return {entry.benchmark.name: entry for entry in entries}


def find_benchmark(name: str, file: Path | None = None) -> Benchmark:
    """The benchmark called ``name``, among the known ones or in the user's ``file``.

    Raises:
        TrifacetError: there is none of this name, or the file holds no benchmark.
    """
    entries = known_benchmarks().values() if file is None else [load_benchmark(file)]
    there = {entry.benchmark.name: entry.benchmark for entry in entries}
    if name not in there:
        near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(there) or 'none'}"
        raise TrifacetError(f"no benchmark {name!r}{f' in {file}' if file else ''}; {hint}")
    return there[name]


def load_benchmark(file: Path) -> Entry:
    """The ``BENCHMARK`` of a Python file, which is run.

    Raises:
        DataError: it can't be read or run, or holds none.
    """
    spec = importlib.util.spec_from_file_location(f"trifacet_benchmark_{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise DataError("is no Python file", fix="name a file such as my_benchmark.py", file=file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's own code raises
        raise DataError(f"cannot be run ({type(error).__name__}: {error})", fix="correct the file", file=file) from None
    if not isinstance(getattr(module, "BENCHMARK", None), Benchmark):
        raise DataError("holds no BENCHMARK", fix="write one as docs/benchmarks.md shows", file=file)
    return _entry(module)


def _entry(module: ModuleType) -> Entry:
    benchmark: Benchmark = module.BENCHMARK
    return Entry(benchmark, (module.__doc__ or benchmark.title).strip().partition("\n")[0])
