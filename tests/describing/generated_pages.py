"""Pages drawn at random, with pictures in every way that the formats have, and texts that are hard to write.

The same number gives the same page. Texts of pictures are written as ``edited`` writes them, so that the old text put
back gives the old bytes.
"""

import random

from trifacet.describing.formats.markdown import escaped as in_markdown
from trifacet.describing.tags import escaped as in_html

PIECES = (
    "boat", "Tom & Jerry", '"quoted"', "it's", "<b>", "-->", "</script>", "&amp;", "&lt;", "a|b", "[x](y)", "![z]",
    "*bold*", "_it_", "`code`", "\\", "#1", "$5", "Straße", "日本語", "🐈", "é", "~~s~~", "]]>", "<!--", "'''",
    "a\\|b", ":alt:", "..", "1.", "- x", "> q",
)  # fmt: skip
TEMPLATES = ("{{ x }}", "{% end %}", "<?php ?>", "<%= a %>", "${x}", "%title%", "@Model.X")
BLANKS = ("\n", " ", "\n\n", "\t", "  ")
ENDS = ("\n", "\r\n", "\r")
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252", "koi8-r", "shift_jis", "iso2022_jp")


def text(rng: random.Random, lines: bool = True, templates: bool = True) -> str:
    """A text for a picture; its blanks are single ones, but for lines."""
    words = rng.sample(PIECES + TEMPLATES * templates, rng.randint(1, 4))
    return ("\n" if lines and rng.random() < 0.1 else " ").join(words)


def html_page(rng: random.Random) -> bytes:
    """A page in one of the encodings, with one of the ends of lines."""
    encoding = rng.choice(ENCODINGS)
    label = {"utf-8-sig": "utf-8", "utf-16": "utf-8", "cp1252": "windows-1252"}.get(encoding, encoding).replace(
        "2022_", "2022-"
    )
    parts = [
        f"<!DOCTYPE html>\n<html lang=en><head><meta charset={label.replace('iso2022', 'iso-2022')}><title>T</title>"
    ]
    parts += [_html_part(rng) for _ in range(rng.randint(1, 12))]
    page = "".join(part + rng.choice(BLANKS) for part in parts).replace("\n", rng.choice(ENDS))
    return page.encode(encoding, "xmlcharrefreplace")


def _html_part(rng: random.Random) -> str:
    return rng.choice((_tag, _tag, _tag, _link, _figure, _other))(rng)


def _tag(rng: random.Random, more: str = "") -> str:
    """An image; ``more`` as in Markdown, where texts have one line."""
    quote = rng.choice("\"'")
    name = rng.choice(("img", "IMG", "Img"))
    attributes = [f"src={quote}a{rng.randint(0, 9)}.png{quote}"]
    attributes += rng.sample(["width=3", "class='a b'", "data-x", 'title=""', "loading = lazy"], rng.randint(0, 3))
    if rng.random() < 0.6:
        given = text(rng, lines=not more) if rng.random() < 0.8 else ""
        attributes.append(f"{rng.choice(('alt', 'ALT'))}={quote}{in_html(given, quote, more)}{quote}")
    rng.shuffle(attributes)
    return f"<{name} {rng.choice((' ', '  ', chr(10))).join(attributes)}{rng.choice(('>', ' >', ' />', ' / >'))}"


def _link(rng: random.Random) -> str:
    return f"<a href='/x'>{_tag(rng)}{rng.choice(('', ' words'))}</a>"


def _figure(rng: random.Random) -> str:
    return f"<figure>{_tag(rng)}<figcaption>A caption</figcaption></figure>"


def _other(rng: random.Random) -> str:
    return rng.choice(
        (
            "<!-- <img src=no.png> -->", "<script>'<img src=no.png>'</script>", "<p>words <b>and</b> more",
            '<svg role="img"><path d="M0"/></svg>', '<svg><title>t</title></svg>', "<h2>Heading</h2>",
            "<img src='{{ x }}' alt='b'>", "<?php echo '<img src=x>' ?>", "<div style='background:url(b.png)'></div>",
            "<input type=image src=go.png>", '<span role="img" aria-label="Three stars"></span>',
            "<textarea><img></textarea>", "<br>", "&lt;img&gt;",
            "<table><tr><td><img src=t.png></table>", "<picture><source srcset='a.webp 2x'><img></picture>",
        )
    )  # fmt: skip


def markdown_page(rng: random.Random) -> bytes:
    """A Markdown file."""
    parts = [_markdown_part(rng) for _ in range(rng.randint(1, 12))]
    front = rng.choice(
        ("", '---\ntitle: T\ncover:\n  image: c.png\n  alt: "x"\n---\n', '---\nimage: a.png\nimage_alt: "y"\n---\n')
    )
    page = front + "".join(f"{part}\n\n" for part in parts) + "[ref]: r.png\n"
    return page.replace("\n", rng.choice(ENDS)).encode(rng.choice(("utf-8", "utf-8-sig", "utf-16")))


def _markdown_part(rng: random.Random) -> str:
    image = f"![{in_markdown(text(rng, lines=False)) if rng.random() < 0.8 else ''}]"
    image += rng.choice(
        ("(a.png)", "(<a b.png> 'title')", "[ref]", "(a.png){width=3}", '(a.png){fig-alt="x"}', "(a.png){: alt='y'}")
    )
    return rng.choice(
        (
            image, image, f"words {image} and {image} more", f"> a quotation {image}\n> goes on",
            f"- item\n\n  {image}",
            f"[{image}](/x)", f"| a | b |\n|---|---|\n| {image} | x |", f"## {image}",
            "    ![code](no.png)", "```\n![code](no.png)\n```", "`![code](no.png)`",
            "<div>\n" + _tag(rng, "|`$").replace("\n", " ") + "\n</div>",
            f"Inline {_tag(rng, '|`$').replace(chr(10), ' ')} HTML.",
            "![ref]", "\\![no](no.png)", "<!-- ![no](no.png) -->",
        )
    )  # fmt: skip


def rst_page(rng: random.Random) -> bytes:
    """A file of reStructuredText."""
    page = "".join(f"{_rst_part(rng)}\n\n" for _ in range(rng.randint(1, 12)))
    return page.replace("\n", rng.choice(ENDS)).encode(rng.choice(("utf-8", "utf-8-sig", "utf-16")))


def _rst_part(rng: random.Random) -> str:
    indent = " " * rng.choice((2, 3, 4))
    options = [f"{indent}:width: 3", f"{indent}:align: left"][: rng.randint(0, 2)]
    if rng.random() < 0.6:
        options.insert(rng.randint(0, len(options)), f"{indent}:alt: {text(rng, False, False)}")
    name = rng.choice(("image", "figure", "|sub| image"))
    directive = "\n".join([f".. {name.replace('sub', f'sub{rng.randint(0, 9**9)}')}:: a.png", *options])
    if name == "figure":
        directive += f"\n\n{indent}A caption."
    return rng.choice(
        (
            directive, directive, "Title\n=====", "Words and\nmore.", "Code::\n\n    .. image:: no.png",
            ".. code-block:: rst\n\n   .. image:: no.png", ".. a comment\n   .. image:: no.png",
            ".. note::\n\n" + "\n".join("   " + line for line in directive.split("\n")), "- item\n- item",
        )
    )  # fmt: skip
