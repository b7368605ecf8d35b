"""llama.cpp, through the wheel ``xllamacpp``: what it makes of a prompt with a picture.

Invariant: it gets the picture as a lossless file and the request as chat; whatever else it does is its own.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.publishing.probing_texts import BEST, SIZES, Said

CONTEXT = 8192  # tokens
TIE = 0.05  # nats


@dataclass(frozen=True)
class Answered:
    """What llama.cpp says of one picture: tokens of the prompt, and the best first tokens with their log-probs."""

    prompt_tokens: int
    best: tuple[tuple[int, float], ...]


def ask(model: str, projector: str, request: str, pictures: Sequence[Image.Image]) -> list[Answered]:
    """The request about each of the pictures. Raises TrifacetError where there is no answer; may end the process."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.mmproj.path = model, projector
    settings.n_ctx, settings.n_parallel, settings.warmup = CONTEXT, 1, False
    settings.use_jinja = True
    server = xllamacpp.Server(settings)
    return [_asked(server, request, shown) for shown in pictures]


def _asked(server: Any, request: str, shown: Image.Image) -> Answered:
    file = io.BytesIO()
    shown.save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": request}]
    answer = server.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": content}],
            "max_tokens": 1,
            "temperature": 0,
            # Log-probs are those before the grammar, and of the first token that makes a whole character: where that is
            # the end, or part of a character, a list without a grammar has none, or begins with the second token.
            "grammar": "root ::= [a-zA-Z ]+",
            "logprobs": True,
            "top_logprobs": BEST,
        }
    )
    if "choices" not in answer:
        raise TrifacetError(f"it answers: {str(answer.get('error', answer))[:300]}")
    told = answer["choices"][0].get("logprobs") or {}
    if not told.get("content"):
        raise TrifacetError("it gives no log-probs")
    first = told["content"][0]["top_logprobs"]
    best = tuple((int(one["id"]), float(one["logprob"])) for one in first)
    return Answered(int(answer["usage"]["prompt_tokens"]), best)


def compared(found: Sequence[Answered], expected: Sequence[Said]) -> tuple[bool, str, dict[str, Any]]:
    """Whether llama.cpp says the same as transformers of every picture, in words and figures.

    Tokens that transformers holds to be as likely, within ``TIE``, may change places.
    """
    pairs = list(zip(found, expected, strict=True))
    gaps = [
        abs(dict(here.best)[token] - value)
        for here, there in pairs
        for token, value in there.best
        if token in dict(here.best)
    ]
    apart = max(gaps, default=math.inf)
    figures = {
        "prompt_tokens": [(here.prompt_tokens, there.prompt_tokens) for here, there in pairs],
        "best_tokens": [(here.best[:2], there.best[:2]) for here, there in pairs],
        "largest_difference": apart if gaps else None,
    }
    for size, (here, there) in zip(SIZES, pairs, strict=True):
        of = f"of a picture of {size[0]} x {size[1]}"
        if here.prompt_tokens != there.prompt_tokens:
            told = f"{here.prompt_tokens} prompt tokens {of} against {there.prompt_tokens} of transformers"
            return False, told, figures
        likely = dict(there.best)
        for (token, _), (wanted, value) in zip(here.best[:2], there.best[:2], strict=True):
            if likely.get(token, -math.inf) < value - TIE:
                return False, f"under {of[3:]} another token is best: {token} and not {wanted}", figures
    told = f"the same prompt tokens and best tokens under {len(pairs)} pictures; log-probs up to {apart:.3f} nats apart"
    return True, told, figures
