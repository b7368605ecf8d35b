"""Places of Markdown: its own images, attributes, front matter, and the HTML between."""

import time

import pytest

from trifacet.base.errors import DataError
from trifacet.describing.findings import is_missing
from trifacet.describing.formats.markdown import FORMAT
from trifacet.describing.place import Edit


def places(page, path="a.md"):
    return list(FORMAT.places(page.encode(), path))


def put(page, *alts, path="a.md"):
    """The page with these texts at its places that can be changed."""
    free = [place for place in places(page, path) if not place.fixed]
    edits = {place.key: Edit(alt) for place, alt in zip(free, alts, strict=True)}
    return FORMAT.edited(page.encode(), path, edits).decode()


# The page, and what it is with the text "A boat".
WRITTEN = {
    "![old](a.png)": "![A boat](a.png)",
    "![](a.png)": "![A boat](a.png)",
    '![old](<a b.png> "t")': '![A boat](<a b.png> "t")',
    "![old][r]\n\n[r]: a.png": "![A boat][r]\n\n[r]: a.png",
    "[![old](a.png)](/x)": "[![A boat](a.png)](/x)",
    "> ![o\n> ld](a.png)": "> ![A boat](a.png)",
    "- x\n\n  ![old](a.png)": "- x\n\n  ![A boat](a.png)",
    "| a |\n|---|\n| ![o\\|ld](a.png) |": "| a |\n|---|\n| ![A boat](a.png) |",
    '![cap](a.png){fig-alt="old" width=3}': '![cap](a.png){fig-alt="A boat" width=3}',
    "![cap](a.png){: .c alt='old'}": "![cap](a.png){: .c alt='A boat'}",
    "![cap](a.png){alt=old}": '![cap](a.png){alt="A boat"}',
    "![old](a.png){width=3}": "![A boat](a.png){width=3}",
    "![o *l* `d`](a.png)": "![A boat](a.png)",
    "Words <img src='a.png'> more": "Words <img alt=\"A boat\" src='a.png'> more",
    "<div>\n<img src='a.png' alt='old'/>\n</div>": "<div>\n<img src='a.png' alt='A boat'/>\n</div>",
    '---\ncover:\n  image: a.png\n  alt: "old" # c\n---\n': '---\ncover:\n  image: a.png\n  alt: "A boat" # c\n---\n',
    "---\ncover:\n  image: a.png # c\n---\n": '---\ncover:\n  alt: "A boat"\n  image: a.png # c\n---\n',
    "---\nimage: {path: a.png, alt: 'old'}\n---\n": "---\nimage: {path: a.png, alt: 'A boat'}\n---\n",
    "---\nimage: {path: a.png}\n---\n": '---\nimage: {alt: "A boat", path: a.png}\n---\n',
    "---\nhero:\n  image:\n    src: a.png\n    alt:\n---\n":
        '---\nhero:\n  image:\n    src: a.png\n    alt: "A boat"\n---\n',
    "---\nimage: a.png\nimage-alt: old text\n---\n": '---\nimage: a.png\nimage-alt: "A boat"\n---\n',
    "---\nheroImage: a.png\nheroImageAlt: old\n---\n": '---\nheroImage: a.png\nheroImageAlt: "A boat"\n---\n',
    "---\nheader:\n  image: a.png\n  image_description: x\n---\n":
        '---\nheader:\n  image: a.png\n  image_description: "A boat"\n---\n',
    '+++\n[cover]\nimage = "a.png"\nalt = "old"\n+++\n': '+++\n[cover]\nimage = "a.png"\nalt = "A boat"\n+++\n',
    "+++\n[cover]\n  image = 'a.png'\n+++\n": "+++\n[cover]\n  alt = \"A boat\"\n  image = 'a.png'\n+++\n",
}  # fmt: skip


@pytest.mark.parametrize("page", WRITTEN)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_only_the_text_changes(page, ends):
    page, wanted = page.replace("\n", ends), WRITTEN[page].replace("\n", ends)
    assert put(page, "A boat") == wanted
    assert put(wanted, "A boat") == wanted


@pytest.mark.parametrize(
    "page",
    [
        "`![x](a.png)`", "    ![x](a.png)", "```\n![x](a.png)\n```", "\\![x](a.png)", "![x](a b.png)", "![x][nowhere]",
        "<!-- ![x](a.png) -->", "---\ntitle: '![x](a.png)'\n---\n", "---\nimage: a.png\n---\n", "---\n: [\n---\n",
        "---\na: &a [*a]\n---\n", "[x](a.png)", "",
    ],
)  # fmt: skip
def test_what_is_no_image_is_no_place(page):
    assert places(page) == []


@pytest.mark.parametrize(
    ("written", "source", "address"),
    [
        ("(<my pic.png>)", "file", "my pic.png"),
        ("(my%20pic.png)", "file", "my pic.png"),
        ("(b%ff.png)", "file", "b%ff.png"),
        ("(日本.png)", "file", "日本.png"),
        ("(https://x.example/a%2Fb.png?c=%20)", "remote", "https://x.example/a%2Fb.png?c=%20"),
        ("(data:image/png;base64,AAAA)", "data", "data:image/png;base64,AAAA"),
        ("()", "none", ""),
    ],
)
def test_the_picture_of_an_image(written, source, address):
    (place,) = places(f"![x]{written}")
    assert (place.picture.source, place.picture.address) == (source, address)


def test_comments_of_mdx_and_only_of_mdx():
    page = "{/* ![x](a.png) */}\n\n![y](b.png)\n"
    assert [place.alt for place in places(page, "a.mdx")] == ["y"]
    assert [place.alt for place in places(page, "a.md")] == ["x", "y"]


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("![old]\n\n[old]: a.png", "name of its reference"),
        ("![old][]\n\n[old]: a.png", "name of its reference"),
        ("![{{ x }}](a.png)", "template"),
        ("![old]({{x}}/a.png)", "template"),
        ("<img src={logo} alt='x' />", "template"),
        ("<img src='a.png' alt={t(x)} />", "template"),
        ("---\ncover:\n  image: a.png\n  alt: |\n    x\n    y\n---\n", "several lines"),
        ("---\ncover:\n  image: a.png\n  alt: '{{ x }}'\n---\n", "template"),
    ],
)
def test_what_cannot_be_changed_is_listed_with_the_reason(page, why):
    (place,) = places(page)
    assert why in place.fixed
    with pytest.raises(DataError, match="can't be changed"):
        FORMAT.edited(page.encode(), "a.md", {place.key: Edit("A boat")})


def test_a_caption_of_quarto_stays_where_the_image_stands_alone():
    page = "![A caption](a.png)\n\nWords ![in them](b.png) end.\n\n![](c.png){width=3}\n"
    new = put(page, "one", "two", "three", path="a.qmd")
    assert new == (
        '![A caption](a.png){fig-alt="one"}\n\nWords ![two](b.png) end.\n\n![](c.png){fig-alt="three" width=3}\n'
    )
    assert [place.alt for place in places(new, "a.qmd")] == ["one", "two", "three"]
    assert places(new, "a.qmd")[0].around.caption == "A caption"


HOSTILE_TEXT = "a\"b'c<d>e&amp;f-->g](x)[h]i{{ 7 * 7 }}j{% x %}k|l`m`n*o*p_q_r\\s$t$ ~~u~~ #v\n\n> w"


@pytest.mark.parametrize("page", WRITTEN)
def test_a_hostile_text_is_a_text(page):
    new = put(page, HOSTILE_TEXT)
    free = [place for place in places(new) if not place.fixed]
    assert [place.alt for place in free] == [" ".join(HOSTILE_TEXT.split())]
    assert "{{" not in new
    assert "{%" not in new


PAGE = """---
title: Harbours
lang: nb
---
# North

## Bergen

Boats ![](a.png "T") lie here.

![](b.png)

They come from far.

[![](c.png) all](/all) and [![](d.png)](/one)

<p align="center"><img src="e.png"></p>

After.
"""


def test_context():
    a, b, c, d, e = places(PAGE)
    assert (a.around.before, a.around.after, a.around.title) == ("Boats", "lie here.", "T")
    assert (a.around.page, a.around.language) == ("Harbours", "nb")
    assert a.around.headings == e.around.headings == ("North", "Bergen")
    assert (b.around.before, b.around.after) == ("Boats lie here.", "They come from far.")
    assert (c.role, c.around.link, c.around.link_text) == ("decorative", "/all", "all")
    assert (d.role, d.around.link, d.around.link_text) == ("functional", "/one", "")
    assert (e.around.before, e.around.after) == ("all and", "After.")
    assert (e.around.page, e.around.language) == ("Harbours", "nb")
    assert all(map(is_missing, (a, b, c, d, e)))


def test_other_encodings():
    page = "é ![x](a.png)\r\n".encode("utf-16")
    (place,) = FORMAT.places(page, "a.md")
    new = FORMAT.edited(page, "a.md", {place.key: Edit("日本 🐈")})
    assert new == "é ![日本 🐈](a.png)\r\n".encode("utf-16")
    with pytest.raises(DataError, match="UTF-8"):
        list(FORMAT.places("é ![x](a.png)".encode("latin-1"), "a.md"))


HOSTILE_PAGES = {
    "brackets": "![" * 5_000,
    "images": "word ![x](a.png) " * 300,
    "images alone": "![x](a.png)\n\n" * 300,
    "front matter": "---\n" + "a: {image: " * 20_000,
    "long front matter": "---\n" + "a: x\n" * 50_000 + "---\n![x](a.png)",
    "nested front matter": "---\nimage: " + "[" * 5_000 + "\n---\n![x](a.png)",
    "comments": "{/* " * 10_000 + "![x](a.png)",
    "html": "<img src=a.png> " * 1_000,
    "quotations": ">" * 1_000 + "![x](a.png)",
}


@pytest.mark.parametrize("name", HOSTILE_PAGES)
def test_a_hostile_file_takes_no_longer_than_its_length(name):
    page = HOSTILE_PAGES[name]
    start = time.process_time()
    for path in ("a.md", "a.mdx"):
        free = [place for place in places(page, path) if not place.fixed]
        if free:
            FORMAT.edited(page.encode(), path, {free[-1].key: Edit("A boat")})
    assert time.process_time() - start < 15
