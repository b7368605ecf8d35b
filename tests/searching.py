"""How far is searched and how much is tried: a little in ``make test``, all of it in ``make endurance``."""

import pytest
from hypothesis import settings


def searched(examples: int) -> settings:
    """As many ``examples``, times what the loaded profile of ``conftest`` has of Hypothesis's usual hundred."""
    return settings(max_examples=examples * settings.default.max_examples // 100)


def some(names, *always):
    """Parameters: ``always``, and in ``make endurance`` the other names too."""
    return [pytest.param(name, marks=() if name in always else pytest.mark.endurance) for name in names]
