"""What build and evolve have in common is declared once, so that both say the same of it."""

from typing import get_type_hints

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.cli import trial_options
from trifacet.cli.build import build
from trifacet.cli.evolve import evolve

SHARED = {
    "dry_run": "DryRunOption", "estimate": "EstimateOption", "sample": "SampleOption", "explain": "ExplainOption",
    "report": "ReportOption", "ray": "RayOption", "workers": "WorkersOption", "json_path": "JsonOption",
}  # fmt: skip


@pytest.mark.parametrize("command", [build, evolve])
def test_both_take_the_declaration(command):
    hints = get_type_hints(command, include_extras=True)
    assert {name: hints[name] for name in SHARED} == {
        name: getattr(trial_options, option) for name, option in SHARED.items()
    }
    assert hints.keys() - SHARED.keys() == {"recipe", "set_", "overwrite", "verify", "return"}


def test_two_commands_of_their_own_are_refused_by_name():
    trial_options.refuse_together({"--report": True, "--verify": False})
    with pytest.raises(TrifacetError, match="--report, --verify are commands of their own; give one"):
        trial_options.refuse_together({"--report": True, "--verify": True})
