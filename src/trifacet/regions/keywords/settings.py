"""The recipe section of key words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from trifacet.settings.section import Section

# Heads of phrases that name the picture or a place in it, not what it shows: there is no region of theirs.
NO_REGION = ("image", "picture", "photo", "photograph", "scene", "background", "foreground", "side", "front", "middle")


def _known(code: str) -> str:
    if code not in ("auto", "en"):
        from stopwordsiso import langs

        if code not in langs():
            raise ValueError(f"no stop words of {code!r} are known; use auto, or one of {', '.join(sorted(langs()))}")
    return code


Language = Annotated[str, AfterValidator(_known)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Head = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Mfpo(Section):
    """Constants of method mfpo; the paper publishes none of them."""

    phi: float = Field(1.0, ge=0, le=10, description="power of the distance between two words")
    gamma: float = Field(1.0, ge=0, le=100, description="weight of the similarity of two words' embeddings")
    decay: float = Field(0.01, ge=0, le=10, description="how fast words lose weight with their place, per word")


class Multipartite(Section):
    """Constants of method multipartite, as published."""

    cut: float = Field(0.74, ge=0, le=1, description="candidates at most so far apart (Jaccard) are one topic")
    boost: float = Field(1.1, ge=0, le=100, description="how much the first candidate of a topic gains from the others")


class KeyWords(Section):
    """Which words of the chosen response are looked for in the picture."""

    method: Literal["mfpo", "multipartite"] = Field("mfpo", description="how candidates are ranked")
    k: int = Field(4, ge=1, le=100, description="key words of a response, at most")
    damping: float = Field(0.85, ge=0, le=0.99, description="of PageRank")
    mfpo: Mfpo = Mfpo()
    multipartite: Multipartite = Multipartite()
    embeddings: Name = Field(
        "policy",
        description="mfpo: the policy's own input embeddings, none, or a text encoder (folder or hub id)",
    )
    tagger: Name = Field("small", description="what finds nouns: small, or a spaCy pipeline (package or folder)")
    language: Language = Field("auto", description="of the responses, for tagger small (ISO 639-1)")
    leave_out: list[Head] = Field(
        list(NO_REGION), max_length=1000, description="nouns that head no candidate, as the picture's own names"
    )
    phrase: int = Field(5, ge=1, le=20, description="words of a candidate, at most")
    words: int = Field(1000, ge=1, le=2000, description="words of a response that are read")
    candidates: int = Field(200, ge=1, le=1000, description="candidates that are ranked: the most frequent ones")
