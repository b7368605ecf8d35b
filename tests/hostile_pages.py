"""What a page must be whatever its data say: read by an HTML5 parser, our own elements, attributes and links only.

Every page of the program has its line in ``PAGES``, and its test calls ``only_our_markup`` with data that hold
``HOSTILE`` wherever they hold a text.
"""

from __future__ import annotations

import re
import unicodedata

from justhtml import JustHTML

# By template: the test that renders it with hostile data.
PAGES = {
    "comparison.html.jinja": "tests/reports/test_hostile_data.py",
    "report.html.jinja": "tests/reports/test_hostile_data.py",
    "funnel.html.jinja": "tests/reports/funnel/test_funnel.py",
    "evolve.html.jinja": "tests/reports/evolving/test_evolving_page.py",
    "study.html.jinja": "tests/studies/test_study_page.py",
    "index.html.jinja": "tests/studies/test_study_index.py",
    "probes.html.jinja": "tests/reports/test_hostile_data.py",
    "gallery.html.jinja": "tests/cli/test_data.py",
    "regions.html.jinja": "tests/cli/test_regions_command.py",
    "lettering.html.jinja": "tests/cli/test_read.py",
    "base.html.jinja": "tests/review/test_review_app.py",
    "welcome.html.jinja": "tests/review/test_review_app.py",
    "sample.html.jinja": "tests/review/test_review_app.py",
    "answers.html.jinja": "tests/review/test_review_app.py",
    "entering.html.jinja": "tests/review/test_review_app.py",
    "problem.html.jinja": "tests/review/test_review_app.py",
    "alt_site.html.jinja": "tests/reports/test_alt_site.py",
    "alt_welcome.html.jinja": "tests/describing/test_reviewing_app.py",
    "alt_text.html.jinja": "tests/describing/test_reviewing_app.py",
    "alt_list.html.jinja": "tests/describing/test_reviewing_app.py",
    "alt_checked.html.jinja": "tests/describing/test_reviewing_app.py",
    "serve.html.jinja": "tests/serving/test_serve_page.py",
}
MARKUP = (
    "</script></style></title></textarea></bdi></svg>\"'><hostile-one id=hostile onclick=x style='x:y'><script>alert(1)"
    "</script><img src=x onerror=alert(2)><svg onload=alert(3)><a href=javascript:alert(4)><!--<![CDATA[ {{ 7 * 7 }}"
    "{% raw %}${x}&lt;hostile-two&gt; url(https://evil.example) @import"
)
TURNS = "\u05d0\u05d1 21\u202e"  # Hebrew letters, a number, and a mark that turns what follows
HOSTILE = f"{MARKUP} \x1b[31m\0\x07\u200b\u2069 {TURNS}"
LARGEST = 3_000_000  # characters

_ELEMENTS = re.findall(
    r"\w+",
    "html head meta title style body a header main footer nav section article div p h1 h2 h3 h4 h5 ul ol li dl dt dd "
    "table caption thead tbody tr th td figure figcaption img blockquote pre code details summary strong em b sub span "
    "bdi mark del ins wbr svg g path text tspan use defs clippath rect",
)
_IN_REVIEW = re.findall(
    r"\w+", "link script form input textarea button label fieldset legend progress kbd select option canvas"
)
_ATTRIBUTES = re.findall(
    r"[\w-]+",
    "lang charset name content http-equiv class id href src width height alt title role tabindex scope colspan rowspan "
    "open aria-label aria-labelledby aria-hidden aria-describedby focusable viewbox d x y transform style clip-path "
    "xmlns preserveaspectratio",
)
_IN_FORMS = re.findall(
    r"[\w-]+",
    "method action type value maxlength required rows dir data-key data-live for rel defer autofocus hidden checked "
    "max autocomplete aria-invalid aria-live data-check selected accept",
)
_DRAWN = {"svg", "g", "path", "text", "tspan", "use", "defs", "clippath", "rect"}
_ISOLATES = "\u2066\u2067\u2068"
_TURNING = frozenset(("R", "AL", "AN", "LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "PDI"))


def only_our_markup(page: str, template: str, *, review: bool = False) -> None:
    """Fail where a text became an element, an attribute, a link or a style, or turns the words around it."""
    assert template in PAGES
    assert len(page) < LARGEST
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", page)
    ids = []
    for element, isolated in _walk(JustHTML(page, sanitize=False).root):
        if element.name in ("#document", "!doctype"):
            continue
        if element.name == "#text":
            assert isolated or not _turns(element.data), (element.parent.name, element.data[:300])
            continue
        name, attributes = element.name.lower(), {key.lower(): value or "" for key, value in element.attrs.items()}
        assert name in [*_ELEMENTS, *(_IN_REVIEW if review else ())], name
        assert set(attributes) <= {*_ATTRIBUTES, *(_IN_FORMS if review else ())}, (name, attributes)
        assert "style" not in attributes or name in _DRAWN
        if name == "style":
            assert "evil" not in element.to_text() and "hostile" not in element.to_text()
        for key in ("href", "src", "action"):
            assert _ours(name, attributes.get(key, "#"), review), (name, attributes)
        for key in ("class", "id", "style", "clip-path", "d", "role", "for", "name"):
            assert not re.search(r"hostile|evil|alert\(", attributes.get(key, "")), (name, key)
        for key in ("aria-label", "alt", "title"):
            assert _closed(attributes.get(key, "")), (name, key)
        ids += [attributes["id"]] if "id" in attributes else []
    assert len(ids) == len(set(ids))


def _walk(root):
    """All nodes, each with whether an element around it isolates its text, or holds nothing but a text of others."""
    stack = [(root, False)]
    while stack:
        node, isolated = stack.pop()
        yield node, isolated
        if node.name != "#text":
            alone = node.name in ("bdi", "pre", "style", "textarea") or "dir" in (node.attrs or {})
            stack += [(child, isolated or alone) for child in reversed(node.children or ())]


def _ours(element: str, address: str, review: bool) -> bool:
    if element == "img":
        pattern = r"/picture/(\d+/\d+|[\w%.-]+)" if review else r"data:image/(png|jpeg);base64,[\w+/=]+"
    elif review and element in ("a", "form", "link", "script"):
        asked = r"(\?[\w%.+=&-]*)?"
        pattern = rf"(#content|/|/begin|/answers|/sample/\d+|/static/[\w.]+|/list{asked}|/(text|undo)/[\w%.-]+{asked})"
    else:
        pattern = r"#[\w.-]*" if element != "a" else r"#[\w.-]*|([\w%.~-]+/)*study\.html"  # of the index over studies
    return re.fullmatch(pattern, address) is not None or (address == "#")


def _turns(text: str) -> bool:
    """Whether a letter or mark of the other direction stands outside of all isolates."""
    depth = 0
    for char in text:
        depth += char in _ISOLATES
        if not depth and unicodedata.bidirectional(char) in _TURNING:
            return True
        depth -= char == "\u2069"
    return False


def _closed(text: str) -> bool:
    depth = 0
    for char in text:
        depth += char in _ISOLATES
        depth -= char == "\u2069"
        assert depth >= 0
    return depth == 0
