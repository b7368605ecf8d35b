"""The rules as a metric: the share of texts that they find no fault with.

Invariant: a text counts as it does in ``trifacet lint``: one image per id, and the same text on many of them is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from trifacet.lint.check import lint_text
from trifacet.lint.linting import key_of
from trifacet.statistics.measures import Measure, share_measure

CLEAN, NO_ERROR = LINT = ("lint_clean", "lint_no_error")


def clean_measures(
    texts: Mapping[str, str],
    contexts: Mapping[str, str] | None = None,
    *,
    platform: str | None = None,
    max_chars: int | None = None,
    min_words: int = 3,
    max_images: int = 4,
    ignore: Collection[str] = (),
) -> list[Measure]:
    """``lint_clean`` and ``lint_no_error``: 100 x the share of texts without a finding, and without an error.

    Args:
        texts: the text of each sample, by id.
        contexts: the post of each sample, for "repeats the post"; ids that are missing have none.
        platform: as the others, see ``lint_text``.
        max_chars: see ``platform``.
        min_words: see ``platform``.
        max_images: more samples than these with one text are "the same text on many images".
        ignore: names of rules not to ask.

    Raises:
        TrifacetError: an unknown platform or rule.
    """
    often = Counter(key for text in texts.values() if (key := key_of(text)))
    clean, sound = [], []
    for name, text in texts.items():
        findings = lint_text(
            text,
            context=(contexts or {}).get(name),
            platform=platform,
            max_chars=max_chars,
            min_words=min_words,
            images=often.get(key_of(text), 1),
            max_images=max_images,
            ignore=ignore,
        )
        clean.append(float(not findings))
        sound.append(float(all(finding.level != "error" for finding in findings)))
    ones = [1.0] * len(texts)
    return [
        share_measure(CLEAN, list(texts), clean, ones),
        share_measure(NO_ERROR, list(texts), sound, ones),
    ]
