"""Our rules about alt-texts. Errors: there is no description, or it cannot be published. Warnings: it may be poor.

Invariant: each rule's example breaks that rule and no other. Rules that know words know English ones; on other
languages they find less, never more. Each is documented with its example in docs/lint.md.
"""

from __future__ import annotations

import re

import regex

from trifacet.lint.endings import PICTURE, cut_off, ends_with_image
from trifacet.lint.patterns import HASHTAGS, URL, is_empty
from trifacet.lint.rule import PLATFORMS, Case, Rule, matching

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
_SUFFIX = r"\.(?i:jpe?g|jfif|png|gif|webp|svg|bmp|tiff?|heic|heif|avif|ico|mp4|mov)"
_FILE = regex.compile(
    rf"\S++(?<={_SUFFIX})"  # one word that ends so, a path too
    rf"|(?:\S++ ){{1,4}}+\S++(?<={_SUFFIX})"  # a few: "my cat 2.jpg"
    r"|(?:IMG|DSCF?|DSCN|DCIM|PXL|PICT|GOPR|MVIMG|VID|FB_IMG|image|photo|picture|screenshot)[-_ ()]*+\d[\d_. ()-]*+"
    r"|(?:IMG|VID)[-_]\d{8}[-_]WA\d+|untitled[-_ ]\d+|(?=\S*[^\W_]_[^\W_]+_[^\W_])[\w-]++"  # joined by underscores
    r"|(?:shutterstock|i-?stock(?:photo)?|adobestock|depositphotos|gettyimages|dreamstime|pexels-photo)[-_]\d{4,}+"
    r"|P\d{5,}+|(?:signal-|received_)?\d{6,}+[\d_-]*+(?:_[a-z])?"  # as cameras, phones and sites name them
    r"|(?:WhatsApp Image|Screen ?Shot|Bildschirmfoto|Capture d’écran) \d{4}-\d\d-\d\d\b[\w .:()-]{0,40}+"
    r"|(?=[a-f]*+\d)(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    regex.IGNORECASE,
)
_STARTS = regex.compile(
    rf"(?:(?:this|here|it|that)(?: is|['’]s) )?(?:an? |the )?{PICTURE}s? (?:of|showing|shows|that shows|depicting|"
    rf"depicts|features|featuring|captures|showcases|displays)\b|in (?:this|the) {PICTURE}\b"
    r"|(?:alt|alt[- ]?text|(?:image |photo )?description|image|photo|caption|id) ?:",
    regex.IGNORECASE,
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
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)  # words without spaces


def _missing(case: Case) -> str | None:
    return "" if is_empty(case.text) else None


def _file_name(case: Case) -> str | None:
    name = case.plain.strip("\"'“”()[]<>")
    if len(name) >= 4096:
        return None
    stem = re.split(r"[?#]", case.image, maxsplit=1)[0].rpartition("/")[2].rpartition(".")[0]
    is_stem = name.casefold() == stem.casefold() and "_" in name  # one word may be a file's name and a description
    return name[:80] if is_stem or _FILE.fullmatch(name) else None


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


def _repeats_post(case: Case) -> str | None:
    """The same words, or one within the other: four words at least, and most of the alt-text."""
    own, post = case.words, case.post
    if not own or not post:
        return None
    if own == post:
        return ""
    within = f" {' '.join(own)} " in f" {' '.join(post)} "
    around = len(post) >= 0.8 * len(own) and f" {' '.join(post)} " in f" {' '.join(own)} "
    return "" if min(len(own), len(post)) >= 4 and (within or around) else None


def _all_capitals(case: Case) -> str | None:
    cased = [letter for letter in case.plain if letter.lower() != letter.upper()]
    high = sum(map(str.isupper, cased))
    return "" if len(case.words) >= 3 and len(cased) >= 10 and high >= 0.9 * len(cased) else None


def _very_short(case: Case) -> str | None:
    if _UNSPACED.search(case.plain):
        length = len(_UNSPACED.findall(case.plain))
        return f"{length} characters" if length < 2 * case.min_words else None  # a word has about two
    return f"{len(case.words)} of at least {case.min_words} words" if len(case.words) < case.min_words else None


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
        _file_name,
        last=True,
        detail=(
            "a path or up to five words that end like an image file, the names that cameras, phones and "
            "sites give, three words joined by underscores, a checksum"
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
        "A long row of boats, " * 25 + "seen from a bridge.",
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
        lambda case: found.group() if (found := _STARTS.match(case.plain)) else None,
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
        _repeats_post,
        given={"context": "Our summer sale starts today! https://example.com"},
        detail=(
            "the post's words, but for case, punctuation, links and #; or four words and more of which "
            "one text holds the other as it stands"
        ),
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
        matching(URL),
        detail="a link, with or without https://",
    ),
    Rule(
        "hashtags",
        "warning",
        "hashtags",
        "put them into the post",
        "A red bicycle by a wall. #cycling #paris",
        matching(HASHTAGS),
        detail="hashtags in any script; not #1, C#, &#39;, #ff8800 or a link's fragment",
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
        detail="fewer than min_words words (3); in scripts without spaces two characters count as a word",
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
            "dash, an open bracket, or dots"
        ),
    ),
)
