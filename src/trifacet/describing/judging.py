"""Which of several drawn texts is suggested for a place, what is wrong with it, and whether it is held back.

Invariant: a text with an invented name, with an error of the alt-text checks, over the length that holds there, in
another language than the element's, or of less confidence than asked for is withheld, with the reason. No text is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trifacet.base.words import CONTROL, listed, without_sequences
from trifacet.data.writing import Written
from trifacet.describing.confidence import DEMO, Calibration
from trifacet.describing.names import Known, NameFinder, can_tell, invented, other_language
from trifacet.describing.place import Place
from trifacet.generation.variation import Span, vary
from trifacet.lettering.lines import Lettering
from trifacet.lint import lint_text
from trifacet.lint.check import LintFinding

LEAST_CONFIDENCE = 0.4
_BRIEF = ("functional", "lettering", "group")  # one word may do
_HELD_BACK = ("lettering-invented",)  # warnings of the checks that a suggestion may not have
_WRAPPED = {'"': '"', "“": "”", "„": "“", "«": "»", "‘": "’"}


@dataclass(frozen=True)
class Checks:
    """How texts are judged.

    Attributes:
        platform: whose limit holds (None: no platform's).
        find: a pipeline that finds names, beside the rules.
        unchecked: suggest texts in languages in which nobody can tell names from other words, with a warning.
        least_confidence: below it a text is withheld; 0 withholds none for that.
        calibration: from agreement to confidence.
    """

    platform: str | None = None
    find: NameFinder | None = None
    unchecked: bool = False
    least_confidence: float = LEAST_CONFIDENCE
    calibration: Calibration = DEMO


@dataclass(frozen=True)
class Judged:
    """The text, why it is withheld ("": it is not), what was found. ``too_long``: asking for a shorter one may help."""

    text: str
    withheld: str = ""
    findings: tuple[LintFinding, ...] = ()
    samples: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    confidence: float | None = None
    too_long: bool = False


@dataclass(frozen=True)
class About:
    """What is known of a place when a text about it is judged; ``longest``: characters of the text."""

    place: Place
    known: Known
    language: str
    longest: int
    context: str = ""
    read: Callable[[], Lettering | None] | None = field(default=None, compare=False)


def judge(written: Sequence[Written], about: About, checks: Checks) -> Judged:
    """Choose among texts that were drawn for one request.

    Of those with nothing against them the one that agrees most with all others; where there is none, of all.
    """
    texts = [clean(one.text) for one in written]
    usable = [at for at, one in enumerate(written) if texts[at] and one.ended and one.problem is None]
    if not usable:
        cut = any(not one.ended for one in written)
        problem = next((one.problem for one in written if one.problem), "")
        told = problem or ("no text came to its end" if cut else "the model gave no text")
        return Judged("", told, samples=tuple(texts), too_long=cut and not problem)
    samples = [texts[at] for at in usable]
    found = [_findings(text, about, checks) for text in samples]
    sound = [at for at, one in enumerate(found) if not against(one)]
    variation = vary(samples, sound or None)
    at = variation.place
    confidence = checks.calibration.of(variation) if len(samples) > 1 else None
    why = "; ".join(one.cause for one in against(found[at]))
    if not why and len(samples) == 1 < len(written):
        why = f"only one of {len(written)} texts came to its end, and nothing tells whether the others agree"
    if not why and confidence is not None and confidence < checks.least_confidence:
        why = f"the samples disagree (confidence {confidence:.2f}, asked for {checks.least_confidence:g})"
    too_long = all(any(one.rule == TOO_LONG for one in findings) for findings in found)
    return Judged(samples[at], why, found[at], tuple(samples), variation.spans, confidence, too_long)


TOO_LONG, NAME, UNCHECKED, LANGUAGE = "over-the-limit", "invented-name", "names-unchecked", "other-language"
BROKEN = "broken-character"
PIPELINE = (
    "name a spaCy pipeline of that language (pip install 'trifacet[ner]', python -m spacy download de_core_news_sm, "
    "then --names de_core_news_sm), or allow it (--unchecked-names)"
)


def _findings(text: str, about: About, checks: Checks) -> tuple[LintFinding, ...]:
    """What is wrong with a text: the alt-text checks, and what only the place tells."""
    place = about.place
    found = lint_text(
        text,
        context=about.context or None,
        platform=checks.platform,
        min_words=1 if place.role in _BRIEF else 3,
        image=place.picture.address if place.picture.source in ("file", "remote") else "",
        lettering=about.read,
    )
    own = []
    if len(text) > about.longest:
        told = f"{len(text)} characters, {about.longest} asked for"
        own.append(LintFinding(TOO_LONG, "error", "longer than asked for", "say it shorter", told))
    if "\ufffd" in text:
        told = "letters that the model's tokens do not make whole"
        own.append(LintFinding(BROKEN, "error", "holds a character that is none (U+FFFD)", "say it anew", told))
    tells = can_tell(text, about.language)
    if not tells and checks.find is None:
        own.append(
            LintFinding(
                UNCHECKED, "warning" if checks.unchecked else "error", "names cannot be told from other words here",
                PIPELINE, about.language or "language unknown",
            )
        )  # fmt: skip
    elif names := invented(text, about.known, about.language, checks.find, rules=tells):
        cure = "leave it out, or put it into the glossary"
        own.append(LintFinding(NAME, "error", "a name that nobody gave", cure, listed(names)))
    if other := other_language(text, about.language):
        own.append(LintFinding(LANGUAGE, "error", "in another language", f"write in {about.language}", other))
    return (*own, *found)


def against(findings: Sequence[LintFinding]) -> list[LintFinding]:
    """Those for which a text is withheld; others are warnings."""
    return [one for one in findings if one.level == "error" or one.rule in _HELD_BACK]


def clean(text: str) -> str:
    """A model's text on one line, without what nobody sees, and without quotation marks around the whole."""
    line = " ".join(CONTROL.sub("", without_sequences(text)).split())
    if len(line) > 1 and _WRAPPED.get(line[0]) == line[-1] and not set(line[1:-1]) & {line[0], line[-1]}:
        line = line[1:-1].strip()
    return line
