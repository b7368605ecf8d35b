"""The page for suggested alt-texts, asked without a browser: who gets in, what is shown, what becomes of a decision."""

import io
import re
import sqlite3
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from alt_reviews import proposal, withheld, write_queue
from hostile_pages import HOSTILE, MARKUP, TURNS, only_our_markup
from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.describing.place import Picture
from trifacet.describing.queue import LONGEST_TEXT, Queue
from trifacet.generation.variation import Span
from trifacet.lint.check import LintFinding
from trifacet.web.access import Access

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")

from starlette.testclient import TestClient

from trifacet.describing.rasters import Rasters
from trifacet.describing.reviewing.app import LONGEST_CHECKED, create_app
from trifacet.describing.reviewing.desk import Desk
from trifacet.describing.reviewing.pictures import PlacePictures
from trifacet.describing.reviewing.view import parts
from trifacet.review.pictures import LONGEST_SIDE
from trifacet.web.guard import POLICY


class Served:
    """A queue with its application."""

    def __init__(self, folder, queue, people=(), **limits):
        self.queue, self.told = queue, []
        self.access = Access(queue.secret, people)
        pictures = PlacePictures(Rasters(folder), queue.get)
        self.app = create_app(Desk(queue, **limits), pictures, self.access, "127.0.0.1", self.told.append)
        self.ids = [one.id for one in queue.suggestions()]

    def client(self):
        return TestClient(self.app, base_url="http://127.0.0.1:8738")

    def person(self, name="Ada"):
        """A browser of somebody who has begun."""
        client = self.client()
        client.get("/", params={"token": self.access.token(name if self.access.judges else "")})
        answer = client.post("/begin", data={"name": name, "proof": field(client.get("/begin"), "proof")})
        assert answer.status_code == 200, answer.text
        return client


def field(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page.text)[1]


def decide(client, name, do, page=None, **fields):
    """Press a button on a suggestion's page, with what stands in its form."""
    page = page or client.get(f"/text/{name}")
    form = page.text.partition('data-check="')[2]
    box = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', form, re.DOTALL)[1]
    event = re.search(r'name="event" value="(\d+)"', form)[1]
    sent = {"proof": field(page, "proof"), "event": event, "do": do, "text": box, "state": "open", **fields}
    return client.post(f"/text/{name}", data=sent)


def undo(client, page):
    form = re.search(r'<form class="undo" method="post" action="([^"]+)".*?value="(\d+)"', page.text, re.DOTALL)
    return client.post(form[1], data={"proof": field(page, "proof"), "event": form[2]})


@pytest.fixture
def site(tmp_path):
    served = Served(tmp_path, write_queue(tmp_path))
    yield served
    served.queue.close()


def test_nobody_comes_in_without_the_link_and_every_answer_is_guarded(site):
    paths = ["/", "/begin", "/list", f"/text/{site.ids[0]}", f"/picture/{site.ids[0]}"]
    for path in paths:
        assert site.client().get(path).status_code == 403
        assert site.client().get(path, params={"token": "wrong"}).status_code == 403
    for path in (f"/text/{site.ids[0]}", f"/undo/{site.ids[0]}", f"/check/{site.ids[0]}", "/begin"):
        assert site.client().post(path, data={"do": "accept", "name": "Ada"}).status_code == 403
    client = site.person()
    for path in [*paths, "/static/alt.js", "/static/live.js", "/static/alt.css", "/nothing", "/text/x", "/docs"]:
        answer = client.get(path)
        assert answer.headers["content-security-policy"] == POLICY and answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?! defer src=\"/static/)|\son\w+=|style=", answer.text) or "/static/" in path
    assert [client.get(path).status_code for path in ("/nothing", "/text/x", "/picture/x", "/docs")] == [404] * 4


def test_without_a_name_the_first_page_asks_for_one(site):
    client = site.client()
    client.get("/", params={"token": site.access.token()})
    assert client.get(f"/text/{site.ids[0]}").url.path == "/begin" == client.get("/list").url.path
    proof = field(client.get("/begin"), "proof")
    assert client.post("/begin", data={"name": " ", "proof": proof}).status_code == 422
    refused = client.post(f"/text/{site.ids[0]}", data={"proof": proof, "do": "accept", "event": "1"})
    assert refused.status_code == 409 and "Your answer was not stored" in refused.text


def test_a_link_for_each_person(tmp_path):
    served = Served(tmp_path, write_queue(tmp_path), people=("Ada", "Bo"))
    decide(served.person("Bo"), served.ids[0], "accept")
    assert served.queue.get(served.ids[0]).who == "Bo"
    assert served.client().get("/", params={"token": served.access.token()}).status_code == 403


def test_what_is_shown(tmp_path):
    long = proposal(0, role="complex", reason="named a chart", long="It rises.", caption="Rain", link="/rain",
                    link_text="More", state="text", alt="img_1.jpg", title="Rain 2020")  # fmt: skip
    site = Served(tmp_path, write_queue(tmp_path, [long, withheld(1)]))
    page = site.person().get(f"/text/{site.ids[0]}").text
    for words in (
        "Five beds", "Gardens › Bed 0", "The garden was laid out", "Rain 2020", "/rain", "More", "img_1.jpg",
        "named a chart", "62 %", "A bed in crimson", "It rises.", "page-0.html", ", line 10", '<dd dir="auto">en</dd>',
    ):  # fmt: skip
        assert words in page, words
    assert '<span class="vh">[2 of 3 say: </span>planted in<span class="vh">]</span>' in page
    assert re.search(r'<textarea id="long"[^>]*>\nIt rises.</textarea>', page)
    page = site.person().get(f"/text/{site.ids[1]}").text
    assert "Withheld: <bdi>a name that nobody gave: Versailles</bdi>" in page


def test_buttons_become_decisions(site):
    client = site.person()
    outcomes = [("accept", {}, "accepted", None), ("accept", {"text": " Mine \r\n too "}, "edited", "Mine \n too"),
                ("empty", {"text": "x"}, "edited", ""), ("refuse", {"text": "x"}, "refused", None)]  # fmt: skip
    for name, (button, sent, state, text) in zip(site.ids, outcomes, strict=False):
        before = site.queue.get(name).text
        answer = decide(client, name, button, **sent)
        now = site.queue.get(name)
        assert answer.status_code == 200 and (now.state, now.text) == (state, before if text is None else text)
        assert now.who == "Ada"
    assert "4 of 5 decided" in answer.text and answer.url.path == f"/text/{site.ids[4]}"
    assert "Refused: page-1.html, line 13." in answer.text
    back = decide(client, site.ids[1], "suggestion", text="whatever")
    assert site.queue.get(site.ids[1]).state == "accepted" and back.status_code == 200
    assert decide(client, site.ids[3], "reopen").url.path == f"/text/{site.ids[3]}"
    assert site.queue.get(site.ids[3]).state == "suggested"
    end = [decide(client, name, "refuse") for name in (site.ids[3], site.ids[4])][-1]
    assert end.url.path == "/list" and "Nothing is open" in end.text and "5 of 5 are decided" in end.text


def test_an_empty_text_that_nobody_meant_is_not_stored(tmp_path):
    silent = proposal(1, "", withheld="the model gave no text", samples=())
    decorative = proposal(2, "", role="decorative", samples=())
    site = Served(tmp_path, write_queue(tmp_path, [proposal(0), silent, decorative]))
    client = site.person()
    for name in site.ids[:2]:
        answer = decide(client, name, "accept", text=" ")
        assert answer.status_code == 422 and "The text is empty." in answer.text
        assert site.queue.get(name).state in ("suggested", "withheld")
    decide(client, site.ids[2], "accept")
    assert (site.queue.get(site.ids[2]).state, site.queue.get(site.ids[2]).text) == ("accepted", "")


def test_two_people_and_one_text_nothing_is_lost(site):
    ada, bo, name = site.person("Ada"), site.person("Bo"), site.ids[0]
    stale = ada.get(f"/text/{name}")
    decide(bo, name, "accept", text="By Bo & co")
    answer = decide(ada, name, "accept", page=stale, text="By <Ada>")
    assert answer.status_code == 409 and "Somebody decided meanwhile" in answer.text
    assert "By Bo &amp; co" in answer.text and re.search(
        r'<textarea id="text"[^>]*>\nBy &lt;Ada&gt;</textarea>', answer.text
    )
    assert (site.queue.get(name).text, site.queue.get(name).who) == ("By Bo & co", "Bo")
    decide(ada, name, "accept", page=answer, text="By both")
    assert [event.text for event in site.queue.events(name)][1:] == ["By Bo & co", "By both"]


def test_the_same_decision_twice_is_stored_once(site):
    ada, bo, name = site.person("Ada"), site.person("Bo"), site.ids[0]
    pages = [ada.get(f"/text/{name}"), bo.get(f"/text/{name}")]
    for client, page in ((ada, pages[0]), (ada, pages[0]), (bo, pages[1])):  # the answer to the first did not arrive
        answer = decide(client, name, "accept", page=page, text="Mine")
        assert answer.status_code == 200 and answer.url.path == f"/text/{site.ids[1]}"
    assert [event.who for event in site.queue.events(name)] == ["model", "Ada"]


def test_undo_takes_back_ones_own_last_decision(site):
    ada, bo = site.person("Ada"), site.person("Bo")
    decide(ada, site.ids[0], "accept")
    decide(bo, site.ids[2], "refuse")
    page = decide(ada, site.ids[1], "accept", text="Mine")
    back = undo(ada, page)
    assert back.url.path == f"/text/{site.ids[1]}" and "Taken back: page-0.html, line 11." in back.text
    back = undo(ada, back)
    assert [site.queue.get(name).state for name in site.ids[:3]] == ["suggested", "suggested", "refused"]
    assert 'class="undo"' not in back.text and 'class="undo"' in bo.get("/list").text
    page = decide(ada, site.ids[0], "accept")
    decide(bo, site.ids[0], "accept", text="Bo's")
    late = undo(ada, page)
    assert late.status_code == 409 and "Nothing was taken back" in late.text
    assert site.queue.get(site.ids[0]).text == "Bo&#39;s".replace("&#39;", "'")


def test_what_is_stale_or_in_place_cannot_be_decided(site):
    client = site.person()
    pages = [client.get(f"/text/{name}") for name in site.ids[:2]]
    site.queue.mark_applied([site.ids[0]], "apply")
    site.queue.mark_stale([site.ids[1]], "scan", "it changed")
    for name, page in zip(site.ids, pages, strict=False):
        answer = decide(client, name, "accept", page=page, text="typed")
        assert answer.status_code in (409, 422) and ">\ntyped</textarea>" in answer.text
        assert 'value="accept"' not in client.get(f"/text/{name}").text
    assert "it changed" in client.get(f"/text/{site.ids[1]}").text
    assert "1 of 4 decided" in client.get("/list").text


def test_filters_and_neighbours(tmp_path):
    made = [
        proposal(0),
        proposal(1, role="functional"),
        proposal(2, alt="Old WORDS", state="text"),
        proposal(3),
        withheld(4),
    ]
    site = Served(tmp_path, write_queue(tmp_path, made))
    client = site.person()

    def found(**filters):
        page = client.get("/list", params=filters).text
        return [site.ids.index(name) for name in re.findall(r'<th scope="row"><a href="/text/([\w-]+)', page)]

    assert found() == [0, 1, 2, 3, 4] == found(state="nonsense", role="nonsense")
    assert found(role="functional") == [1] and found(document="PAGE-1") == [2, 3] and found(sought="old words") == [2]
    assert found(finding="invented-name") == [4] == found(state="withheld") and found(
        sought="laid out in 1821", state="all"
    )
    page = client.get(f"/text/{site.ids[2]}", params={"document": "page-1"})
    assert "Alt-text 1 of 2" in page.text and 'data-key="p"' not in page.text
    assert f'href="/text/{site.ids[3]}?document=page-1" data-key="n"' in page.text
    after = decide(client, site.ids[2], "accept", page=page, document="page-1")
    assert after.url.path == f"/text/{site.ids[3]}" and "document=page-1" in str(after.url)
    assert decide(client, site.ids[3], "accept", page=after, document="page-1").url.path == "/list"
    assert found(state="accepted") == [2, 3] and found(state="all") == [0, 1, 2, 3, 4]
    assert f'href="/text/{site.ids[0]}" data-key="l"' in client.get(f"/text/{site.ids[4]}").text  # later: round again


def test_a_long_list_has_pages(tmp_path):
    site = Served(tmp_path, write_queue(tmp_path, [proposal(number) for number in range(230)]))
    client = site.person()
    pages = [client.get("/list", params={"page": page}).text for page in ("1", "3", "99", "x")]
    assert [page.count('<th scope="row">') for page in pages] == [100, 30, 30, 100] and "Page 3 of 3" in pages[1]


def test_checks_while_typing(tmp_path):
    made = [proposal(0), proposal(1, "Shop", role="functional"), withheld(2)]
    site = Served(tmp_path, write_queue(tmp_path, made), platform="pinterest", max_chars=40)
    client = site.person()

    def check(number, text):
        proof = field(client.get("/begin"), "proof")
        answer = client.post(f"/check/{site.ids[number]}", data={"proof": proof, "text": text})
        assert answer.status_code == 200
        return answer.text

    assert "The checks find nothing." in check(0, "Round bed in bloom") and "18 characters, at most 40" in check(
        0, "Round bed in bloom"
    )
    assert "Error" in check(0, "IMG_0001.jpg") and "decorative picture only" in check(0, " ")
    assert "Warning" in check(0, "word " * 20) and "Without a text the link" in check(1, "")
    assert "The checks find nothing." in check(1, "Shop")  # one word is enough for a link
    assert "nobody gave" in check(2, "Bed at Versailles") and "nobody gave" in check(2, "Bed in Versailles now")
    assert "nobody gave" not in check(2, "Bed in a palace garden")
    assert f"{LONGEST_CHECKED + 999} characters" in check(0, "x" * (LONGEST_CHECKED + 999))
    assert client.post(f"/check/{site.ids[0]}", data={"text": "x"}).status_code == 403


def test_bounds_of_forms(site):
    client, name = site.person(), site.ids[0]
    longest = "ü" * LONGEST_TEXT
    assert decide(client, name, "accept", text=longest, long="€" * LONGEST_TEXT).status_code == 200
    assert site.queue.get(name).text == longest
    assert decide(client, site.ids[1], "accept", text="x" * (LONGEST_TEXT + 1)).status_code == 422
    assert decide(client, site.ids[1], "accept", text="x" * 900_000).status_code == 413
    assert decide(client, site.ids[1], "nonsense").status_code == 400
    assert decide(client, site.ids[1], "accept", event="1" * 30).status_code == 409
    assert site.queue.get(site.ids[1]).state == "suggested"


def test_pictures_are_made_anew_bounded_and_drawings_are_no_markup(tmp_path):
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>'
    made = [proposal(0), proposal(1, picture=Picture("svg", drawing)), proposal(2, picture=Picture("remote", "https://x.example/a.png")),
            proposal(3, picture=Picture("file", "../out.png", "../out.png")), proposal(4)]  # fmt: skip
    folder = tmp_path / "site"
    site = Served(folder, write_queue(folder, made))
    Image.new("RGB", (5000, 2500), "teal").save(folder / "0.png")
    (folder / "4.png").write_bytes((folder / "1.png").read_bytes()[:50])
    Image.new("RGB", (9, 9)).save(tmp_path / "out.png")
    client = site.person()
    answer = client.get(f"/picture/{site.ids[0]}")
    image = Image.open(io.BytesIO(answer.content))
    assert max(image.size) == LONGEST_SIDE and answer.headers["content-type"] == "image/jpeg"
    for name in site.ids[2:]:
        assert client.get(f"/picture/{name}").status_code == 404
        assert "The picture cannot be shown." in client.get(f"/text/{name}").text
    drawn = client.get(f"/picture/{site.ids[1]}")
    assert drawn.status_code == 404 or drawn.headers["content-type"] in ("image/png", "image/jpeg")
    assert "<svg" not in client.get(f"/text/{site.ids[1]}").text


def test_hostile_records_are_text_on_every_page(tmp_path):
    found = (LintFinding(HOSTILE, "error", HOSTILE, HOSTILE, HOSTILE),) * 3
    words = dict.fromkeys(("before", "after", "caption", "link", "link_text", "title", "page", "language"), HOSTILE)
    hostile = proposal(
        0, HOSTILE, document=f"a{HOSTILE}/x.html", reason=HOSTILE, alt=HOSTILE, state="text", role="complex",
        headings=(HOSTILE,) * 50, file_name=HOSTILE, picture=Picture("remote", HOSTILE), samples=(HOSTILE,) * 90,
        findings=found * 20, withheld=HOSTILE, long=HOSTILE, spans=(Span(3, 900, 2), Span(1, 2, 5), Span(-4, 9999, 1)),
        **words,
    )  # fmt: skip
    huge = proposal(
        1, "word" * 9000, before="x" * 2_000_000, headings=("h" * 90_000,) * 90, samples=("y" * 90_000,) * 200,
        link="/" + "a" * 500_000, picture=Picture("svg", "<svg" * 300_000),
    )  # fmt: skip
    site = Served(tmp_path, write_queue(tmp_path, [hostile, huge]))
    client = site.person("א <i>'\"{{ 7 }}")
    filters = {"document": MARKUP[:150], "sought": HOSTILE[:100], "finding": HOSTILE[:100], "state": "all"}
    pages = {"alt_welcome.html.jinja": [client.get("/begin")]}
    pages["alt_list.html.jinja"] = [client.get("/list"), client.get("/list", params=filters | {"page": MARKUP})]
    address = f"/text/{site.ids[0]}"
    first = client.get(address, params={"after": MARKUP})
    pages["alt_text.html.jinja"] = [
        first,
        client.get(f"/text/{site.ids[1]}"),
        client.get(f"{address}?{urlencode(filters)}"),
        decide(client, site.ids[0], "accept", text=f"{MARKUP} {TURNS}"),
    ]
    answer = decide(site.person("Bo"), site.ids[0], "refuse", page=first)
    pages["alt_text.html.jinja"] += [answer, client.get(address)]
    checked = client.post(
        f"/check/{site.ids[0]}", data={"proof": field(client.get("/begin"), "proof"), "text": HOSTILE}
    )
    pages["alt_checked.html.jinja"] = [checked]
    for template, answers in pages.items():
        for answer in answers:
            only_our_markup(answer.text, template, review=True)
    assert "&lt;hostile-one" in first.text and len(client.get(f"/text/{site.ids[1]}").text) < 250_000


def test_a_text_with_hidden_marks_is_stored_as_the_box_showed_it(tmp_path):
    site = Served(tmp_path, write_queue(tmp_path, [proposal(0, "Red\x1b[31m \u202edisc")]))
    client = site.person()
    decide(client, site.ids[0], "accept")
    assert (site.queue.get(site.ids[0]).state, site.queue.get(site.ids[0]).text) == ("edited", "Red disc")


def test_spans_are_cut_within_the_text():
    spans = [Span(1, 3, 2), Span(2, 5, 1), Span(4, 99, 1), Span(5, 6, 3)]
    found = [(part.text, part.said) for part in parts("abcdef", spans)]
    assert found == [("a", None), ("bc", 2), ("de", None), ("f", 3)]
    assert parts("", []) == [] and "".join(part.text for part in parts("abc", [Span(-3, 2, 1), Span(2, 1, 1)])) == "abc"


def test_a_failing_disk_is_told_and_names_no_file(site, monkeypatch):
    client = site.person()
    page = client.get(f"/text/{site.ids[0]}")

    def fail(*arguments, **named):
        raise TrifacetError("cannot use the queue /private/place: disk full")

    monkeypatch.setattr(site.queue, "decide", fail)
    answer = decide(client, site.ids[0], "accept", page=page)
    assert answer.status_code == 500 and "Your answer was not stored" in answer.text and "/private" not in answer.text
    assert site.told == ["cannot use the queue /private/place: disk full"]


def test_a_queue_of_another_version_is_refused_and_stays(tmp_path, trifacet):
    write_queue(tmp_path).close()
    path = tmp_path / "alt.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 99")
    base.close()
    before = path.read_bytes()
    code, _, err = trifacet("alt", "review", path, "--root", tmp_path)
    assert code == 2 and "no queue of this version" in err and path.read_bytes() == before
    assert trifacet("alt", "review", tmp_path / "none.sqlite")[0] == 2
    assert not (tmp_path / "none.sqlite").exists()
    for option, value in (("--root", tmp_path / "none"), ("--platform", "nonsense"), ("--person", "")):
        assert trifacet("alt", "review", path, option, value)[0] == 2


def test_what_another_process_decides_is_seen(site, tmp_path):
    client = site.person()
    assert "0 of 5 decided" in client.get("/list").text
    other = Queue(tmp_path / "alt.sqlite")
    other.decide(site.ids[0], "accepted", None, "import", other.get(site.ids[0]).event)
    other.put([replace(proposal(9), document="page-9.html")], "model")
    other.close()
    assert "1 of 6 decided" in client.get("/list").text
    last = max(one.event for one in site.queue.suggestions())
    assert [one.event for one in site.queue.suggestions(since=last - 1)] == [last]
