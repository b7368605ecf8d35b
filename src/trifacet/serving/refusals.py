"""Why a request gets no answer, in the form that OpenAI's clients read.

Invariant: a refusal names the field or limit and says what would be right; of what was sent it repeats names of fields
at most, shortened and printable.
"""

from __future__ import annotations

from typing import Any

from trifacet.base.words import visible

_LONGEST = 80  # characters of what a stranger wrote


class Refusal(Exception):  # noqa: N818 - most are no errors of ours
    """An answer other than the one asked for.

    Args:
        status: of HTTP.
        message: for people.
        param: the field at fault, as ``messages[0].content``.
        code: one of few words, for programs.
        wait: seconds after which to ask again (Retry-After).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str = "invalid_value",
        wait: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.wait = status, message, param, code, wait

    @property
    def body(self) -> dict[str, Any]:
        """As JSON has it."""
        kind = "invalid_request_error" if self.status < 500 and self.status != 429 else "server_error"
        told = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": told}

    @property
    def headers(self) -> dict[str, str]:
        """Beside the body."""
        found = {} if self.wait is None else {"Retry-After": str(self.wait)}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def shown(text: str) -> str:
    """A stranger's words in a message of ours: short, on one line, without what a terminal obeys."""
    line = visible(" ".join(text.split()))
    return repr(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…")
