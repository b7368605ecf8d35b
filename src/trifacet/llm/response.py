"""What an endpoint's response says, whatever it is made of.

Invariant: what is wrong beside an answer's text does not make the text wrong; a figure that cannot be true is none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from trifacet.llm.books import Reply
from trifacet.llm.estimate import text_tokens

LONGEST_WAIT = 600.0  # seconds, where the endpoint asks for it with Retry-After
_MAX_CHARACTERS = 1_000_000  # of an answer
_MAX_TOKENS = 10**8  # of a request or an answer


def read_replies(content: bytes, estimated_in: int, hidden: Callable[[str], str], most: int = 1) -> list[Reply]:
    """The answers in a body; where the tokens are not told, or cannot be those, they are estimated.

    Of several answers each has its share of the tokens: of the request's an equal one, of the answers' one by length.

    Args:
        content: the body.
        estimated_in: the request's tokens.
        hidden: takes out of a text what nobody is to see.
        most: answers that were asked for; an endpoint may give fewer, and what it gives beyond is left.

    Raises:
        ValueError: it is no chat completion.
    """
    try:
        body = json.loads(content, parse_int=_int)
        said = [_said(choice) for choice in [body["choices"][0], *body["choices"][1:most]]]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError("it is no chat completion") from None

    def shown(part: str) -> str:
        return hidden(part.encode("utf-8", "replace").decode("utf-8"))  # lone surrogates

    texts = [shown(text) for text, _ in said]
    usage = body.get("usage")
    told: Mapping[str, Any] = usage if isinstance(usage, dict) else {}
    counts: list[Any] = [told.get(name) for name in ("prompt_tokens", "completion_tokens")]
    counted = all(type(count) is int and 0 <= count <= _MAX_TOKENS for count in counts)
    lengths = [text_tokens(text) for text in texts]
    into, out = counts if counted else (estimated_in, sum(lengths))
    by = shown(_text(body.get("model")))[:200]
    shares = zip(shared(into, [1] * len(texts)), shared(out, lengths), strict=True)
    return [
        Reply(text, shown(finish)[:40], by, tokens_in, tokens_out, counted)
        for text, (_, finish), (tokens_in, tokens_out) in zip(texts, said, shares, strict=True)
    ]


def _said(choice: Any) -> tuple[str, str]:
    """The text of a choice, and why it ended. Raises ValueError and others where it has none."""
    message = choice["message"]
    refusal = _text(message.get("refusal"))
    text = refusal or message.get("content") or ""
    if not isinstance(text, str) or len(text) > _MAX_CHARACTERS:
        raise ValueError("no text")
    return text, "refusal" if refusal else _text(choice.get("finish_reason"))


def shared(total: int, weights: list[int]) -> list[int]:
    """``total`` in whole parts by ``weights``, which sum to it."""
    whole = sum(weights) or len(weights)
    ends = [total * sum(weights[: place + 1]) // whole for place in range(len(weights))]
    ends[-1] = total
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def message_of(content: bytes) -> str:
    """What a body says of an error: its message, or else its beginning."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        return str(json.loads(content, parse_int=_int)["error"]["message"])
    return content[:1000].decode("utf-8", "replace")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After header asks for, given as a number or as a date; None without a sensible one."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
            seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, LookupError, OverflowError):  # such as a year of 20 digits
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_WAIT)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _int(digits: str) -> int:
    """A number of a body; one of thousands of digits, which Python refuses, is -1: no figure that could be true."""
    return int(digits) if len(digits) < 20 else -1
