"""What rows say, apart from their images: empty posts, chosen equal to rejected, duplicates.

Invariant: facts that make a term's two corners the same are errors; what may be meant that way is a warning or a note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import eq

from trifacet.data.checking.findings import Finding, Severity
from trifacet.data.records import PreferenceSample, Sample, TestSample
from trifacet.preferences.facets import Facet

_Key = tuple[object, ...]


def check_texts(number: int, sample: Sample, file: str, names: dict[str, str]) -> Iterator[Finding]:
    """The findings of one row; ``names`` maps our fields to the file's."""

    def finding(severity: Severity, field: str, cause: str, cure: str) -> Finding:
        return Finding(severity, file, number, names.get(field, field), cause, cure)

    if not sample.pictures:
        yield finding("note", "image", "no image", "fine if the post shows none; else give its path")
    if len(set(sample.pictures)) < len(sample.pictures):
        yield finding("warning", "more_images", "the same picture twice in one post", "name each once")
    if not sample.context.strip():
        yield finding("note", "context", "post is empty", "fine if the post has no words; else give its text")
    if isinstance(sample, PreferenceSample):
        for facet, text in _chosen(sample).items():
            versions = sample.rejected(facet)
            field = f"rejected_{facet}s"
            if rejects_chosen(sample, facet):
                yield finding("error", field, f"rejected {facet} equals the chosen one", "replace it or leave it out")
            elif facet is not Facet.IMAGE and _folded(text) in map(_folded, versions):
                cause = f"rejected {facet} differs from the chosen one in case or spaces only"
                yield finding("warning", field, cause, "replace it unless that is the preference")
            if len(set(versions)) < len(versions):
                yield finding("warning", field, f"the same rejected {facet} twice", "leave one out")
        if not sample.rejected_responses:
            cause = "no rejected response"
            yield finding("warning", "rejected_responses", cause, "give one, or use an objective that needs none")
    if isinstance(sample, TestSample) and not sample.references:
        yield finding("warning", "references", "no reference", "give one, or the sample can't be scored")


def rejects_chosen(sample: PreferenceSample, facet: Facet, same_image: Callable[[str, str], bool] = eq) -> bool:
    """Whether a rejected version of a facet is the chosen one, so that no term can tell them apart.

    Texts are the same but for white space around them; ``same_image`` says it of two paths.
    """
    chosen = _chosen(sample)[facet]
    if facet is Facet.IMAGE:
        return any(same_image(version, chosen) for version in sample.rejected(facet))
    return chosen.strip() in map(str.strip, sample.rejected(facet))


def _chosen(sample: PreferenceSample) -> dict[Facet, str]:
    return {Facet.IMAGE: sample.image or "", Facet.CONTEXT: sample.context, Facet.RESPONSE: sample.response}


class Duplicates:
    """Remembers rows by what they hold, and says so when one comes again."""

    def __init__(self, file: str, names: dict[str, str]) -> None:
        self._file, self._names = file, names
        self._rows: dict[_Key, int] = {}

    def check(self, number: int, sample: Sample) -> Iterator[Finding]:
        """A warning if an earlier row has the same image, context and response."""
        answer = getattr(sample, "response", getattr(sample, "references", None))
        first = self._rows.setdefault((sample.pictures, sample.context, answer), number)
        if first != number:
            cause = f"same image, context and response as row {first}"
            yield Finding("warning", self._file, number, None, cause, "leave one of the two out")


def _folded(text: str) -> str:
    return " ".join(text.lower().split())
