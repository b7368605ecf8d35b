"""Errors that nobody foresaw: a line, and a file for whoever mends them. Invariant: no key is in either."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import traceback

from trifacet.base.version import __version__

_LEAST = 8  # characters of what may be a secret
_SECRET = re.compile("KEY|TOKEN|SECRET|PASS")  # in the name of a variable
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")


def write_report(error: BaseException, what: str) -> str:
    """Write the full report of ``error`` where only this user reads it; gives the line, which ends in its path."""
    told = "".join(traceback.format_exception(error))
    about = f"trifacet {__version__} {' '.join(sys.argv[1:2])}, Python {platform.python_version()}, {sys.platform}\n"
    what = _without_secrets(what)
    try:
        number, path = tempfile.mkstemp(prefix="trifacet-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(about + _without_secrets(told))
    except OSError as failed:
        return f"unforeseen {what}; its report cannot be written ({failed.strerror})"
    return f"unforeseen {what}; please report it with the file {path}"


def _without_secrets(text: str) -> str:
    """``text`` without passwords of addresses, and without what the environment holds that is no path."""
    held = {
        value
        for name, value in os.environ.items()
        if len(value) >= _LEAST and (_SECRET.search(name) or not value.startswith(("/", ".")))
    }
    for secret in sorted(held, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _PASSWORD.sub("***@", text)
