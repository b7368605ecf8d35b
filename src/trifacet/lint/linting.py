"""Asking the rules about every text of every document, and counting on how many images a text stands.

Invariant: "the same text on many images" is counted over all documents before the first finding is told, so the order
of files does not matter to it. Pages are parsed once; rows are read twice, since they may not fit into memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.extensions import is_extension, load_extension
from trifacet.data.rows import OnProblem
from trifacet.lettering.lines import Lettering
from trifacet.lint.check import LintFinding, check_names, lint_text
from trifacet.lint.columns import TextColumns
from trifacet.lint.compat import COMPAT
from trifacet.lint.documents import MAX_TEXT, AltText
from trifacet.lint.pictures import PictureCounts, Pictures, PicturesRead
from trifacet.lint.rule import LetteringLimits, Rule, words
from trifacet.lint.rules import RULES
from trifacet.lint.sources import Document

_MISSING = RULES[0]  # also beside the compatible rules: these are about texts, not about images without one
RULE_SETS: dict[str, tuple[Rule, ...]] = {"own": RULES, "compat": (_MISSING, *COMPAT)}


@dataclass(frozen=True)
class LintSettings:
    """What is asked. Raises TrifacetError for a platform or a rule that does not exist.

    ``rule_set``: names of rule sets with commas between them; one that is not known is an object of the user's own.
    ``read``: how pictures are read (None: they are not, and the rules about their words are not asked).
    """

    rule_set: str = "own"
    platform: str | None = None
    max_chars: int | None = None
    min_words: int = 3
    max_images: int = 4
    ignore: Collection[str] = ()
    only: Collection[str] = ()
    errors_only: bool = False
    columns: TextColumns = field(default_factory=TextColumns)
    read: PicturesRead | None = None
    limits: LetteringLimits = field(default_factory=LetteringLimits)

    def __post_init__(self) -> None:
        check_names(self.platform, [*self.ignore, *self.only], self.every_rule)
        reading = [rule.name for rule in self.every_rule if rule.reads]
        if self.read is None and (unread := [name for name in self.only if name in reading]):
            raise TrifacetError(f"rule {unread[0]!r} looks at the words in pictures; add --read")
        if self.read is not None and not reading:
            raise TrifacetError(f"no rule of {self.rule_set!r} looks at the words in pictures; leave --read out")
        if self.rule_set == "compat" and (self.platform or self.max_chars):
            raise TrifacetError("the compatible rules have a limit of their own; leave --platform and --max-chars out")
        if not self.rules:
            raise TrifacetError("no rule is left to ask; leave out some of --only, --ignore and --level")

    @cached_property
    def every_rule(self) -> tuple[Rule, ...]:
        """The rules of all sets that are named."""
        names = self.rule_set.split(",")
        if "compat" in names and len(names) > 1:
            raise TrifacetError("the compatible rules stand alone; leave the other rule sets out")
        found = tuple(rule for name in names for rule in _rule_set(name.strip()))
        told = [rule.name for rule in found]
        if twice := [name for name in told if told.count(name) > 1]:
            raise TrifacetError(f"two rules are called {twice[0]!r}; give your own a name of its own")
        return found

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that are asked, in their order."""
        return tuple(
            rule
            for rule in self.every_rule
            if rule.name not in self.ignore
            and (not self.only or rule.name in self.only)
            and (rule.level == "error" or not self.errors_only)
            and (self.read is not None or not rule.reads)
        )


def _rule_set(name: str) -> tuple[Rule, ...]:
    if name in RULE_SETS:
        return RULE_SETS[name]
    if not is_extension(name, "rule"):
        raise TrifacetError(f"unknown rule set {name!r}; known are {', '.join(RULE_SETS)}")
    own = load_extension(name, "rule", (Rule, list, tuple))
    rules = (own,) if isinstance(own, Rule) else tuple(own)
    if strange := [one for one in rules if not isinstance(one, Rule)]:
        raise TrifacetError(f"rule {name!r} holds an object of type {type(strange[0]).__name__}; give it rules only")
    return rules


@dataclass(frozen=True)
class Told:
    """A finding with its place."""

    document: str
    alt: AltText
    finding: LintFinding


@dataclass
class LintCounts:
    """What was looked at and found. ``clean`` are the texts that were asked about and have no finding.

    ``columns`` are those of rows that the texts stand in.
    """

    files: int = 0
    texts: int = 0
    clean: int = 0
    decorative: int = 0
    templates: int = 0
    errors: int = 0
    warnings: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)
    pictures: PictureCounts = field(default_factory=PictureCounts)


def lint_documents(
    documents: Sequence[Document], settings: LintSettings, counts: LintCounts, on_problem: OnProblem
) -> Iterator[Told]:
    """The findings, document by document, each in the order of its texts and then of the rules.

    Args:
        documents: what to check.
        settings: what to ask.
        counts: is added to as the findings come.
        on_problem: called for every file, or row, that cannot be read; the others are checked all the same.
    """
    rules = settings.rules
    kept: dict[int, list[AltText]] = {}
    images: dict[int, int] = {}
    if any(rule.name == "same-text" for rule in rules):
        ignored: OnProblem = lambda problem: None  # noqa: E731 - told when the document is read again
        occurrences = _Occurrences()
        for number, document in enumerate(documents):
            texts = document.read(settings.columns, on_problem if document.is_page else ignored)
            if document.is_page:
                texts = iter(kept.setdefault(number, list(texts)))
            occurrences.add(texts, number)
        images = occurrences.counts(settings.max_images)
    pictures = Pictures(settings.read, counts.pictures, on_problem) if settings.read is not None else None
    for number, document in enumerate(documents):
        counts.files += 1
        for alt in kept.pop(number) if number in kept else document.read(settings.columns, on_problem):
            if alt.text is not None and len(alt.text) > MAX_TEXT:
                on_problem(_too_large(alt, document))
                continue
            count = images.get(key_of(alt.text or ""), 1) if images else 1
            read = partial(pictures.lettering, alt, document) if pictures is not None else None
            found = list(asked(alt, settings, rules, count, read))
            _count(alt, found, counts)
            yield from (Told(document.name, alt, finding) for finding in found)


def asked(
    alt: AltText,
    settings: LintSettings,
    rules: Sequence[Rule],
    images: int,
    read: Callable[[], Lettering | None] | None,
) -> Iterator[LintFinding]:
    """The findings of one text, which stands on so many ``images``; ``read`` reads what stands in its picture.

    The compatible rules know nothing of pages: an empty text is one to them.
    """
    compatible = settings.rule_set == "compat"
    if alt.unasked == "template" or (alt.unasked and (alt.text is None or not compatible)):
        return
    if alt.text is None or (alt.needed and not alt.text.strip()):
        if _MISSING in rules:
            yield LintFinding(_MISSING.name, _MISSING.level, _MISSING.message, _MISSING.cure, alt.needed)
        if alt.text is None or not compatible:
            return
    yield from lint_text(
        alt.text,
        context=alt.context,
        platform=settings.platform,
        max_chars=settings.max_chars,
        min_words=min(settings.min_words, 1) if alt.brief else settings.min_words,
        images=images,
        max_images=settings.max_images,
        rules=[rule for rule in rules if not (compatible and rule is _MISSING)],
        image=alt.image,
        lettering=read,
        limits=settings.limits,
    )


def _count(alt: AltText, found: Collection[LintFinding], counts: LintCounts) -> None:
    if not found and alt.unasked == "decorative":
        counts.decorative += 1
    elif not found and alt.unasked:
        counts.templates += 1
    else:
        counts.texts += 1
        counts.clean += not found
    counts.errors += sum(finding.level == "error" for finding in found)
    counts.warnings += sum(finding.level == "warning" for finding in found)
    counts.rules.update(finding.rule for finding in found)
    if alt.field:
        counts.columns[alt.field] += 1


class _Occurrences:
    """For each text its different images: one number, or a set from the second on. About 100 bytes a text."""

    def __init__(self) -> None:
        self.images: dict[int, int | set[int]] = {}

    def add(self, texts: Iterable[AltText], document: int) -> None:
        """Note the images of a document's texts."""
        for place, alt in enumerate(texts):
            key = key_of(alt.text or "")
            if not key or alt.unasked:
                continue
            image = hash(alt.image) if alt.image else hash((document, place))
            known = self.images.setdefault(key, image)
            if isinstance(known, set):
                known.add(image)
            elif known != image:
                self.images[key] = {known, image}

    def counts(self, most: int) -> dict[int, int]:
        """The texts that more than ``most`` images have, with their number."""
        sizes = {key: len(images) if isinstance(images, set) else 1 for key, images in self.images.items()}
        return {key: size for key, size in sizes.items() if size > most}


def key_of(text: str) -> int:
    """The same for texts that differ in case, punctuation and blanks only; 0 for one without words."""
    spoken = words(text[:MAX_TEXT])
    return hash(" ".join(spoken)) if spoken else 0


def _too_large(alt: AltText, document: Document) -> DataError:
    where = alt.line or alt.row
    return DataError(
        f"a text of {len(alt.text or '')} characters", fix="is this the right column?", file=document.name, row=where
    )
