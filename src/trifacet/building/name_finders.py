"""Pipelines that find names in texts: spaCy's, or a token-classification model of transformers.

Invariant: a pipeline is loaded from what the user named and nothing else. Weights of transformers come from safetensors
and no code of a checkpoint runs; loading a spaCy pipeline runs the code of its package, as spaCy is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trifacet.base.errors import TrifacetError, first_line
from trifacet.base.extras import needed_for

NameSpan = tuple[int, int]  # start and end of a name, in characters
Finder = Callable[[Sequence[str], int], list[list[NameSpan]]]  # texts and batch size -> the names in each text
_UNREAD = r"\bpooler\."  # weights that many published taggers hold and none reads
PIECE = 20_000  # characters given to spaCy at a time: its memory grows with the text, and it refuses a million


def spacy_finder(name: str, labels: Sequence[str]) -> Finder:
    """A finder by the spaCy pipeline in a folder or an installed package.

    Raises:
        TrifacetError: spaCy is not installed, no such pipeline, or one that knows none of the labels.
    """
    with needed_for("step 'names' with 'spacy'"):
        import spacy
    try:
        nlp = spacy.load(name)
    except Exception as error:  # a damaged folder raises whatever spaCy trips over
        raise TrifacetError(f"{name}: cannot be loaded as a spaCy pipeline ({first_line(error)})") from None
    known = {label for pipe in nlp.pipe_labels.values() for label in pipe}
    _check_labels(name, known, labels)

    def find(texts: Sequence[str], batch: int) -> list[list[NameSpan]]:
        found: list[list[NameSpan]] = [[] for _ in texts]
        pieces = ((piece, (number, at)) for number, text in enumerate(texts) for at, piece in _pieces(text))
        for doc, (number, at) in nlp.pipe(pieces, as_tuples=True, batch_size=batch):
            found[number] += [(at + one.start_char, at + one.end_char) for one in doc.ents if one.label_ in labels]
        return found

    return find


def transformers_finder(name: str, labels: Sequence[str]) -> Finder:
    """A finder by a token-classification model, from a folder or a hub id, on the CPU. Long texts are read in windows.

    Raises:
        TrifacetError: no such model, no safetensors, weights that are not all there, no fast tokenizer, or none of the
            labels.
    """
    from transformers import AutoModelForTokenClassification, pipeline

    from trifacet.models.checkpoint import read_weights, reading
    from trifacet.models.processors import read_tokenizer

    with reading(name):
        tokenizer = read_tokenizer(name)
    model = read_weights(AutoModelForTokenClassification, name, dtype="auto", may_add=_UNREAD)
    if not tokenizer.is_fast:
        raise TrifacetError(f"{name}: has no fast tokenizer (tokenizer.json), needed to place names")
    known = {label.removeprefix("B-").removeprefix("I-") for label in model.config.id2label.values()}
    _check_labels(name, known, labels)
    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", None) or 512)
    tokenizer.model_max_length = longest
    tagger = pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        stride=longest // 4,
        device="cpu",
    )

    def find(texts: Sequence[str], batch: int) -> list[list[NameSpan]]:
        results: list[Any] = tagger(list(texts), batch_size=batch) if texts else []
        return [[(one["start"], one["end"]) for one in found if one["entity_group"] in labels] for found in results]

    return find


def _pieces(text: str) -> list[tuple[int, str]]:
    """A text in pieces of at most ``PIECE`` characters, cut at spaces where there are any, with their places."""
    pieces, at = [], 0
    while len(text) - at > PIECE:
        cut = text.rfind(" ", at + 1, at + PIECE) + 1 or at + PIECE
        pieces.append((at, text[at:cut]))
        at = cut
    return [*pieces, (at, text[at:])]


def _check_labels(name: str, known: set[str], labels: Sequence[str]) -> None:
    if not known & set(labels):
        says = ", ".join(sorted(known)) or "none"
        raise TrifacetError(f"{name}: knows none of the labels {', '.join(labels)}; its labels are {says}")
