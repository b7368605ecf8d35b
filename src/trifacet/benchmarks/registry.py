"""The benchmarks that are there: one file each in ``known/``, or a file or an object that the user names.

Invariant: nothing but the files of ``known/`` is found by itself; what is the user's runs only where it was named.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, get_args

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.extensions import extension_file, is_extension, load_extension
from trifacet.base.opening import read_bytes
from trifacet.benchmarks import known
from trifacet.benchmarks.benchmark import Benchmark
from trifacet.statistics.keys import PER_SAMPLE, PROBE, TEXTS

_MAX_BYTES = 10_000_000  # of a Python file


class Entry(NamedTuple):
    """A benchmark and, in a line, what it is about: the first of its file.

    ``file`` and its SHA-256 as it was run are those of a file of the user's; None where it is one of the package.
    """

    benchmark: Benchmark
    what: str
    file: Path | None = None
    sha256: str | None = None


def known_benchmarks() -> dict[str, Entry]:
    """Every benchmark of the package by name, in the order of their files' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(known.__path__))
    entries = [_entry(importlib.import_module(f"{known.__name__}.{name}")) for name in names]
    return {entry.benchmark.name: entry for entry in entries}


def own_benchmarks(files: Sequence[Path]) -> dict[str, Entry]:
    """The benchmarks of the user's files, or ``package.module:name``, by name; each file is run, once.

    Raises:
        TrifacetError: a file holds no benchmark, or two hold one of the same name.
    """
    found: dict[str, Entry] = {}
    for entry in map(load_benchmark, files):
        name = entry.benchmark.name
        if name in found:
            raise TrifacetError(f"{found[name].file} and {entry.file} both hold a benchmark {name!r}; name one of them")
        found[name] = entry
    return found


def find_benchmark(name: str, file: Path | None = None) -> Benchmark:
    """The benchmark called ``name``; raises as ``find_entry``."""
    return find_entry(name, file).benchmark


def find_entry(name: str, file: Path | None = None) -> Entry:
    """The benchmark called ``name``: a known one, one of the user's own objects, or that of the ``file``, which is run.

    Raises:
        TrifacetError: there is none of this name, or the file holds no benchmark.
    """
    if file is None:
        known_ones = known_benchmarks()
        own = name not in known_ones and is_extension(name, "benchmark")
        return load_benchmark(Path(name)) if own else pick(name, known_ones)
    return pick(name, own_benchmarks([file]), f" in {file}")


def pick(name: str, there: Mapping[str, Entry], place: str = "") -> Entry:
    """The one called ``name``. Raises TrifacetError where there is none; ``place`` is said then."""
    if name not in there:
        near = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(there) or 'none'}"
        raise TrifacetError(f"no benchmark {name!r}{place}; {hint}")
    return there[name]


def load_benchmark(file: Path) -> Entry:
    """The ``BENCHMARK`` of a Python file, or that called ``package.module:name``; its code is run.

    Raises:
        DataError: it can't be read or run, or holds none, or one that has the name of something else.
        TrifacetError: there is no such object.
    """
    if file.suffix != ".py" and is_extension(str(file), "benchmark"):
        return _load_object(str(file))
    if file.suffix != ".py" or not file.is_file():
        raise DataError("is no Python file", fix="name a file such as my_benchmark.py", file=file)
    module = ModuleType(f"trifacet_benchmark_{file.stem}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where dataclasses look annotations up
    try:
        source = read_bytes(file, _MAX_BYTES)
        # Not by an import, which may take an older .pyc: what is hashed is what is run.
        exec(compile(source, str(file), "exec", dont_inherit=True), module.__dict__)
    except Exception as error:  # whatever the user's own code raises
        raise DataError(f"cannot be run ({type(error).__name__}: {error})", fix="correct the file", file=file) from None
    if not isinstance(getattr(module, "BENCHMARK", None), Benchmark):
        raise DataError("holds no BENCHMARK", fix="write one as docs/benchmarks.md shows", file=file)
    return _checked(_entry(module), file, source)


def _load_object(name: str) -> Entry:
    benchmark: Benchmark = load_extension(name, "benchmark", Benchmark)
    file = extension_file(name, "benchmark")
    if file is None:
        raise TrifacetError(f"benchmark {name!r} is in no file, so that its results would not say what made them")
    return _checked(Entry(benchmark, benchmark.title), file, read_bytes(file, _MAX_BYTES))


def _checked(entry: Entry, file: Path, source: bytes) -> Entry:
    """The entry with the file that it comes from, if its name is its own."""
    if (name := entry.benchmark.name) in _taken():
        raise DataError(f"its BENCHMARK is called {name!r}, as another is", fix="give it a name of its own", file=file)
    return entry._replace(file=file, sha256=hashlib.sha256(source).hexdigest())


def _taken() -> set[str]:
    """Names under which other numbers stand in a comparison: those of two benchmarks never share a column."""
    from trifacet.metrics.scores import Profile

    return {*known_benchmarks(), *get_args(Profile), TEXTS, PER_SAMPLE, PROBE}


def _entry(module: ModuleType) -> Entry:
    benchmark: Benchmark = module.BENCHMARK
    return Entry(benchmark, (module.__doc__ or benchmark.title).strip().partition("\n")[0])
