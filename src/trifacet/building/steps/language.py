"""Rows in other languages than wanted leave the build, and the language of the others is noted (scripts, then lingua).

Invariant: links, mentions, hashtags and emoji have no say in it, nor have names alone; a text of which the language is
not certain is never a reason to drop its row unless the recipe says so.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Annotated, Any, Literal

import regex
from pydantic import Field, StringConstraints, model_validator

from trifacet.base.errors import TrifacetError
from trifacet.base.extras import needed_for
from trifacet.building.rows import RowBatch
from trifacet.building.step import MapStep, Tools
from trifacet.lint.patterns import words_only
from trifacet.settings.section import Section

Code = Annotated[str, StringConstraints(pattern="^[a-z]{2}$")]
# Those that most posts are written in. Each further one in Latin letters costs time on each English text; a language
# that is not among them is taken for its nearest kin (Afrikaans for Dutch), hardly ever for English.
COMMON: tuple[Code, ...] = (
    *("en", "es", "pt", "fr", "de", "it", "nl", "sv", "da", "fi", "pl", "cs", "hu", "tr", "id", "tl", "vi", "ro"),
    *("ar", "bn", "el", "fa", "he", "hi", "ja", "ko", "ru", "ta", "th", "uk", "ur", "zh"),
)
# Languages by script; one that is not here is written in Latin letters. The first of a script stands for it where
# lingua says nothing: its texts may be short, or of a language that it does not know.
_SCRIPTS: dict[str, tuple[str, ...]] = {
    "Cyrillic": ("ru", "uk", "be", "bg", "mk", "sr", "kk", "mn", "ky", "tg"),
    "Arabic": ("ar", "fa", "ur", "ps", "ug", "sd"),
    "Devanagari": ("hi", "mr", "ne", "sa"),
    "Han": ("zh", "ja"),
    "Hiragana": ("ja",),
    "Katakana": ("ja",),
    "Hangul": ("ko",),
    **{"Hebrew": ("he", "yi"), "Greek": ("el",), "Armenian": ("hy",), "Georgian": ("ka",), "Thai": ("th",)},
    **{"Bengali": ("bn", "as"), "Gujarati": ("gu",), "Gurmukhi": ("pa",), "Tamil": ("ta",), "Telugu": ("te",)},
    **{"Kannada": ("kn",), "Malayalam": ("ml",), "Oriya": ("or",), "Sinhala": ("si",), "Khmer": ("km",)},
    **{"Lao": ("lo",), "Myanmar": ("my",), "Tibetan": ("bo",), "Ethiopic": ("am", "ti"), "Thaana": ("dv",)},
}
_SCRIPT = regex.compile("|".join(rf"(?P<{name}>\p{{{name}}}+)" for name in _SCRIPTS))
_FEWEST = 3  # letters of another script that are a text in another language, by themselves
_FEWEST_PLAIN = 6  # letters outside of names that say something
_NAMED = regex.compile(r"\b\p{Lu}[\w'’-]*")  # names, and what else begins with a capital letter
_DENSE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")  # a letter says as much as four others
_READ = 150  # characters looked at: more does not change the verdict, and huge posts would cost without end


class Parameters(Section):
    """Which languages stay, and how sure one has to be."""

    keep: list[Code] = Field(["en"], min_length=1, description="languages that stay (ISO 639-1)")
    fields: list[Literal["context", "alt"]] = Field(
        ["context", "alt"], min_length=1, description="texts to look at, each by itself"
    )
    among: list[Code] | Literal["all"] = Field(
        list(COMMON), description="languages to tell apart; 'all' are lingua's 75: three times slower"
    )
    min_letters: int = Field(20, ge=1, le=100_000, description="a text with fewer letters is undetermined")
    confidence: float = Field(0.5, ge=0, le=1, description="a language less probable than this is undetermined")
    undetermined: Literal["keep", "drop"] = Field("keep", description="a row of which no text's language is certain")
    accuracy: Literal["low", "high", "both"] = Field(
        "both",
        description="lingua's fast mode, its exact one, or the exact one where the fast one would not keep a text",
    )

    @model_validator(mode="after")
    def _known(self) -> Parameters:
        missing = [code for code in self.keep if self.among != "all" and code not in self.among]
        if missing:
            raise ValueError(f"keep: {missing[0]!r} is not in 'among'; add it there")
        if self.among != "all" and len(set(self.among)) < 2:
            raise ValueError("among: one language cannot be told from others; name two at least")
        return self


def apply(batch: RowBatch, parameters: Parameters, tools: Tools) -> None:
    """Fill ``language`` (of the last of the fields that has one), and drop rows with a text in another language."""
    columns = {field: batch.column(field) for field in parameters.fields}
    languages: list[str | None] = [None] * len(batch)
    for place in range(len(batch)):
        for field, texts in columns.items():
            code, confidence = detect(texts[place], parameters)
            if code is None:
                continue
            languages[place] = code
            if code not in parameters.keep:
                found = {"language": code, "confidence": confidence}
                batch.drop(place, "another language", field=field, before=texts[place], **found)
                break
        if languages[place] is None and parameters.undetermined == "drop":
            batch.drop(place, "language not certain", **{field: texts[place] for field, texts in columns.items()})
    batch.fill("language", languages)


def detect(text: str, parameters: Parameters) -> tuple[str | None, float]:
    """The language of a text, None where it is not certain, and how probable it is among the languages asked about."""
    bare = words_only(text[: 4 * _READ])[:_READ]  # room for links that are taken out
    foreign = _foreign_script(bare, parameters.keep)
    code, confidence = None, 0.0
    if _letters(bare) >= parameters.min_letters:
        code, confidence = _likeliest(bare, parameters)
        if foreign is None and code not in (None, *parameters.keep) and not _without_names(bare, parameters):
            return None, confidence
    if foreign is not None and code not in _SCRIPTS[foreign]:
        return _SCRIPTS[foreign][0], 1.0
    return code, confidence


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text)) + 3 * len(_DENSE.findall(text))


def _foreign_script(text: str, keep: list[Code]) -> str | None:
    """The script of most of the text's letters, where no language that stays is written in it."""
    found: Counter[str] = Counter()
    for one in _SCRIPT.finditer(text):
        found[str(one.lastgroup)] += _letters(one[0])
    own = {name for name, codes in _SCRIPTS.items() if not set(codes).isdisjoint(keep)}
    foreign = {name: count for name, count in found.items() if name not in own}
    amount = sum(foreign.values())
    if amount < _FEWEST or 2 * amount <= _letters(text):
        return None
    return "Hiragana" if {"Hiragana", "Katakana"} & foreign.keys() else max(foreign, key=lambda name: foreign[name])


def _without_names(text: str, parameters: Parameters) -> bool:
    """Whether a text is in a language that does not stay even if its names are left out."""
    rest = text.lower() if text.upper() == text else _NAMED.sub(" ", text)
    if sum(map(str.isalpha, rest)) < _FEWEST_PLAIN:
        return False
    code, _ = _likeliest(rest, parameters)
    return code is not None and code not in parameters.keep


def _likeliest(text: str, parameters: Parameters) -> tuple[str | None, float]:
    """What lingua says."""
    among: tuple[str, ...] = () if parameters.among == "all" else tuple(parameters.among)
    code, confidence = "", 0.0
    for accuracy in ("low", "high") if parameters.accuracy == "both" else (parameters.accuracy,):
        best = _detector(among, accuracy).compute_language_confidence_values(text)[0]
        code, confidence = best.language.iso_code_639_1.name.lower(), round(best.value, 4)  # beyond is noise of a sum
        if code in parameters.keep and confidence >= parameters.confidence:
            break  # the fast mode calls English texts foreign, but hardly ever the other way round
    return (code if confidence >= parameters.confidence else None), confidence


@lru_cache(maxsize=4)
def _detector(among: tuple[str, ...], accuracy: str) -> Any:
    """One detector a process: its tables are large, and loaded as they are needed."""
    with needed_for("step 'language'"):
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    if not among:
        builder = LanguageDetectorBuilder.from_all_languages()
    else:
        unknown = [code for code in among if not hasattr(IsoCode639_1, code.upper())]
        if unknown:
            raise TrifacetError(f"step 'language': lingua does not know the language {unknown[0]!r}; leave it out")
        codes = [getattr(IsoCode639_1, code.upper()) for code in dict.fromkeys(among)]
        builder = LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
    return (builder.with_low_accuracy_mode() if accuracy == "low" else builder).build()


STEP = MapStep("language", Parameters, apply, packages=("lingua",))
