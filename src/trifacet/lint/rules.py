"""Our rules about alt-texts. Errors: there is no description, or it cannot be published. Warnings: it may be poor.

Invariant: each rule's example breaks that rule and no other. Rules that know words know English ones; on other
languages they find less, never more. Each is documented with its example in docs/lint.md.
"""

from __future__ import annotations

from collections.abc import Callable

import regex

from trifacet.lint.endings import cut_off, ends_with_image, starts_with_image
from trifacet.lint.file_names import file_name
from trifacet.lint.lettering import LETTERING_RULES
from trifacet.lint.patterns import HASHTAGS, URL, is_empty
from trifacet.lint.repeats import repeats_itself, repeats_post
from trifacet.lint.rule import PLATFORMS, UNSPACED, Case, Rule, matching

_NO_TEXTS = (
    "image|images|picture|pictures|photo|photos|photograph|pic|graphic|graphics|img|icon|logo|banner|thumbnail|gif|video|"
    "screenshot|snapshot|spacer|blank|placeholder|untitled|unnamed|alt|alttext|alt-text|caption|description|text|none|"
    "null|nil|nan|undefined|na|n/a|tbd|tba|todo|test|testing|xxx|asdf|decorative|"
    "alt text|alternative text|alt text here|your alt text here|insert alt text|insert alt text here|add alt text|"
    "add alt text here|no alt text|no alt text provided|image alt text|image description|description of image|"
    "description of the image|add a description|no description|no description available|write a caption|no caption|"
    "image here|no image|image not available|image coming soon|photo coming soon|default image|header image|"
    "profile picture|profile photo|cover photo|cover image|featured image|main image|product image|stock photo|"
    "hero|hero image|background|background image|placeholder image|image placeholder|spacer image|spacer gif|"
    "blank image|tracking pixel|pixel|transparent|untitled design|alt text goes here|enter alt text|"
    "object object|screen shot"
)
_PLACEHOLDERS = frozenset(_NO_TEXTS.split("|"))
_QUOTED = regex.compile(r"\"[^\"]*+\"|“[^”]*+”|„[^“”]*+[“”]|«[^»]*+»")  # what is written in the picture
# "The Booking.com office", "a poster with the address example.com": not an address to follow.
_NAMED_SITE = regex.compile(
    r"\b(?:\p{Lu}[\w-]*+\.(?:com|org|net)(?= \p{Ll})|(?:address|domain|website|site|url|reads|says):? [\w.-]++(?!/))"
)
_MARKUP = regex.compile(
    r"</?[a-zA-Z][a-zA-Z0-9]*+(?:\s[^<>]*+)?/?>|&(?:[a-zA-Z]{2,12}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});"  # HTML
    r"|\[[^\[\]]++\]\([^()\s]++\)|\*\*(?=\S)[^*]++\*\*|(?<!\w)__(?=\S)[^_]++__(?!\w)|`[^`]++`|^#{1,6} \S"  # Markdown
    r"|\[/?(?:b|i|u|img|url|quote|code)\]"  # forums
)
_BOILERPLATE = regex.compile(
    # answers of assistants
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b|\bi(?:['’]m| am) (?:just )?an ai\b"
    r"|\bi(?:['’]m| am) (?:sorry, (?:but )?(?:i|as|this)|unable to (?:see|view|assist|help|provide|describe))\b"
    r"|\bi (?:can ?not|can['’]t) (?:see|view|assist|help|provide|describe|identify|process|access)"
    r" (?:with|the|this|that|an?|any|images?|people)\b|^(?:sure|certainly|of course)[,!.] here\b"
    r"|^here(?:['’]s| is| are) (?:an?|the|your|some) [\w -]{0,40}(?:alt|description|caption)"
    # captions made by platforms and office programs
    r"|\bmay be an? [\w -]{0,40}(?:image|graphic|illustration|cartoon|doodle|meme|(?:close-?up|photo|picture) of)\b"
    r"|\b(?:image|photo) may contain\b|\bno photo description available\b|\bno alternative text description\b"
    r"|\bauto(?:matically |matic |-)generated (?:alt|description|caption)|\bdescription automatically generated\b"
    # what pages hold everywhere
    r"|\blorem ipsum\b|\b(?:click|tap) (?:here\b|to (?:enlarge|view|zoom|see more)\b)|\blink in (?:my )?bio\b",
    regex.IGNORECASE,
)


_NAME = regex.compile(r"\p{Lu}[\w'’.-]*+(?:[ :,]++\p{Lu}[\w'’-]*+)++")  # "Mona Lisa", "Vitamin A" need no third word


def _written(pattern: regex.Pattern[str]) -> Callable[[Case], str | None]:
    """A rule that looks for a pattern outside of quotes: in them stands what the picture shows."""

    def find(case: Case) -> str | None:
        found = pattern.search(_NAMED_SITE.sub("", _QUOTED.sub(" ", case.plain)))
        return found.group()[:80] if found else None

    return find


def _missing(case: Case) -> str | None:
    return "" if is_empty(case.text) else None


def _placeholder(case: Case) -> str | None:
    bare = case.plain.casefold().strip(" .,:;!?\"'“”()[]{}<>-_*#")
    if case.words and bare not in _PLACEHOLDERS:
        return None
    seen = regex.search(r"\p{Extended_Pictographic}|\p{Regional_Indicator}", case.plain)  # an emoji has a name
    return None if not case.words and seen else case.plain[:80]


def _over_limit(case: Case) -> str | None:
    limit = PLATFORMS[case.platform] if case.platform else None
    if limit is None or (length := case.characters()) <= limit:
        return None
    return f"{length} of at most {limit}"


def _all_capitals(case: Case) -> str | None:
    cased = [letter for letter in case.plain if letter.lower() != letter.upper()]
    high = sum(map(str.isupper, cased))
    return "" if len(case.words) >= 3 and len(cased) >= 10 and high >= 0.9 * len(cased) else None


def _very_short(case: Case) -> str | None:
    if UNSPACED.search(case.plain):
        length = len(UNSPACED.findall(case.plain))
        least = 2 * case.min_words  # a word has about two
        return f"{length} of at least {least} characters" if length < least else None
    count = sum(1 + word.count("-") for word in case.words)
    named = _NAME.fullmatch(case.plain) and not case.plain.isupper()
    return f"{count} of at least {case.min_words} words" if count < case.min_words and not named else None


def _too_long(case: Case) -> str | None:
    length = case.characters()
    return f"{length} of at most {case.max_chars}" if case.max_chars is not None and length > case.max_chars else None


def _same_text(case: Case) -> str | None:
    return f"{case.images} images" if case.images > case.max_images else None


RULES: tuple[Rule, ...] = (
    Rule(
        "missing",
        "error",
        "no alt-text",
        "describe the image",
        " ",
        _missing,
        last=True,
        detail="nothing that can be seen: empty, white space, control and format characters",
    ),
    Rule(
        "file-name",
        "error",
        "a file name instead of a text",
        "describe the image",
        "IMG_2043.JPG",
        file_name,
        last=True,
        detail=(
            "a path or up to five words that end like an image file, the image's own file name, the names that "
            "cameras, phones, programs and sites give, three words joined by underscores, a checksum"
        ),
    ),
    Rule(
        "placeholder",
        "error",
        "a placeholder instead of a text",
        "describe the image, or mark it as decorative where it is",
        "Image",
        _placeholder,
        last=True,
        detail=(
            'a word or phrase that stands for a text ("photo", "spacer", "alt text here", "no '
            'description available"), or punctuation only'
        ),
    ),
    Rule(
        "over-limit",
        "error",
        "longer than the platform takes",
        "shorten it, or put the rest into the post",
        "A long row of boats, "
        + ", ".join(f"number {place} painted in a colour of its own" for place in range(1, 13))
        + ".",
        _over_limit,
        given={"platform": "pinterest"},
        detail="longer than the platform takes",
    ),
    Rule(
        "starts-with-image-of",
        "warning",
        "starts with 'image of' or the like",
        "leave that out: readers know that it is an image",
        "Image of a dog jumping through a hoop.",
        starts_with_image,
        detail=(
            '"image of", "a photo showing", "this is a picture of", "in this image", and labels such as '
            '"Alt text:". Not "a black and white photo of": that says something'
        ),
    ),
    Rule(
        "ends-with-image",
        "warning",
        "ends with 'image' or the like",
        "leave that out: readers know that it is an image",
        "Red bicycle by a wall photo",
        ends_with_image,
        detail='"... photo". Not "posing for a photo": there it is what the image shows',
    ),
    Rule(
        "repeats-post",
        "warning",
        "repeats the post",
        "say what the image shows and the post does not",
        "Our summer sale starts today!",
        repeats_post,
        given={"context": "Our summer sale starts today! https://example.com"},
        detail=(
            "the post's words, but for case, punctuation, links and #; or four words and more of which "
            "one text holds the other as it stands"
        ),
    ),
    Rule(
        "repeats-itself",
        "warning",
        "says the same again and again",
        "say it once",
        "A red bus, a red bus, a red bus, a red bus.",
        repeats_itself,
        detail="one word four times in a row, or two words and more three times; not numbers",
    ),
    Rule(
        "markup",
        "warning",
        "markup",
        "use plain text: markup is read aloud",
        "A <b>red</b> bicycle by a wall.",
        matching(_MARKUP),
        detail="HTML tags and entities, Markdown links and emphasis, forum codes",
    ),
    Rule(
        "url",
        "warning",
        "a link",
        "put it into the post",
        "A poster, see https://example.com/fair",
        _written(URL),
        detail="a link, with or without https://; not in quotes",
    ),
    Rule(
        "hashtags",
        "warning",
        "hashtags",
        "put them into the post",
        "A red bicycle by a wall. #cycling #paris",
        _written(HASHTAGS),
        detail="hashtags in any script; not #1, C#, &#39;, #ff8800, a link's fragment, or in quotes",
    ),
    Rule(
        "all-capitals",
        "warning",
        "all in capitals",
        "write it in sentence case: capitals may be spelled out",
        "A RED BICYCLE BY A WALL",
        _all_capitals,
        detail="three words and ten letters or more, nine in ten of them capitals",
    ),
    Rule(
        "very-short",
        "warning",
        "very short",
        "say what matters in the image",
        "A bicycle.",
        _very_short,
        detail=(
            "fewer than min_words words (3); in scripts without spaces two characters count as a word. A name "
            "of two words in capitals is enough"
        ),
    ),
    Rule(
        "too-long",
        "warning",
        "longer than asked for",
        "shorten it: the most important things first",
        "A red bicycle with a basket full of yellow flowers leans against a wall of white bricks, under a green window "
        "with two pots on its sill.",
        _too_long,
        given={"max_chars": 125},
        detail="longer than max_chars",
    ),
    Rule(
        "same-text",
        "warning",
        "the same text on many images",
        "say what tells this image from the others",
        "Handmade ring from our new collection.",
        _same_text,
        given={"images": 5},
        detail="more than max_images (4) different images have it",
    ),
    Rule(
        "boilerplate",
        "warning",
        "words that a program or a page puts everywhere",
        "describe this image",
        "As an AI I think that a dog is on a beach.",
        matching(_BOILERPLATE),
        detail=(
            'what assistants say of themselves, captions that platforms and office programs make ("May '
            'be an image of ..."), "click to enlarge", "link in bio"'
        ),
    ),
    Rule(
        "cut-off",
        "warning",
        "stops in the middle of a sentence",
        "end it",
        "A dog runs along the",
        cut_off,
        detail=(
            'ends with a word that cannot end a description ("the", "of", "and", "wearing"), a comma, a '
            "dash, an open bracket, or dots behind 40 characters; not 'what it is made of'"
        ),
    ),
    *LETTERING_RULES,
)
