"""How far a property is searched: a little in ``make test``, twenty times as far in ``make endurance``."""

from hypothesis import settings


def searched(examples: int) -> settings:
    """As many ``examples``, times what the loaded profile of ``conftest`` has of Hypothesis's usual hundred."""
    return settings(max_examples=examples * settings.default.max_examples // 100)
