"""The funnel report: it tells all counts, stands alone, gives hostile posts no foothold, and is accessible."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser

import pytest
from axe import assert_accessible, in_light_and_dark
from hostile_pages import only_our_markup
from hypothesis import given
from hypothesis import strategies as st
from told_build import VERIFIED, local_steps, raw_posts, told_build, told_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building.build import run_build
from trifacet.building.story import steps_told
from trifacet.reports.funnel import examples as funnel_examples
from trifacet.reports.funnel.examples import pieces
from trifacet.reports.funnel.page import render_funnel, share, write_funnel

COSTS = [
    {
        "step": "grammar", "model": "<b>small</b>", "asked": 900, "cached": 12, "sent": 950, "answered": 888,
        "retries": {"429": 40, "<i>x</i>": 1}, "repeats": {"cut JSON": 4}, "problems": {}, "tokens_in": 123456,
        "tokens_out": 2345, "spent": 0.1234,
    }
]  # fmt: skip


class Page(HTMLParser):
    """The page's elements, and its visible text on one line."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._text: list[str] = []
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag):
        self._style = False

    def handle_data(self, data):
        if not self._style:
            self._text.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self._text).split())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    with local_steps():
        yield told_build(tmp_path_factory.mktemp("funnel"), name="<script>alert(0)</script> \u202eemit")


@pytest.fixture(scope="module")
def file(recipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "funnel.html"
    write_funnel(recipe, path, costs=COSTS)
    return path


@pytest.fixture(scope="module")
def page(file):
    return Page(file.read_text(encoding="utf-8"))


@in_light_and_dark
def test_axe_finds_nothing_and_the_page_fits_its_window(file, dark):
    assert_accessible(file, dark=dark)


def test_every_step_and_reason_is_told_with_its_count(recipe, page):
    for step in steps_told(recipe):
        assert f"{step.index} {step.name}" in page.text
        for (verdict, reason), count in step.counts.items():
            times = f"{count} ·" if verdict in ("drop", "fail") else f"{count} time"
            assert f"{reason} {times}" in page.text


def test_the_page_does_not_tell_where_things_lie_on_the_machine(recipe, file):
    assert recipe.folder.is_absolute() and str(recipe.folder.parent) not in file.read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_runs_nothing(file, page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base", "audio", "video", "textarea"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:image/", "#")), (tag, attributes)
    assert "default-src 'none'" in file.read_text(encoding="utf-8")


def test_hostile_posts_are_text(file, page):
    html = file.read_text(encoding="utf-8")
    only_our_markup(html, "funnel.html.jinja")
    assert "<script>alert(1)</script> new kites" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", html)
    assert "\u202e" in html  # it is there, and isolated wherever it stands in text
    isolated = re.sub(r"<bdi>.*?</bdi>", "", html, flags=re.DOTALL)
    isolated = re.sub(r"<title>.*?</title>|<pre.*?</pre>|\w+=\"[^\"]*\"", "", isolated, flags=re.DOTALL)
    assert "\u202e" not in isolated


def test_before_and_after_judgements_and_duplicates_are_shown(page):
    tags = [tag for tag, _ in page.elements]
    assert "removed: Rovena" in page.text
    assert "added: [person]" in page.text
    assert tags.count("del") > 4 < tags.count("ins")
    assert "Proposed change of alt" in page.text
    assert f"Rejected text 2: {VERIFIED}" in page.text
    assert "2rejectedBalt-text" in page.text  # order, shown first, answer, prefers
    assert "none was written: cut JSON" in page.text
    assert "Kept instead: p0000" in page.text
    assert "similarity: 0.9876" in page.text
    assert "The image cannot be shown: it is named by its address" in page.text


def test_pictures_are_ours_and_limited(recipe, page, monkeypatch):
    shown = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(shown) > 20
    assert all(max(int(one["width"]), int(one["height"])) <= funnel_examples.SIDE for one in shown)
    monkeypatch.setattr(funnel_examples, "PICTURES", 3)
    few = Page(render_funnel(recipe))
    assert len([tag for tag, _ in few.elements if tag == "img"]) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../secret.png", "lies outside"),
        ("/etc/passwd", "lies outside"),
        ("file:///etc/passwd", "it is named by its address"),
        ("data:image/png;base64," + "A" * 5000, "cannot be reached"),
        ("a\0b.png", "cannot be reached"),
    ],
)
def test_a_picture_outside_its_root_is_not_shown(tmp_path, name, said):
    with local_steps():
        posts = raw_posts(tmp_path / "raw", 2)
        (tmp_path / "secret.png").write_bytes((tmp_path / "raw" / "p0000.png").read_bytes())
        row = {"id": "thief", "image": name, "context": "a post", "alt": "Too short."}
        posts.write_text(json.dumps(row) + "\n", encoding="utf-8")
        recipe = told_recipe(tmp_path, posts, steps=["alt-length"])
        run_build(recipe, workers=1)
        page = Page(render_funnel(recipe))
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert said in page.text
    assert len(page.text) < 10_000


def test_long_texts_are_clipped(tmp_path):
    with local_steps():
        posts = raw_posts(tmp_path / "raw", 1)
        row = {"id": "long", "image": "p0000.png", "context": "word " * 90_000, "alt": "Rovena " * 90_000}
        posts.write_text(json.dumps(row) + "\n", encoding="utf-8")
        recipe = told_recipe(tmp_path, posts)
        run_build(recipe, workers=1)
        assert len(render_funnel(recipe)) < 200_000


def test_costs_and_planted_faults_have_their_tables(page):
    assert "123,456" in page.text
    assert "429: 40" in page.text
    assert "0.1234" in page.text
    assert "8 told-names: names replaced" in page.text


def test_what_was_paid_is_told_over_all_runs(tmp_path):
    from trifacet.llm.books import Books, Reply

    model = {"base_url": "http://127.0.0.1:9/v1", "model": "x"}
    with local_steps():
        recipe = told_build(tmp_path, 20, models={"<i>m</i>": model})

        async def keep(key):
            with Books(recipe.answers_file) as books:
                reply = Reply("yes", "stop", "x", 1000, 10, True)
                await books.keep(key, "grammar", "<i>m</i>", reply, estimated=(900, 10), cost=0.25)

        asyncio.run(keep("a"))
        asyncio.run(keep("b"))
        text = Page(render_funnel(recipe)).text
    assert "trials too: 0.5000 in" in text
    assert "grammar <i>m</i>" in text.replace("grammar<", "grammar <")
    assert "22,000200.5000" in text.replace(" ", "")


def test_an_unfinished_build_has_a_report_and_no_build_has_none(tmp_path):
    def stop(progress):
        if progress.steps[2].state == "done":
            raise KeyboardInterrupt

    with local_steps():
        recipe = told_recipe(tmp_path, raw_posts(tmp_path / "raw", 20))
        with pytest.raises(TrifacetError, match="holds no build"):
            render_funnel(recipe)
        with pytest.raises(KeyboardInterrupt):
            run_build(recipe, workers=1, show=stop)
        text = Page(render_funnel(recipe)).text
    assert "the build is not finished, 0 have come to its end" in text
    assert "alt-text too short" in text


words = st.text(st.sampled_from("ab c\n.["), max_size=40)


@given(words, words)
def test_pieces_hold_both_texts(before, after):
    found = pieces(before, after)
    assert "".join(one.text for one in found if one.kind != "new") == before
    assert "".join(one.text for one in found if one.kind != "old") == after


def test_shares_tell_few_from_none():
    assert [share(*pair) for pair in ((0, 9), (9, 9), (1, 3), (1, 10**6), (10**6 - 1, 10**6), (0, 0))] == [
        "0 %", "100 %", "33.3 %", "under 0.1 %", "over 99.9 %", "–",
    ]  # fmt: skip
