"""Which JSON schemas are taken: those of which every keyword is one that is enforced, or that says nothing of texts.

Invariants: a keyword that nobody would heed is refused by its name, wherever in a schema it stands; names of properties
may be anything. No torch is imported here: the process that reads a schema first has a few seconds for all it does.
"""

from __future__ import annotations

import json
from typing import Any

from trifacet.serving.refusals import shown

LONGEST = 65_536  # characters
_INNER = frozenset(  # whose value is a schema, or a list of them
    {
        "additionalItems", "additionalProperties", "allOf", "anyOf", "contains", "else", "if", "items", "not", "oneOf",
        "prefixItems", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_NAMED = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})
_PLAIN = frozenset(  # those that llguidance does not enforce it refuses itself
    {
        "$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$ref", "$schema",
        "$vocabulary", "const", "dependentRequired", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "id",
        "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength",
        "minProperties", "minimum", "multipleOf", "pattern", "required", "type", "uniqueItems",
    }
)  # fmt: skip
_REMARKS = frozenset(  # which by JSON Schema, and by OpenAPI, say nothing of what is valid
    {
        "$comment", "contentEncoding", "contentMediaType", "default", "deprecated", "description", "discriminator",
        "example", "examples", "readOnly", "title", "writeOnly",
    }
)  # fmt: skip
# one blank at most between tokens of JSON: a model may else write blanks until its text is at its longest
OPTIONS = {"lenient": False, "whitespace_pattern": " ?"}
_OWN = "x-guidance"  # by which a schema would tell llguidance how strict to be


def checked(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema. Raises ValueError where it is too long, is no JSON, or has a keyword that nobody would heed."""
    try:
        length = len(json.dumps(schema, allow_nan=False))
    except ValueError:
        raise ValueError("holds a number that JSON does not know") from None
    if length > LONGEST:
        raise ValueError(f"has {length} characters; write at most {LONGEST}")
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            for name, value in part.items():
                if name in _INNER:
                    waiting.append(value)
                elif name in _NAMED:
                    waiting += value.values() if isinstance(value, dict) else [value]
                elif not _is_known(name):
                    raise ValueError(_refused(name))
    return schema


def _is_known(name: str) -> bool:
    return name in _PLAIN or name in _REMARKS or (name.startswith("x-") and name != _OWN)


def _refused(name: str) -> str:
    if name == _OWN:
        return f"{_OWN} is not supported; leave it out"
    if name == "nullable":
        return 'nullable is no keyword of JSON Schema; write "type": ["...", "null"]'
    return f"{shown(name)} is no keyword of JSON Schema, and would be ignored; leave it out"


def objection(schema: str) -> str | None:
    """What llguidance has against a schema, if anything; for another process, since this is where it may take hours."""
    import llguidance

    matcher = llguidance.LLMatcher
    try:
        grammar = matcher.grammar_from_json_schema(schema, overrides=OPTIONS)
        told = matcher.validate_grammar_with_warnings(grammar)[1]  # errors as well as warnings
        if not told:  # it has only been read yet: to begin a text by it may cost far more
            begun = matcher(llguidance.LLTokenizer("byte"), grammar, log_level=0)
            begun.compute_bitmask()
            told = [begun.get_error()] if begun.is_error() else []
    except ValueError as error:
        told = [str(error)]
    return str(told[0]) if told else None
