"""What templates comment out is no picture; JSX, footnotes and Hugo's figures are found; what is not is counted."""

import json

import pytest

from trifacet.base.errors import DataError
from trifacet.describing.formats.html import FORMAT as HTML
from trifacet.describing.formats.markdown import FORMAT as MARKDOWN
from trifacet.describing.formats.rst import FORMAT as RST
from trifacet.describing.place import Edit

COMMENTS = (
    "{# %s #}", "{#- %s -#}", "<%%# %s %%>", "<%%-- %s --%%>", "<%%doc>%s</%%doc>", "{{! %s }}", "{{!-- %s --}}",
    "{{-- %s --}}", "{{/* %s */}}", "{{- /* %s */ -}}", "{* %s *}", "@* %s *@", "<!-- %s -->",
    "{%% comment %%}%s{%% endcomment %%}", '{%%- comment "x" -%%}%s{%%- endcomment -%%}',
)  # fmt: skip
OPEN = ("{# %s", "{%% comment %%}%s", "{{!-- %s", "@* %s", "{#x}%s{#y}", "a@*b %s c*@d", "{*%s")


def places(format, text, path):
    return [(one.picture.address, one.alt, one.fixed) for one in format.places(text.encode(), path)]


def seen(format, text, path):
    return [(one.what, one.line) for one in format.unseen(text.encode(), path)]


@pytest.mark.parametrize("comment", COMMENTS)
def test_what_is_commented_out_is_no_picture(comment):
    page = "<p>hi</p>\n" + comment % "\n<img src=a.png>\n" + "\n<img src=b.png>"
    assert [one[0] for one in places(HTML, page, "a.html")] == ["b.png"]
    text = "hi\n\n" + comment % "![](a.png) <img src=a.png>" + "\n\n![](b.png)"
    assert [one[0] for one in places(MARKDOWN, text, "a.md")] == ["b.png"]
    new = HTML.edited(page.encode(), "a.html", {HTML.places(page.encode(), "a.html").__next__().key: Edit("B")})
    assert new.decode() == page.replace("<img src=b.png>", '<img alt="B" src=b.png>')


@pytest.mark.parametrize("comment", OPEN)
def test_what_is_not_closed_comments_nothing_out(comment):
    page = "<p>hi</p>\n" + comment % "<img src=a.png>" + "\n<img src=b.png>"
    assert [one[0] for one in places(HTML, page, "a.html")] == ["a.png", "b.png"]


def test_a_comment_that_is_shown_as_code_comments_nothing_out():
    text = "Write `{% comment %}`.\n\n![](a.png)\n\n```\n{# \n```\n\n![](b.png)\n\n`{% endcomment %}` #}\n"
    assert [one[0] for one in places(MARKDOWN, text, "a.md")] == ["a.png", "b.png"]


def test_jsx_of_mdx():
    text = (
        '# T\n\n<Image src="a.png" />\n\n<img src={a > 1 ? \'b\' : "c"} alt="x" />\n\n'
        "{/* <img src=\"no.png\"/> */}\n\nwords <StaticImage\n  src='d.png'\n/> words\n\n"
        '<Picture src={{\n  a: \'>\'\n}} alt="y" />\n\n<Hero image={x} />\n\n<img {...rest} src="e.png" />\n'
    )
    found = places(MARKDOWN, text, "a.mdx")
    assert [(one[1], bool(one[2])) for one in found] == [
        (None, False), ("x", True), (None, False), ("y", True), (None, True),
    ]  # fmt: skip
    free = [one for one in MARKDOWN.places(text.encode(), "a.mdx") if not one.fixed]
    assert [one.picture.address for one in free] == ["a.png", "d.png"]
    new = MARKDOWN.edited(text.encode(), "a.mdx", {one.key: Edit("An alt") for one in free}).decode()
    assert new == text.replace("<Image", '<Image alt="An alt"').replace("<StaticImage", '<StaticImage alt="An alt"')
    assert seen(MARKDOWN, text, "a.mdx") == [("component Hero", 17)]
    assert seen(MARKDOWN, text, "a.md") == []


def test_pictures_of_footnotes():
    text = "x[^1] y[^b]\n\n[^1]: ![](a.png)\n\n[^b]: Words ![](b.png)\n\n    ![](c.png)\n\n"
    text += "    - ![](d.png)\n\nEnd ![](e.png).\n"
    found = list(MARKDOWN.places(text.encode(), "a.md"))
    assert [one.picture.address[0] for one in found] == list("abcde") and not any(one.fixed for one in found)
    new = MARKDOWN.edited(text.encode(), "a.md", {one.key: Edit("An alt") for one in found}).decode()
    assert new == text.replace("![]", "![An alt]")


def test_hugos_figure():
    text = (
        '# T\n\n{{< figure src="a.png" >}}\n\n{{% figure src=b.png caption="Words of it" %}}\n\n'
        '{{< figure src="c.png" alt="old \\"x\\"" class=`big` >}}\n\n`{{< figure src="no.png" >}}`\n\n'
        '{{< img src="d.png" >}}\n'
    )
    found = list(MARKDOWN.places(text.encode(), "a.md"))
    assert [(one.picture.address, one.alt, one.state) for one in found] == [
        ("a.png", None, "missing"), ("b.png", "Words of it", "text"), ("c.png", 'old "x"', "text"),
    ]  # fmt: skip
    new = MARKDOWN.edited(text.encode(), "a.md", {one.key: Edit('A "b" \\ c') for one in found}).decode()
    written = '"A \\"b\\" \\\\ c"'
    assert new == (
        text.replace('figure src="a.png"', f'figure alt={written} src="a.png"')
        .replace("figure src=b.png", f"figure alt={written} src=b.png")
        .replace('alt="old \\"x\\""', f"alt={written}")
    )
    with pytest.raises(DataError, match="template"):
        MARKDOWN.edited(text.encode(), "a.md", {found[0].key: Edit("{{ x }}")})
    assert seen(MARKDOWN, text, "a.md") == [("shortcode img", 11)]


def test_what_is_not_looked_into_is_counted(tmp_path, trifacet):
    page = (
        "<p>x</p>\n<noscript><img src=a.png></noscript>\n<iframe srcdoc='<img src=b.png> &lt;img src=c.png>'>"
        "</iframe>\n"
        '{% image "d.png", "x" %} <img src="{{ image \'e.png\' }}" alt="x"> {# {% image "f.png" %} #}\n'
    )
    assert seen(HTML, page, "a.html") == [("noscript", 2), ("srcdoc", 3), ("srcdoc", 3), ("shortcode image", 4)]
    table = "+---+\n| .. image:: a.png |\n+---+\n| x |\n+---+\n\n"
    table += ".. raw:: html\n\n   <img src=b.png>\n\n.. image:: c.png\n"
    assert seen(RST, table, "a.rst") == [("table drawn with lines", 2), ("raw HTML", 7)]
    assert [one[0] for one in places(RST, table, "a.rst")] == ["c.png"]
    (tmp_path / "a.html").write_text(page)
    code, told, _ = trifacet("alt", "check", tmp_path, "--root", tmp_path)
    assert code == 0 and "4 places not looked into (srcdoc 2, noscript 1, shortcode image 1)" in told
    code, told, _ = trifacet("alt", "scan", tmp_path, "--root", tmp_path, "--json", "-")
    assert json.loads(told)["unseen"][0] == {"path": "a.html", "line": 2, "what": "noscript"}


def test_hostile_pages_take_time_in_their_length():
    for piece in (
        "{# ",
        "{{!-- ",
        "{% comment %}",
        "<img src={",
        "<A b={{",
        "{{< figure a=",
        "[^1]: ",
        "<Hero image=",
        "{% img ",
    ):
        text = piece * 20_000
        list(MARKDOWN.places(text.encode(), "a.mdx"))
        list(MARKDOWN.unseen(text.encode(), "a.mdx"))
        list(HTML.places(f"<img>{text}".encode(), "a.html"))
        list(HTML.unseen(text.encode(), "a.html"))
