"""Rules about the words that stand in the picture: left out, invented, or said beside it already.

Invariant: a rule asks for what was read in the picture only where what it finds could hang on it, since reading takes
seconds; where nothing is known of the picture, or its letters cannot be read, no rule finds anything.
Source: the alt decision tree of W3C's Web Accessibility Initiative, which asks about words in the image first.
"""

from __future__ import annotations

from trifacet.base.words import visible_line
from trifacet.lettering.claims import checked, claimed
from trifacet.lettering.lines import Lettering, Line, line_of
from trifacet.lettering.matching import asked_words, left_out, scripts
from trifacet.lettering.prominent import is_page, prominent
from trifacet.lint.rule import Case, Rule

_MOST_TOLD = 8  # words that a finding names
_LONGEST_TOLD = 120  # characters


EXAMPLE_SIGN = Lettering(
    size=(600, 400),
    lines=(Line(text="BOOK FAIR", box=(50, 50, 550, 130)), Line(text="Saturday 9 May", box=(50, 150, 550, 210))),
)


def _left_out(case: Case) -> str | None:
    lettering = case.lettering
    if lettering is None or lettering.status != "read":
        return None
    own = scripts(case.text)
    lines = [line for line in prominent(lettering, case.limits.prominence) if scripts(line.text) <= own]
    asked, lacking = asked_words(lines), left_out(lines, case.text, case.context or "")
    if not asked or len(asked) - len(lacking) >= case.limits.least_told * len(asked):
        return None
    page = "a page of text, of its title or beginning: " if is_page(lettering, case.limits.prominence) else ""
    return page + _named(lacking)


def _invented(case: Case) -> str | None:
    if not claimed(case.text) or case.lettering is None:
        return None
    found = checked(case.lettering, case.text, case.context or "")
    lacking = dict.fromkeys(word for one in found for word in one.missing)
    return _named(tuple(lacking)) if lacking else None


def _repeated(case: Case) -> str | None:
    """The picture's words are asked for last, since it takes seconds to read them."""
    if case.read is None or not case.context:
        return None
    said = [line_of(case.plain)]
    words = asked_words(said)
    elsewhere = set(left_out(said, case.context))
    beside = [word for word in words if word not in elsewhere]
    least = max(case.limits.most_repeated * len(words), 2)
    if len(beside) < least or case.lettering is None or case.lettering.status != "read":
        return None
    elsewhere = set(left_out([line_of(" ".join(beside))], case.lettering.text))
    in_picture = [word for word in beside if word not in elsewhere]
    return _named(in_picture) if len(in_picture) >= least else None


def _named(words: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(words) - _MOST_TOLD} more" if len(words) > _MOST_TOLD else ""
    told = visible_line(" ".join(words[:_MOST_TOLD]))
    return (f"{told[:_LONGEST_TOLD]}…" if len(told) > _LONGEST_TOLD else told) + more


LETTERING_RULES: tuple[Rule, ...] = (
    Rule(
        "lettering-left-out",
        "warning",
        "leaves out words that stand in the picture",
        "say them; of a page of text its title, and give the text beside it or in a long description",
        "A poster with a tree on a yellow ground.",
        _left_out,
        given={"lettering": EXAMPLE_SIGN},
        detail=(
            "fewer than half of the picture's prominent words stand in the text or beside it; of a page of text only "
            "its title's. Not asked for: small print, addresses, handles, credits, watermarks, walls of hashtags"
        ),
        reads=True,
    ),
    Rule(
        "lettering-invented",
        "warning",
        "says that words stand in the picture that do not",
        "quote what is written there, or leave the quotation out",
        'A poster that reads "Book Fair, Sunday 9 May".',
        _invented,
        given={"lettering": EXAMPLE_SIGN},
        detail=(
            'words in quotation marks, or behind "reads", "says", "titled", "with the words", or in capitals, that '
            "are nowhere in the picture, but for errors of reading"
        ),
        reads=True,
    ),
    Rule(
        "lettering-repeated",
        "warning",
        "says the picture's words, which stand beside it already",
        'leave them out; where the picture shows nothing else, alt="" is right',
        "Book fair poster, Saturday 9 May",
        _repeated,
        given={
            "lettering": EXAMPLE_SIGN,
            "context": "Our poster is ready, come to the book fair! It opens on Saturday, the 9 of May.",
        },
        detail="four of five words of the text stand both in the picture and beside it",
        reads=True,
    ),
)
