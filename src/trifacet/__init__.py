"""Trifacet: preference alignment of vision-language models over image, context and response.

What stands here is the public face, which docs/python.md explains; everything else is internal and may change.
Invariant: importing it is instant: a name is fetched from its module when it is first asked for.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from trifacet.base.version import __version__

# On some CPUs bitsandbytes tells, whoever imports it, that it found no kernel of the hub; none is used here.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

if TYPE_CHECKING:
    from trifacet.api.evaluating import compare as compare
    from trifacet.api.evaluating import score as score
    from trifacet.api.training import align as align
    from trifacet.api.training import run as run
    from trifacet.api.writing import VisionLanguageModel as VisionLanguageModel
    from trifacet.api.writing import describe as describe
    from trifacet.api.writing import generate as generate
    from trifacet.api.writing import load as load
    from trifacet.base.errors import DataError as DataError
    from trifacet.base.errors import TrifacetError as TrifacetError
    from trifacet.benchmarks.benchmark import Benchmark as Benchmark
    from trifacet.benchmarks.benchmark import Item as Item
    from trifacet.benchmarks.benchmark import Need as Need
    from trifacet.benchmarks.benchmark import Outcome as Outcome
    from trifacet.data.formats import Format as Format
    from trifacet.data.formats import read_samples as read_samples
    from trifacet.data.records import PreferenceSample as PreferenceSample
    from trifacet.data.records import SupervisedSample as SupervisedSample
    from trifacet.data.records import TestSample as TestSample
    from trifacet.lint.check import lint_text as lint_text
    from trifacet.lint.rule import Rule as Rule
    from trifacet.preferences.objectives import OBJECTIVES as OBJECTIVES
    from trifacet.preferences.objectives import AnchorTerm as AnchorTerm
    from trifacet.preferences.objectives import ListTerm as ListTerm
    from trifacet.preferences.objectives import NLLTerm as NLLTerm
    from trifacet.preferences.objectives import Objective as Objective
    from trifacet.preferences.objectives import PairTerm as PairTerm
    from trifacet.preferences.rejected.strategy import ImageStrategy as ImageStrategy
    from trifacet.statistics.measures import Measure as Measure
    from trifacet.statistics.measures import mean_measure as mean_measure
    from trifacet.statistics.measures import share_measure as share_measure
    from trifacet.training.recipe import Recipe as Recipe
    from trifacet.training.recipe import load_recipe as load_recipe
    from trifacet.training.recipe import make_recipe as make_recipe
else:

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'trifacet' has no attribute {name!r}")
        found = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
        return found


_FACE = {
    "trifacet.api.evaluating": ("compare", "score"),
    "trifacet.api.training": ("align", "run"),
    "trifacet.api.writing": ("VisionLanguageModel", "describe", "generate", "load"),
    "trifacet.base.errors": ("DataError", "TrifacetError"),
    "trifacet.benchmarks.benchmark": ("Benchmark", "Item", "Need", "Outcome"),
    "trifacet.data.formats": ("Format", "read_samples"),
    "trifacet.data.records": ("PreferenceSample", "SupervisedSample", "TestSample"),
    "trifacet.lint.check": ("lint_text",),
    "trifacet.lint.rule": ("Rule",),
    "trifacet.preferences.objectives": ("OBJECTIVES", "AnchorTerm", "ListTerm", "NLLTerm", "Objective", "PairTerm"),
    "trifacet.preferences.rejected.strategy": ("ImageStrategy",),
    "trifacet.statistics.measures": ("Measure", "mean_measure", "share_measure"),
    "trifacet.training.recipe": ("Recipe", "load_recipe", "make_recipe"),
}
_PLACES = {name: module for module, names in _FACE.items() for name in names}
__all__ = ["__version__", *_PLACES]  # noqa: PLE0604


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
