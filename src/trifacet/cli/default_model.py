"""Which model writes where a command names none. Invariant: what is named comes first, then what was set, and a line
says where a model that was set comes from.
"""

from __future__ import annotations

import os
from pathlib import Path

from trifacet.base.errors import TrifacetError
from trifacet.cli.common import err, plain

VARIABLE = "TRIFACET_MODEL"
_LARGEST = 100_000  # bytes of the configuration


def configuration() -> Path:
    """The user's configuration file (``XDG_CONFIG_HOME``, or ``~/.config``): YAML, of which ``model`` is read."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "trifacet" / "config.yaml"


def chosen_model(model: str | None) -> str:
    """``model``, or that of the variable, or that of the configuration.

    Raises:
        TrifacetError: there is none: the line says how to get one; or the configuration is damaged.
    """
    if model:
        return model
    if found := os.environ.get(VARIABLE, "").strip():
        err.print(f"model: {plain(found)} ({VARIABLE})", soft_wrap=True)
        return found
    file = configuration()
    if file.is_file():
        found = _configured(file)
        err.print(f"model: {plain(found)} ({plain(str(file))})", soft_wrap=True)
        return found
    raise TrifacetError(
        f"no model is named; give --model DIR, set {VARIABLE}, or write 'model: DIR' into {file}. DIR is a checkpoint "
        "or a hub id: `trifacet families` lists which can be loaded, and `make demo` trains a small one, "
        "runs/demo/models/mcm-dpo/model"
    )


def _configured(file: Path) -> str:
    from trifacet.base.opening import read_text
    from trifacet.settings.yaml_values import read_yaml

    held = read_yaml(read_text(file, _LARGEST), str(file))
    named = held.get("model") if isinstance(held, dict) else None
    if not isinstance(named, str) or not named.strip():
        raise TrifacetError(f"{file}: names no model; write 'model: DIR' into it, or give --model DIR")
    beside = file.parent / Path(named).expanduser()
    return str(beside) if beside.exists() else named
