"""Findings as SARIF 2.1.0, which code hosts show beside the lines.

Invariant: addresses are relative to the folder that the command ran in, whatever the paths were, so that the file says
nothing about the machine; texts of documents are escaped, for SARIF's messages may hold links.
Source: OASIS, Static Analysis Results Interchange Format 2.1.0; GitHub's account of what it reads of it.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trifacet.base.errors import DataError
from trifacet.base.version import __version__
from trifacet.base.words import visible
from trifacet.lint.linting import Told
from trifacet.lint.rule import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_log(
    findings: Iterable[Told], rules: Sequence[Rule], problems: Sequence[DataError], tool: str = "trifacet lint"
) -> dict[str, Any]:
    """The log of one run. ``problems`` are what could not be read: the run then counts as not successful."""
    places = {rule.name: place for place, rule in enumerate(rules)}
    seen: Counter[str] = Counter()
    notes = [{"level": "error", "message": {"text": _escaped(str(problem))}} for problem in problems]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": tool,
                        "semanticVersion": __version__,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not notes,
                        **({"toolExecutionNotifications": notes} if notes else {}),
                    }
                ],
                "results": [_result(told, places[told.finding.rule], seen) for told in findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    looked_for = f"{rule.message.capitalize()}: {rule.detail}."
    words = f"{looked_for} Cure: {rule.cure}." if rule.cure else looked_for
    example = rule.example[:200] if rule.example.strip() else "(an empty text)"
    return {
        "id": rule.name,
        "shortDescription": {"text": _escaped(rule.message.capitalize())},
        "fullDescription": {"text": _escaped(words)},
        "help": {"text": f"{_escaped(words)}\nExample: {_escaped(example)}"},
        "defaultConfiguration": {"level": rule.level},
        "properties": {"tags": ["accessibility", "alt-text"]},
    }


def _result(told: Told, place: int, seen: Counter[str]) -> dict[str, Any]:
    alt, finding = told.alt, told.finding
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(told.document), "region": _region(told)}
    }
    name = f"row {alt.row}" if alt.row is not None else ""
    if alt.id or name:
        names = {"name": visible(alt.id or name), "fullyQualifiedName": visible(f"{name} {alt.id}".strip())}
        location["logicalLocations"] = [names]
    same = "\x1f".join((finding.rule, told.document, alt.image, alt.text or ""))
    mark = hashlib.sha256(same.encode("utf-8", "replace")).hexdigest()[:32]
    seen[mark] += 1  # several of the same kind in a file are told apart by their order
    return {
        "ruleId": finding.rule,
        "ruleIndex": place,
        "level": finding.level,
        "message": {"text": _escaped(f"{finding.cause}; {finding.cure}")},
        "locations": [location],
        "partialFingerprints": {"altText/v1": f"{mark}:{seen[mark]}"},
    }


def _region(told: Told) -> dict[str, int]:
    """Where the element or the line begins; rows of a file without lines stand at its beginning."""
    region = {"startLine": told.alt.line or 1}
    if told.alt.column is not None:
        region["startColumn"] = told.alt.column
    return region


def _artifact(document: str) -> dict[str, str]:
    path = os.path.relpath(document)
    if path == ".." or path.startswith(f"..{os.sep}"):
        return {"uri": Path(document).resolve().as_uri()}
    return {"uri": quote(os.fsencode(Path(path).as_posix())), "uriBaseId": "%SRCROOT%"}


def _escaped(text: str) -> str:
    """Plain text of a message: no link, no place for an argument, nothing that a terminal would act on."""
    for character in "[]":
        text = text.replace(character, f"\\{character}")
    return visible(text.replace("{", "{{").replace("}", "}}"))
