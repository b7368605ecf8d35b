"""Numbers and times in a reader's words."""

from __future__ import annotations

from typing import Any

from trifacet.evaluation.run_folder import number


def duration(seconds: Any) -> str:
    """Seconds as people say them: 42 s, 3 min 05 s, 2 h 10 min."""
    value = number(seconds)
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def quantity(value: Any) -> str:
    """A number with thousands set apart; – where there is none."""
    known = number(value)
    if known is None:
        return "–"
    return f"{known:,.0f}" if known == int(known) else f"{known:,.2f}"
