"""What a chat request may say, from OpenAI's protocol and with one field of our own.

Invariant: every field is taken at its word or refused by its name, with status 400; none is ignored. A field that is
not supported may be there with the value at which it does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from trifacet.base.json_text import parse_json
from trifacet.base.words import visible
from trifacet.generation.settings import warm_enough
from trifacet.serving.refusals import Refusal, shown
from trifacet.serving.schema import checked

MOST_DRAWS = 16
MOST_LIKELY = 20  # tokens told beside each
_MOST_MESSAGES = 64
_MOST_TEXT = 200_000  # characters of a request: far more than any model has room for
_LONGEST_TOLD = 300  # characters of what is wrong
_MOST_SEED = 2**63 - 1
_USUAL_TOKENS = 256  # of the longest text, as ``trifacet describe`` has it
# of OpenAI's protocol, and the values at which they change nothing; of all of them null
_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "audio": (), "frequency_penalty": (0, 0.0), "function_call": ("none",), "functions": ([],), "logit_bias": ({},),
    "modalities": (["text"],), "moderation": (), "parallel_tool_calls": (True, False), "prediction": (),
    "presence_penalty": (0, 0.0), "prompt_cache_options": (), "prompt_cache_retention": (),
    "reasoning_effort": ("none",), "service_tier": ("auto", "default"), "store": (False,),
    "tool_choice": ("none", "auto"), "tools": ([],), "verbosity": ("medium",), "web_search_options": (),
}  # fmt: skip
# of the messages that clients hand back
_OF_ANSWERS = frozenset({"refusal", "annotations", "audio", "function_call", "tool_calls", "name"})
AnyPart = TypeVar("AnyPart", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class Text(_Part):
    """A text in a message."""

    type: Literal["text"]
    text: str


class Address(_Part):
    """Where a picture is: a data URL, or an address."""

    url: str = Field(min_length=1)
    detail: str | None = "auto"

    @field_validator("detail")
    @classmethod
    def _as_trained(cls, detail: str | None) -> str | None:
        if detail not in (None, "auto"):
            raise ValueError("pictures are read as in training; write auto, or leave it out")
        return detail


class Picture(_Part):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: Annotated[Address, BeforeValidator(lambda given: {"url": given} if isinstance(given, str) else given)]


def _as_parts(given: Any) -> Any:
    return [{"type": "text", "text": given}] if isinstance(given, str) else given


def _without_empty(given: Any) -> Any:
    """A message without the fields of an answer's that are null, so that one can be handed back as it came."""
    if not isinstance(given, dict):
        return given
    return {name: value for name, value in given.items() if not (name in _OF_ANSWERS and value in (None, []))}


class Message(_Part):
    """A turn; ``developer`` is the newer name of ``system``."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        list[Annotated[Text | Picture, Field(discriminator="type")]],
        BeforeValidator(_as_parts),
        Field(min_length=1, max_length=256),
    ]

    @property
    def texts(self) -> list[str]:
        """Those of its parts that are not blank."""
        return [part.text for part in self.content if isinstance(part, Text) and part.text.strip()]

    _own_fields = model_validator(mode="before")(_without_empty)

    @model_validator(mode="after")
    def _shows(self) -> Message:
        if self.role != "user" and any(isinstance(part, Picture) for part in self.content):
            raise ValueError("only a message of the user's shows pictures")
        return self


class _Schema(_Part):
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    # the name itself is BaseModel's
    given: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None  # it always is

    @field_validator("given")
    @classmethod
    def _all_of_it(cls, given: dict[str, Any]) -> dict[str, Any]:
        return checked(given)


class PlainFormat(_Part):
    """Any text, or a JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(_Part):
    """JSON by a schema."""

    type: Literal["json_schema"]
    json_schema: _Schema


class _Streamed(_Part):
    include_usage: bool | None = False
    include_obfuscation: Literal[False] | None = False  # nothing is added to events


_Label = Annotated[str, Field(max_length=512)]


class ChatRequest(_Part):
    """A request for texts. Of our own is ``post``: the text around the pictures, put as in the model's training.

    ``user``, ``safety_identifier``, ``prompt_cache_key`` and ``metadata`` are notes of the asker's for the provider's
    books. There are none here: they change no text, and are kept and shown nowhere.
    """

    model: str
    messages: list[Message] = Field(min_length=1, max_length=_MOST_MESSAGES)
    post: str | None = None
    n: int = Field(1, ge=1, le=MOST_DRAWS)
    temperature: float = Field(0.0, ge=0, le=2, allow_inf_nan=False)
    top_p: float = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(None, ge=0, le=_MOST_SEED)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]],
        BeforeValidator(lambda given: [given] if isinstance(given, str) else given or []),
        Field(max_length=4),
    ] = []
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=MOST_LIKELY)
    response_format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")] | None = None
    stream: bool = False
    stream_options: _Streamed | None = None
    user: _Label | None = None
    safety_identifier: _Label | None = None
    prompt_cache_key: _Label | None = None
    metadata: Annotated[dict[Annotated[str, Field(max_length=64)], _Label], Field(max_length=16)] | None = None

    @field_validator("temperature")
    @classmethod
    def _warm(cls, temperature: float) -> float:
        return warm_enough(temperature)

    @model_validator(mode="after")
    def _together(self) -> ChatRequest:
        both = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(both) > 1:
            raise ValueError("max_tokens and max_completion_tokens differ; give one of them")
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if self.stream_options and not self.stream:
            raise ValueError("stream_options needs stream: true")
        written = sum(len(text) for message in self.messages for text in message.texts) + len(self.post or "")
        if written > _MOST_TEXT:
            raise ValueError(f"messages and post have {written} characters of text; write at most {_MOST_TEXT}")
        if self.messages[-1].role != "user":
            raise ValueError("messages ends with another message than the user's; an answer is not continued")
        roles = [message.role for message in self.messages]
        if any(role in ("system", "developer") for role in roles[1:]):
            raise ValueError("messages has a message of the system behind others; put it first")
        if self.post is not None and any(role == "assistant" for role in roles):
            raise ValueError("post goes with one message of the user's; leave earlier turns out, or write it into them")
        return self

    @property
    def longest(self) -> int | None:
        """Most tokens of a text, by either name."""
        return self.max_tokens or self.max_completion_tokens

    @property
    def schema_text(self) -> str | None:
        """The JSON schema of the answer, if it is to be JSON."""
        if isinstance(self.response_format, SchemaFormat):
            return json.dumps(self.response_format.json_schema.given)
        if self.response_format is not None and self.response_format.type == "json_object":
            return json.dumps({"type": "object"})
        return None

    def longest_of(self, limit: int) -> int:
        """Most tokens of a text where the server gives ``limit``. Raises Refusal for more."""
        name = "max_tokens" if self.max_tokens else "max_completion_tokens"
        if (self.longest or 0) > limit:
            raise Refusal(400, f"{name}: is {self.longest}; this server writes at most {limit}", param=name)
        return self.longest or min(_USUAL_TOKENS, limit)


def read_request(body: bytes) -> ChatRequest:
    """A chat request. Raises Refusal for any that is none."""
    return validated(ChatRequest, body, _without_unsupported)


def validated(
    kind: type[AnyPart], body: bytes, prepared: Callable[[dict[str, Any]], dict[str, Any]] = lambda given: given
) -> AnyPart:
    """A body of JSON as what it has to be. Raises Refusal."""
    try:
        given = parse_json(body.decode("utf-8"))
    except ValueError as error:
        raise Refusal(400, f"the body is no JSON that can be used: {shown(str(error))}", code="invalid_json") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body is no JSON object", code="invalid_json")
    try:
        return kind.model_validate(prepared(given))
    except ValidationError as error:
        _explain(error)


def _without_unsupported(given: dict[str, Any]) -> dict[str, Any]:
    for name in given.keys() & _UNSUPPORTED.keys():
        value = given[name]
        if value is None or any(type(value) is type(one) and value == one for one in _UNSUPPORTED[name]):
            continue
        neutral = f" or give it as {json.dumps(_UNSUPPORTED[name][0])}" if _UNSUPPORTED[name] else ""
        raise Refusal(400, f"{name}: is not supported; leave it out{neutral}", param=name, code="unsupported_parameter")
    known = ChatRequest.model_fields
    return {
        name: value
        for name, value in given.items()
        if name not in _UNSUPPORTED and not (value is None and name in known and name not in ("model", "messages"))
    }


def _explain(error: ValidationError) -> NoReturn:
    """The first thing that is wrong."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ""
    for at, part in enumerate(first["loc"]):
        before = first["loc"][at - 1] if at else None
        if isinstance(part, int):
            place += f"[{part}]"
        elif before != "response_format" and not (isinstance(before, int) and part in ("text", "image_url")):
            place += f".{shown(part)[1:-1]}" if place else shown(part)[1:-1]
    message = visible(first["msg"].removeprefix("Value error, "))[:_LONGEST_TOLD]
    if first["type"] == "extra_forbidden":
        raise Refusal(
            400, f"{place}: is not a field of this server; leave it out", param=place, code="unknown_parameter"
        )
    if first["type"] == "missing":
        raise Refusal(400, f"{place}: is missing", param=place, code="missing_required_parameter")
    told = f"{place}: {message}" if place else message
    raise Refusal(400, told, param=place or None)
