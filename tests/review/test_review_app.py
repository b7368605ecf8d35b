"""The pages of a review, asked without a browser: who gets in, what they are shown, what is stored."""

import io
import re

import pytest
from hostile_pages import HOSTILE, MARKUP, TURNS, only_our_markup
from PIL import Image
from reviews import NAMES, write_lines, write_review

from trifacet.base.errors import TrifacetError
from trifacet.review.desk import judges_name
from trifacet.review.order import first_side, judges_order
from trifacet.review.pairs import read_review
from trifacet.review.store import Store
from trifacet.web.access import Access, may_be_called

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")

from starlette.testclient import TestClient

from trifacet.review.app import LONGEST_COMMENT, create_app
from trifacet.review.desk import Desk
from trifacet.review.pictures import LONGEST_SIDE, Pictures
from trifacet.web.guard import POLICY


class Site:
    """A review with its application; ``client`` is a new browser."""

    def __init__(self, folder, judges=(), host="127.0.0.1"):
        review = read_review(folder / "a.jsonl", folder / "b.jsonl", folder / "test.jsonl", names=NAMES)
        self.store, self.review = Store(folder / "votes.sqlite", review), review
        self.access, self.told = Access(self.store.secret, judges), []
        self.app = create_app(Desk(self.store, review, Pictures(folder)), self.access, host, self.told.append)

    def client(self):
        return TestClient(self.app, base_url="http://127.0.0.1:8737")

    def judge(self, name="Ada", **fields):
        """A browser of a judge who has begun."""
        client = self.client()
        client.get("/", params={"token": self.access.token(name if self.access.judges else "")})
        answer = client.post("/begin", data={"name": name, "proof": proof(client.get("/begin")), **fields})
        assert answer.status_code == 200, answer.text
        return client

    def shown(self, judge, position):
        """The sample at a position and the texts as this judge is to see them."""
        pair = self.review.pairs[judges_order(self.store.seed, judge, len(self.review.pairs))[position - 1]]
        first = first_side(self.store.seed, judge, pair.id)
        return pair, first, pair.texts if first == "A" else pair.texts[::-1]


def proof(page):
    return re.search(r'name="proof" value="([^"]+)"', page.text)[1]


def vote(client, position, choice, **fields):
    page = client.get(f"/sample/{position}")
    return client.post(f"/sample/{position}", data={"proof": proof(page), "choice": choice, **fields})


@pytest.fixture
def folder(tmp_path):
    write_review(tmp_path)
    return tmp_path


@pytest.fixture
def site(folder):
    return Site(folder)


PATHS = ["/", "/begin", "/sample/1", "/answers", "/picture/1/0", "/docs", "/openapi.json"]


def test_nobody_comes_in_without_the_link(site):
    for path in PATHS[:5]:
        assert site.client().get(path).status_code == 403
        assert site.client().get(path, params={"token": "wrong"}).status_code == 403
        session = site.access.session("Ada")
        forged = {site.access.cookie: session[:-1] + ("y" if session.endswith("x") else "x")}
        assert TestClient(site.app, base_url="http://127.0.0.1", cookies=forged).get(path).status_code == 403
    for path in ("/begin", "/sample/1"):
        assert site.client().post(path, data={"name": "Ada", "choice": "1"}).status_code == 403
    assert site.client().get("/", params={"token": "é\0"}).status_code == 403
    assert not site.store.judges() and not site.store.votes()


def test_the_link_leaves_a_strict_cookie_and_takes_the_token_out_of_the_address(site):
    answer = site.client().get("/", params={"token": site.access.token()}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and site.access.token().lower() not in cookie
    assert '<meta http-equiv="refresh" content="0; url=/">' in answer.text and site.access.token() not in answer.text


def test_links_of_one_store_stay_and_fit_no_other(folder, site, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_review(other)
    assert Site(folder).access.token("Ada") == site.access.token("Ada") != site.access.token("Bob")
    assert Site(other).access.admitted(site.access.token()) is None
    assert Site(other).access.visitor(site.access.session("Ada")) is None
    assert site.access.cookie != Site(other).access.cookie  # cookies are shared among the ports of a host


def test_a_judge_of_ones_own_link_is_no_other(folder):
    site = Site(folder, judges=("Ada", "Bob"))
    assert site.client().get("/", params={"token": site.access.token()}).status_code == 403  # there is no link for all
    ada = site.judge("Ada")
    ada.post("/begin", data={"name": "Bob", "proof": proof(ada.get("/begin"))})
    assert [judge.name for judge in site.store.judges()] == ["Ada"]
    assert Access(site.store.secret, ("Bob",)).visitor(site.access.session("Ada")) is None


@pytest.mark.parametrize(
    ("header", "bound", "fine"),
    [
        ("127.0.0.1:8737", "127.0.0.1", True), ("localhost:9", "127.0.0.1", True), ("[::1]:8737", "::1", True),
        ("evil.example", "127.0.0.1", False), ("localhost.evil.example", "127.0.0.1", False), ("", "127.0.0.1", False),
        ("192.168.0.7:8737", "127.0.0.1", False), ("192.168.0.7:8737", "0.0.0.0", True),
        ("evil.example:8737", "0.0.0.0", False), ("desk.example:8737", "desk.example", True),
    ],
)  # fmt: skip
def test_only_our_own_names_are_answered(site, header, bound, fine):
    assert may_be_called(header, bound) == fine
    if bound == "127.0.0.1":
        answer = site.client().get("/", params={"token": site.access.token()}, headers={"Host": header})
        assert (answer.status_code == 200) == fine and ("set-cookie" in answer.headers) == fine


def test_every_answer_keeps_scripts_frames_and_caches_out(site):
    client = site.judge()
    for path in [*PATHS, "/static/live.js", "/static/../app.py", "/nothing", "/sample/0", "/sample/99", "/sample/²"]:
        answer = client.get(path)
        assert answer.headers["content-security-policy"] == POLICY and "unsafe" not in POLICY
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff"
        assert (
            not re.search(r"<script(?! defer src=\"/static/)|\son\w+=|style=|https?://", answer.text)
            or "/static/" in path
        )
    assert [client.get(path).status_code for path in ("/docs", "/sample/99", "/sample/²", "/static/x")] == [404] * 4


def test_no_page_says_whose_text_is_whose(site):
    client = site.judge()
    pages = [client.get("/begin"), client.get("/sample/1")]
    pages += [vote(client, position, "1") for position in (1, 2, 3, 4)]
    pages += [client.get("/sample/2"), client.get("/answers")]
    everything = "".join(page.text + str(page.headers) for page in pages)
    assert not [
        word for word in (*NAMES, "a.jsonl", "b.jsonl", site.store.seed, str(site.store.path)) if word in everything
    ]


def test_texts_are_shown_escaped_in_this_judges_order_and_votes_say_which(site):
    for name in ("Ada", "Bob"):
        client = site.judge(name)
        for position in range(1, 5):
            pair, first, texts = site.shown(name, position)
            page = client.get(f"/sample/{position}").text
            assert page == client.get(f"/sample/{position}").text  # a reload shows the same
            at = [page.index(text.split("<")[0].strip()) for text in texts]
            assert at == sorted(at) and "<script>document" not in page and f"Post {pair.id[1]} &lt;b&gt;&amp;" in page
            vote(client, position, "2", comment="fine")
            stored = site.store.counting(name)[pair.id]
            assert (stored.first, stored.choice, stored.comment, stored.saw) == (first, "second", "fine", True)
            assert stored.outcome == ("lose" if first == "A" else "win")


def test_progress_undo_and_the_end(site):
    client = site.judge()
    assert "0 of 4 answered" in client.get("/").text
    page = vote(client, 2, "tie")
    assert page.url.path == "/sample/3" and "Sample 2: tie, stored." in page.text and "1 of 4 answered" in page.text
    back = client.get("/sample/2").text
    assert re.search(r'<button name="choice" value="tie"[^>]* class="given"', back)
    assert vote(client, 2, "1").url.path == "/sample/3"
    vote(client, 3, "skip")
    assert vote(client, 4, "2").url.path == "/sample/1"  # round to what was left out
    end = vote(client, 1, "1")
    assert end.url.path == "/answers" and "All samples are done" in end.text and "1 of them skipped" in end.text
    assert client.get("/").url.path == "/answers"
    assert [choice.choice for choice in site.store.votes()] == ["tie", "first", "skip", "second", "first"]


def test_only_our_own_forms_are_taken(site):
    client = site.judge()
    for fields in ({"choice": "1"}, {"choice": "1", "proof": "x"}, {"choice": "1", "proof": site.access.proof("Bob")}):
        assert client.post("/sample/1", data=fields).status_code == 403
    good = {"proof": proof(client.get("/sample/1"))}
    for fields, status in (
        ({"choice": "3"}, 400), ({}, 400), ({"choice": "1", "comment": "x" * (LONGEST_COMMENT + 1)}, 413),
        ({"choice": "1", "comment": "x" * 70_000}, 413), ({str(k): "" for k in range(30)}, 400),
    ):  # fmt: skip
        assert client.post("/sample/1", data=good | fields).status_code == status
    assert not site.store.votes()
    longest = "ü\r\n" * (LONGEST_COMMENT // 2)  # a browser counts a line's end as one character
    assert client.post("/sample/1", data=good | {"choice": "1", "comment": longest}).status_code == 200
    assert site.store.votes()[0].comment == longest.replace("\r\n", "\n").strip()


def test_an_answer_after_the_link_was_opened_anew_is_refused_and_said_so(site):
    client = site.judge()
    page = client.get("/sample/1")
    client.get("/", params={"token": site.access.token()})
    for sent in (proof(page), proof(client.get("/begin"))):
        answer = client.post("/sample/1", data={"choice": "1", "proof": sent}, follow_redirects=False)
        assert answer.status_code == 409 and "Your answer was not stored" in answer.text
    assert not site.store.votes() and client.get("/sample/1").url.path == "/begin"


def test_names_are_checked_and_not_taken_by_accident(site):
    vote(site.judge("Ada"), 1, "1")
    client = site.client()
    client.get("/", params={"token": site.access.token()})
    for name in ("", "  ", "x" * 61, "a\u202eb", "\0"):
        page = client.post("/begin", data={"name": name, "proof": proof(client.get("/begin"))})
        assert page.status_code == 422 and 'aria-invalid="true"' in page.text
    page = client.post("/begin", data={"name": "ADA", "proof": proof(client.get("/begin"))})
    assert "has begun already and given 1" in page.text and len(site.store.judges()) == 1
    assert client.get("/sample/1").url.path == "/begin"
    page = client.post("/begin", data={"name": "Ada", "known": "Ada", "proof": proof(page)})
    assert "1 of 4 answered" in page.text
    assert judges_name("  Ada \n Lovelace ") == "Ada Lovelace"


def test_images_are_made_anew_and_bounded(folder, site):
    Image.new("RGB", (5000, 2500), "teal").save(folder / "0.jpg", comment=b"secret comment")
    client = site.judge()
    for position in range(1, 5):
        answer = client.get(f"/picture/{position}/0")
        image = Image.open(io.BytesIO(answer.content))
        assert answer.headers["content-type"] == f"image/{image.format.lower()}"
        assert b"secret" not in answer.content and not image.getexif() and "comment" not in image.info
        assert max(image.size) <= LONGEST_SIDE
    assert [client.get(f"/picture/{path}").status_code for path in ("1/1", "1/-1", "5/0", "../0.jpg", "1/0.jpg")] == [
        404
    ] * 5


def test_a_judge_without_images_gets_none_and_the_votes_say_so(site):
    client = site.judge(hide="1")
    page = client.get("/sample/1").text
    assert "<img" not in page and "The image is hidden, as you chose." in page
    assert client.get("/picture/1/0").status_code == 404
    vote(client, 1, "1")
    assert not site.store.votes()[0].saw


def test_what_cannot_be_shown_is_told(folder):
    rows = [
        {"id": "none", "context": "", "references": []},
        {"id": "gone", "image": "gone.jpg", "context": "x", "prompt": "Ask this", "references": []},
        {"id": "outside", "image": "../secret.jpg", "context": "x" * 5000, "references": []},
        {"id": "damaged", "image": "damaged.jpg", "context": "x", "references": []},
        {"id": "null", "image": "\0.jpg", "context": "x", "references": []},
    ]
    Image.new("RGB", (9, 9)).save(folder.parent / "secret.jpg")
    (folder / "damaged.jpg").write_bytes((folder / "1.jpg").read_bytes()[:400])
    write_lines(folder / "test.jsonl", rows)
    write_lines(folder / "a.jsonl", [{"id": row["id"], "text": ""} for row in rows])
    write_lines(folder / "b.jsonl", [{"id": row["id"], "text": "  \n"} for row in rows])
    site = Site(folder)
    client = site.judge()
    for position in range(1, 6):
        pair = site.shown("Ada", position)[0]
        page = client.get(f"/sample/{position}").text
        assert page.count("This text is empty.") == 2 and "The two texts are the same" in page and "<img" not in page
        assert ("This post has no image." if pair.id == "none" else "The image of this post cannot be shown.") in page
        assert ("This post has no words." in page) == (pair.id == "none") and ("Ask this" in page) == (
            pair.id == "gone"
        )
        assert ('aria-label="Words of the post"' in page) == (pair.id == "outside")  # long: scrolls by the keyboard
        assert client.get(f"/picture/{position}/0").status_code == 404


def test_a_vote_that_cannot_be_stored_is_not_acknowledged(site, monkeypatch):
    client = site.judge()

    def fail(*arguments, **named):
        raise TrifacetError("cannot use the store /private/place: disk full")

    monkeypatch.setattr(site.store, "vote", fail)
    answer = vote(client, 1, "1")
    assert answer.status_code == 500 and "Your answer was not stored" in answer.text and "/private" not in answer.text
    assert site.told == ["cannot use the store /private/place: disk full"]


def test_hostile_texts_names_and_comments_are_text_on_every_page(folder):
    rows = [{"id": f"{place} {HOSTILE}", "image": "0.jpg", "context": HOSTILE, "prompt": HOSTILE} for place in (1, 2)]
    write_lines(folder / "test.jsonl", [row | {"references": []} for row in rows])
    for name, text in (("a.jsonl", HOSTILE), ("b.jsonl", "word" * 5000)):
        write_lines(folder / name, [{"id": row["id"], "text": text} for row in rows])
    site = Site(folder)
    name = "\u05d0 <i>'\"{{ 7 }}"
    client, other = site.judge(name), site.client()
    other.get("/", params={"token": site.access.token()})
    pages = {
        "entering.html.jinja": [client.get("/", params={"token": site.access.token(), "after": MARKUP})],
        "welcome.html.jinja": [
            other.post("/begin", data={"name": given, "proof": proof(other.get("/begin"))}) for given in (MARKUP, name)
        ],
    }
    client = site.judge("other")
    pages["sample.html.jinja"] = [
        client.get("/sample/1"),
        vote(client, 1, "1", comment=f"{MARKUP} {TURNS}"),
        client.get("/sample/1", params={"after": MARKUP}),
    ]
    pages["answers.html.jinja"] = [vote(client, 2, "skip", comment=HOSTILE), client.get("/answers")]
    pages["problem.html.jinja"] = [client.get(f"/sample/{TURNS}"), client.get("/static/<b>"), client.post("/answers")]
    for template, answers in pages.items():
        for answer in answers:
            only_our_markup(answer.text, template, review=True)
    assert "&lt;hostile-one" in pages["sample.html.jinja"][2].text
    only_our_markup(pages["problem.html.jinja"][0].text, "base.html.jinja", review=True)  # the frame of them all
