"""Images of pages are those that are seen and said, with the names that screen readers give them."""

import sys
import time
from pathlib import Path

import pytest
from axe import launch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from parity.act import RULES, found, situations

from trifacet.base.errors import DataError
from trifacet.lint.pages import read_html
from trifacet.lint.templates import is_bound, template_in

GOOD = "Two dogs play in the snow"


def texts(page, name="page.html"):
    return [alt.text for alt in read_html(page, Path(name))]


@pytest.mark.parametrize("rule", RULES)
def test_situations_of_the_act_rules_have_their_outcome(rule):
    other = [one for one in situations() if one.rule == rule and found(one) != (one.outcome == "failed")]
    assert other == []


@pytest.mark.endurance
def test_names_are_those_in_the_accessibility_tree_of_a_browser():
    driver = pytest.importorskip("playwright.sync_api", reason="pip install axe-playwright-python")
    images = {"image", "graphics-document", "graphics-symbol", "PluginObject"}
    compared = 0
    with driver.sync_playwright() as running:
        page = launch(running).new_page()
        session = page.context.new_cdp_session(page)
        for one in situations():
            if "<area" in one.html or "which SVG does not have" in one.name:  # Chromium names it; the standard doesn't
                continue
            page.route("**/*", lambda route: route.abort())
            page.set_content(f"<!doctype html><body>{one.html}", wait_until="domcontentloaded")
            roles = images | ({"button"} if one.html.strip().lower().startswith(("<input", "<label")) else set())
            nodes = session.send("Accessibility.getFullAXTree")["nodes"]
            shown = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
            said = {" ".join(node["name"]["value"].split()) for node in shown} - {"", "Submit"}  # without a name
            ours = {alt.text for alt in read_html(one.html, Path("a.html")) if alt.unasked != "decorative"}
            if one.name != "another type":  # a button, but of no image
                assert said == {" ".join(text.split()) for text in ours if text} - {""}, one
            compared += bool(said)
    assert compared > 40


@pytest.mark.parametrize(
    "page",
    [
        '<img src=count.gif width=1 height="1">',
        '<img src=count.gif style="width: 0; height: 1px">',
        "<div style='DISPLAY : None !important'><img></div>",
        "<div style='/* shown */ display:/**/none'><img></div>",
        '<div hidden="until-found"><a href=x><img alt=""></a></div>',
        "<video><img></video>",
        "<svg><title></title><path/></svg>",
        "<svg role='img figure' aria-hidden=TRUE></svg>",
        "<a href=x aria-hidden=true><svg></svg></a>",
        '<div style="visibility:hidden"><p><img></p></div>',
        "<embed type=application/pdf src=a.png><object data=a.pdf></object>",
    ],
)
def test_what_nobody_sees_or_hears_is_no_image(page):
    assert texts(page) == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<div style="visibility:hidden"><p style="visibility:visible"><img></p></div>', None),
        ("<img width=1 height=100%>", None),
        ("<img width=1>", None),
        ("<img style='width:1em;height:1em'>", None),
        ("<details><img></details>", None),
        ("<embed src='a.PNG?w=3'>", None),
        ("<object data='data:image/gif;base64,R0lGOD'></object>", None),
        (f"<span hidden id=a><img alt='{GOOD}'></span><svg role=img aria-labelledby='b a'></svg>", GOOD),
        (f"<label for=a>{GOOD} <input id=a type=image></label>", GOOD),
        (f"<label>{GOOD}<span hidden> in vain</span><input type=image></label>", GOOD),
        (f"<img role='foo img none' alt='{GOOD}'>", GOOD),
        ("<img alt='IMG_1.jpg' aria-labelledby='c d'><i id=c>Two dogs</i><b id=d title='play in the snow'></b>", GOOD),
        ("<img alt='' title='IMG_1.jpg'>", ""),  # decorative, whatever its tooltip says
    ],
)
def test_an_image_is_called_what_a_screen_reader_calls_it(page, text):
    assert texts(page) == [text]


@pytest.mark.parametrize(
    ("page", "needs"),
    [
        ("<a href=x><img alt=''><my-label></my-label></a>", 0),  # which may hold anything
        ("<a href=x><img alt=''>" + "<i></i>" * 200 + "Read on</a>", 0),  # nobody looks so far
        ("<button><svg>" + "<path/>" * 200 + "</svg></button>", 1),
        ("<a href=x><img alt=''><i class=icon title='Read on'></i></a>", 0),
        ("<a href=x><img alt=''><b style='visibility:hidden'>Read <i style='visibility:visible'>on</i></b></a>", 0),
        ("<a href=x><img alt=''><template>Read on</template></a>", 1),
        ("<svg><a xlink:href=x><image href=a.png></image></a></svg><a href=x><svg></svg></a>", 1),
        ("<li role=menuitem><img alt=''></li><summary><img alt=''></summary><p role=tab><img alt=''>Home", 2),
        ("<a href=x role=heading><img alt=''></a>", 0),
        ("<a href=x><svg><g><title>Home</title><path/></g></svg></a>", 0),
        ("<a href=x><svg><path><title>Home</title></path></svg></a><a href=x><svg><rect aria-label=Home></svg></a>", 0),
        ("<a href=x><svg><defs><path/></defs><desc>Home</desc><g><title> </title></g></svg></a>", 1),
    ],
)
def test_only_what_is_said_names_a_link(page, needs):
    assert sum(bool(alt.needed) for alt in read_html(page, Path("page.html"))) == needs


ENGINES = """<img th:alt="${p.title}"> <img data-th-alt="#{logo}"> <img th:attr="src=@{x},alt=#{y}">
<img data-bind="attr: {src: a(), alt: b()}"> <img data-bind="text: t"> <img alt.bind="t"> <img alt.one-way=t>
<img alt$="[[t]]"> <img alt="[[t]]"> <img alt=${t}> <img .alt=${t}> <img ?hidden=${a} .alt=${t}>
<img alt="{!! $t !!}"> <img alt="{{ $t }}"> <img alt="@Model.Title"> <img alt="@(item.Title)"> <img alt="@T("Logo")">
<img alt="#{msg.logo}"> <img alt="$!{p.title}"> <img alt="$p.title"> <img alt="$t"> <img alt="<c:out value='${t}'/>">
<img alt="<fmt:message key='a'/>"> <img alt="<?php echo $t ?>"> <img alt="{$title|escape:'html'}">
<img alt="{l s='Logo' mod='shop'}"> <img n:attr="alt => $t"> <img alt="#title#"> <img alt="#HTMLEditFormat(t)#">
<img alt="{item.title}"> <img alt={title}> <img alt={props.a ? "b" : "c"}> <img {src} {alt}> <img {...props}>
<img :alt="t"> <img v-bind:alt.camel="t"> <img v-bind="props"> <img :[name]="t"> <img [attr.alt]="t"> <img [alt]="t">
<img bind-alt="t"> <img ng-attr-alt="{{t}}"> <img i18n-alt alt="{{t}}"> <img translate translate-attr-alt="KEY">
<img data-i18n="[alt]logo.alt"> <img data-l10n-id=logo> <img x-bind:alt="t"> <img alt="<%= t %>"> <img alt="${t}">
<img alt="{% trans "Logo" %}"> <img {% if t %}alt="{{ t }}"{% endif %}> <img tal:attributes="src u; alt t">
<img py:attrs="{'alt': t}"> <img t-att-alt="t"> <img t-att="attributes"> <img alt="%%GLOBAL_Title%%">
<img alt="*|TITLE|*"> <img alt="%title%"> <img alt=input.t> <img alt="[% t %]"> <img alt="<#if t>x</#if>">
<img data-sly-attribute.alt="${t}"> <img data-wp-bind--alt="state.t"> <img alt="__MSG_logo__"> <img alt="###LOGO###">"""


def test_no_dialect_of_templates_is_judged():
    pages = ["<img " + one for one in ENGINES.replace("\n", " ").split("<img ")[1:]]
    assert len(pages) > 60
    wrong = [page for page in pages if [alt.unasked for alt in read_html(page, Path("a.html"))] != ["template"]]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "A mug for $5 at 50% off", "@anna.bsky.social", "@octo-cat", "$E = mc^2$", r"{\displaystyle x^{2}}",
        r"\frac{a}{b} = c", "#cycling", "#ff8800", "Mr. T", "A C# book", "cat.jpg", "[1]", "a {1, 2, 3} set", "50 % of",
        "Win $1! Now", "Written by a@b.Example", "She pays 100% of it, 5% now", "{ }", "#1 of #2", "A$AP Rocky",
    ],
)  # fmt: skip
def test_texts_that_only_look_like_templates_are_judged(text):
    assert not template_in(text)


@pytest.mark.parametrize(
    "attributes",
    [
        {"data-alt": GOOD}, {"data-title": GOOD}, {"data-bind": "attr: {src: a}"}, {"th:src": "@{x}"},
        {":src": "u"}, {"[src]": "u"}, {"aria-label": ""}, {"xlink:title": "x"}, {"data-balt": "x"}, {"saltire": "x"},
        {"tal:attributes": "src u"}, {"data-i18n": "[src]logo"}, {"title": "x"}, {"aria-labelledby": "x"},
    ],
)  # fmt: skip
def test_attributes_that_write_no_name_leave_it_missing(attributes):
    assert not is_bound(attributes)


XHTML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:th="http://www.thymeleaf.org"><head><title/><script src="a.js"/></head>
<body><iframe/><p>犬 <img src="a.jpg"/></p><img src="b.jpg" alt="A caf&eacute; in&nbsp;Nice"/><textarea/>
<img th:alt="t"/><IMG/><s:svg xmlns:s="http://www.w3.org/2000/svg" role="img"><s:title>A red circle</s:title></s:svg>
<x:img xmlns:x="http://example.org"/><a href="x"><img alt=""/></a></body></html>"""


@pytest.mark.parametrize("name", ["a.xhtml", "a.XHT", "a.html"])
def test_xhtml_is_read_as_xml(name):
    alts = list(read_html(XHTML.encode(), Path(name)))
    assert [(alt.text, alt.line, alt.column, alt.unasked) for alt in alts] == [
        (None, 4, 21, ""),
        ("A café in\xa0Nice", 4, 43, ""),
        (None, 5, 1, "template"),
        ("A red circle", 5, 24, ""),
        ("", 6, 50, ""),
    ]
    assert alts[-1].needed


def test_what_is_no_xml_is_told_where_a_browser_would_stop_and_read_as_html_elsewhere():
    broken = (
        XHTML.replace("<title/>", "<title>x</title>").replace('<script src="a.js"/>', "").replace("<iframe/>", "<br>")
    )
    with pytest.raises(DataError, match=r"line 6 is not well-formed XHTML \(mismatched tag\)"):
        texts(broken, "a.xhtml")
    assert len(texts(broken.replace("<textarea/>", ""), "a.html")) > 3
    assert texts("<title/><img>", "a.html") == []  # as in a browser: no XML, so all of it is the title


def test_entities_of_a_document_are_not_expanded(tmp_path):
    (tmp_path / "secret").write_text("secret")
    layers = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    for declared in (f'<!ENTITY l0 "lol">{layers}', f'<!ENTITY l9 SYSTEM "file://{tmp_path}/secret">',
                     f'<!ENTITY % p SYSTEM "file://{tmp_path}/secret">%p;'):  # fmt: skip
        page = f'<!DOCTYPE html [{declared}]><html xmlns="http://www.w3.org/1999/xhtml"><img alt="&l9;"/></html>'
        with pytest.raises(DataError, match="declares an entity"):
            texts(page, "a.xhtml")


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("Shift_JIS", "cp932", "浜辺①匹の犬"), ("x-sjis", "cp932", "犬"), ("EUC-KR", "cp949", "해변에서 노는 똠방"),
        ("ks_c_5601-1987", "cp949", "개"), ("gb2312", "gb18030", "两只狗在海滩上玩耍镕"), ("GBK", "gb18030", "狗"),
        ("big5", "big5", "兩隻狗"), ("windows-1251", "cp1251", "Две собаки"), ("x-cp1251", "cp1251", "Две"),
        ("koi8-r", "koi8-r", "Две"), ("iso-8859-1", "cp1252", "“Café” – 5 €"), ("us-ascii", "cp1252", "Café"),
        ("iso-8859-2", "iso8859-2", "Pés ł"), ("windows-874", "cp874", "สุนัข"), ("euc-jp", "euc_jp", "犬"),
        ("utf-8", "utf-8", "犬"), ("utf-16le", "utf-8", "犬"), ("utf-7", "utf-8", "犬 +AGE-"), ("rot13", "utf-8", "犬"),
        ("", "cp1252", "Café"), ("unknown-9", "utf-8", "犬"),
    ],
)  # fmt: skip
def test_pages_are_decoded_as_browsers_do(label, codec, text):
    for page in (
        f'<meta charset="{label}"><img alt="{text}">',
        f'<!-- <meta charset="koi8-u"> --><meta http-equiv=x content="text/html; charset={label}"><img alt="{text}">',
    ):
        assert texts(page.encode(codec)) == [text]
    label = label or "x"
    xml = f'<?xml version="1.0" encoding="{label}"?><p xmlns="http://www.w3.org/1999/xhtml"><img alt="{text}"/></p>'
    assert texts(xml.encode(codec), "a.xhtml") == [text]


def test_a_mark_comes_before_a_declaration_and_no_bytes_fail():
    assert texts('\ufeff<meta charset=gbk><img alt="犬">'.encode()) == ["犬"]
    assert texts('<img alt="犬">'.encode("utf-16")) == ["犬"]
    assert texts(b'<meta charset=utf-8><img alt="\xe8\xe9">') == ["\ufffd\ufffd"]
    assert texts(b'<meta charset=euc-kr><img alt="\xff">') == ["\ufffd"]


HOSTILE = {
    "labels of labels": "<label>" * 1500 + "<input type=image>" * 1500,
    "one label for all": "<p id=k>" + "word " * 20_000 + "</p>" + f"<img aria-labelledby='{'k ' * 200}'>" * 300,
    "circle of labels": "<p id=a aria-labelledby=b><p id=b aria-labelledby=a>" + "<img aria-labelledby='a b'>" * 300,
    "styles": f"<img style='{'; display :' * 2000}/*{'/*' * 2000}'>" * 20,
    "roles": f"<img role='{'x ' * 50_000}'>",
    "buttons": "<div role=button><img alt=''>" * 300,
    **{
        mark: f'<img alt="{mark * 50_000}">'
        for mark in ("{a", "$a", "#", "@a", "<a:", "%a", "a.", "*|", "[[", "#{", "__MSG_")
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_page_takes_no_longer_than_its_length(name):
    start = time.process_time()
    for alt in read_html(HOSTILE[name], Path("a.html")):
        template_in(alt.text or "")
    assert time.process_time() - start < 2.5
