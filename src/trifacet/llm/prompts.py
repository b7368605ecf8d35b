"""Prompts: short files in the package, replaceable by the user's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A prompt's name, its text and the text's SHA-256."""

    name: str
    text: str
    sha256: str
