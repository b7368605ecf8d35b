"""What a WordPress site answers: JSON, whatever plugins print before it, and what a refusal means.

Invariant: an answer is JSON or an error of one line; a refusal that comes with the status of a success, since a plugin
had printed something by then, is a refusal. Codes are those of WordPress's REST API handbook.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.base.json_text import check_json, parse_json, parse_json_at

_TRIES = 100  # places in what a plugin has printed at which the JSON might begin
_STARTS = re.compile(r"[\[{](?=\s*[\"\[{\]}])")
_SHOWN = 200  # characters of what a site says
_ACCOUNT = (
    "the site does not take user and application password: correct them (Users > Profile > Application Passwords makes "
    "new ones), and see that the server hands the header Authorization on to PHP"
)
_CLOSED = "a plugin or the theme keeps the REST API closed; open it for this account"
_MEANINGS = {
    "rest_not_logged_in": _ACCOUNT,
    "incorrect_password": _ACCOUNT,
    "invalid_username": _ACCOUNT,
    "invalid_email": _ACCOUNT,
    "application_passwords_disabled": "application passwords are off on the site; switch them on (they need https)",
    "application_passwords_disabled_for_user": "application passwords are off for this account; switch them on",
    "rest_cannot_access": _CLOSED,
    "rest_disabled": _CLOSED,
    "rest_api_disabled": _CLOSED,
    "rest_login_required": _CLOSED,
    "rest_forbidden": "the account may not do this; give it a role that may (Editor)",
    "rest_forbidden_context": "the account may not edit this; give it a role with edit_others_posts (Editor)",
    "rest_cannot_edit": "the account may not edit this; give it a role with edit_others_posts (Editor)",
    "rest_cannot_create": "the account may not make drafts, in which changes are tried; give it edit_posts",
    "rest_post_invalid_id": "is no longer there; export the site anew",
    "rest_no_route": "the REST API does not know this; the kind of post is not open to it",
}


class RefusedError(TrifacetError):
    """The site will not have one request; ``code`` is WordPress's, ``status`` that of HTTP."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def read_answer(content: bytes, place: str) -> tuple[Any, int]:
    """The JSON in a body, and how many characters stand before it that are none.

    Args:
        content: the body; a byte order mark is passed over.
        place: what was asked, for messages.

    Raises:
        TrifacetError: it is no JSON.
    """
    try:
        text = content.decode("utf-8-sig").strip()
        try:
            return parse_json(text), 0
        except json.JSONDecodeError:
            return _behind(text)
    except (ValueError, RecursionError):
        page = "an HTML page" if content.lstrip()[:1] == b"<" else "no JSON"
        raise TrifacetError(
            f"{place} answers with {page} ({_shown(content[:_SHOWN].decode('utf-8', 'replace'))}); give the address "
            "of the WordPress site, and see what stands before its REST API"
        ) from None


def _behind(text: str) -> tuple[Any, int]:
    """The value that a text ends with. Raises ValueError where it ends with none."""
    for number, start in enumerate(_STARTS.finditer(text)):
        if number == _TRIES:
            break
        try:
            value, end = parse_json_at(text, start.start())
        except ValueError:
            continue
        if not text[end:].strip():
            check_json(value, text)
            return value, start.start()
    raise ValueError("no JSON")


def refusal(status: int, value: Any, place: str) -> RefusedError | None:
    """What an answer refuses, None where it refuses nothing.

    Args:
        status: that of HTTP.
        value: the JSON.
        place: what was asked, for messages.
    """
    told: Mapping[str, Any] = value if isinstance(value, dict) else {}
    code, message, data = told.get("code"), told.get("message"), told.get("data")
    inner = data.get("status") if isinstance(data, dict) else None
    failed = isinstance(code, str) and isinstance(message, str) and isinstance(inner, int) and inner >= 400
    if status < 400 and not failed:
        return None
    status = inner if failed and isinstance(inner, int) else status
    code = code if isinstance(code, str) else ""
    said = f"{status} {code}: {message}" if isinstance(message, str) else str(status)
    cure = _MEANINGS.get(code) or _by_status(status)
    return RefusedError(f"{place}: {_shown(said)}; {cure}", code, status)


def _by_status(status: int) -> str:
    if status == 401:
        return _ACCOUNT
    if status == 403:
        return "the account may not do this, or a firewall keeps the REST API closed; open it for this account"
    if status in (404, 410):
        return "it is not there; give the address of the WordPress site, and export it anew"
    if status == 413:
        return "it is too long for the server; raise its limit"
    return "see what the site's own log says"


def _shown(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
