"""WordPress through its REST API against a small site: faults, what stands in the way, plans as files.

What a real WordPress does is looked at by ``test_real_wordpress``.
"""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from wordpress_parts import decided_queue, states
from wordpress_site import ACCOUNT, small_site

from trifacet.base.errors import DataError, TrifacetError
from trifacet.cli import main
from trifacet.describing.decided import DECIDED, decided
from trifacet.describing.place import Edit
from trifacet.describing.queue import Queue
from trifacet.describing.wordpress import connection
from trifacet.describing.wordpress.connection import Account, UnusableError, read_account, site_address
from trifacet.describing.wordpress.fetching import fetch
from trifacet.describing.wordpress.plan import read_plan, write_plan
from trifacet.describing.wordpress.planning import plan_of, unfit
from trifacet.describing.wordpress.putting import apply, undo
from trifacet.describing.wordpress.raw import patched, pictures_in
from trifacet.describing.wordpress.site import Site

POSTS = (
    '<!-- wp:image {"id":10} --><figure><img src="a.png" class="wp-image-10"/></figure><!-- /wp:image -->',
    "caf\u00e9 \U0001f600\r\n[caption]<img src='b.png' > x[/caption]\r\n\\ back",
    '<p><img src="c.png"> &amp; <img src="d.png" alt="Kept as it is"></p>',
)


@pytest.fixture
def small():
    with small_site() as site:
        site.add("attachment", source_url=f"{site.address}/a.png")
        for content in POSTS:
            site.add("post", content)
        yield site


def opened(small, account=ACCOUNT, tell=lambda line: None, **how):
    return Site.of(small.address, account, tell, **{"pause": 0.01, "tries": 3, "seconds": 5.0, **how})


def plan_for(small, folder, text_of=lambda number, place: f"Text {number}", **how):
    with closing(opened(small)) as site:
        (folder / "export.xml").write_bytes(fetch(site)[0])
    decided_queue(folder, "export.xml", text_of)
    with closing(Queue(folder / "queue.sqlite", writing=False)) as queue:
        made, posts, _ = plan_of(decided(queue.suggestions(states=DECIDED), folder), folder, **how)
    small.log.clear()
    small.saved.clear()
    return made, posts


def applied(small, plan, folder, **how):
    with closing(opened(small, **how)) as site:
        return apply(plan, site, folder / "journal")


def told(results):
    return [one.told for one in results]


def all_in_place(small):
    """Whether each picture has its text, and all else is as it was."""
    now = [post["content"] for post in small.posts.values() if post["type"] == "post"]
    assert len(now) == len(POSTS)  # no draft is left
    outside = [re.sub(' alt="Text [0-9]"', "", content) for content in now]
    return (
        outside == list(POSTS)
        and sum(content.count("alt=") for content in now) == 4
        and bool(small.posts[10]["alt_text"])
    )


def test_texts_are_put_in_place_once_and_given_back(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    assert [one.field for one in plan.updates] == ["content", "content", "content", "alt_text"]
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan and not small.saved
    content = (tmp_path / "plan.json").read_text()
    assert not [old for old in POSTS if json.dumps(old)[1:-1] in content]
    assert told(applied(small, plan, tmp_path)) == ["applied"] * 4 and all_in_place(small)
    assert small.posts[13]["content"].endswith('<img src="d.png" alt="Kept as it is"></p>')
    small.saved.clear()
    assert told(applied(small, plan, tmp_path)) == ["unchanged"] * 4 and not small.saved
    with closing(opened(small)) as site:
        assert told(undo(site, tmp_path / "journal")) == ["undone"] * 4
    assert [small.posts[number]["content"] for number in (11, 12, 13)] == list(POSTS)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "journal").rglob("*") if path.is_file())
    assert ACCOUNT.password.encode() not in kept and ACCOUNT.header.encode() not in kept


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_asked_again_and_nothing_is_written_twice(small, tmp_path, status):
    plan, _ = plan_for(small, tmp_path)
    failing = {2, 6, 9, 14, 15, 20}
    small.fault = lambda method, path, n: (status, {"Retry-After": "0"}, b"busy") if n in failing else None
    assert told(applied(small, plan, tmp_path)) == ["applied"] * 4 and all_in_place(small)


def test_a_write_whose_answer_is_lost_is_looked_for_before_it_is_sent_again(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    answer, lost = small.answer, []

    def once(method, route, query, body):
        done = answer(method, route, query, body)
        if method == "POST" and route.endswith(("/11", "/10")) and route not in lost:
            lost.append(route)
            small.fault = lambda *request: None
            return 502, {}
        return done

    small.answer = once
    assert told(applied(small, plan, tmp_path)) == ["applied"] * 4 and all_in_place(small)
    assert len(lost) == 2 and small.saved.count(10) == small.saved.count(11) == 1


@pytest.mark.parametrize("after", (3, 8, 10, 13, 18))
def test_a_run_that_ends_anywhere_goes_on(small, tmp_path, after):
    plan, _ = plan_for(small, tmp_path)
    small.fault = lambda method, path, n: (None, {}, b"") if n > after else None
    try:
        applied(small, plan, tmp_path, tries=1)
        assert after > 20
    except UnusableError as error:
        assert "the same command continues later" in str(error)
    small.fault = lambda method, path, n: None
    assert set(told(applied(small, plan, tmp_path))) <= {"applied", "unchanged"} and all_in_place(small)
    for number in (11, 12, 13, 10):
        assert small.saved.count(number) == 1
    with closing(opened(small)) as site:  # both runs are one
        undo(site, tmp_path / "journal")
    assert [small.posts[number]["content"] for number in (11, 12, 13)] == list(POSTS)


def test_a_long_wait_and_a_revoked_password_end_the_run(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    small.fault = lambda method, path, n: (503, {"Retry-After": "600"}, b"") if n > 12 else None
    with pytest.raises(UnusableError, match="asks to wait 600 s"):
        applied(small, plan, tmp_path)
    small.log.clear()
    error = json.dumps({"code": "incorrect_password", "message": ACCOUNT.password, "data": {"status": 401}}).encode()
    small.fault = lambda method, path, n: (401, {}, error) if n > 6 else None
    with pytest.raises(UnusableError, match=r"401 incorrect_password: \*\*\*; the site does not take"):
        applied(small, plan, tmp_path)


def test_changed_posts_are_named_and_left(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    small.posts[12]["content"] += " and more"
    small.posts[10]["alt_text"] = "By a person"
    results = applied(small, plan, tmp_path)
    assert told(results) == ["applied", "changed", "applied", "changed"]
    assert {10, 12}.isdisjoint(small.saved) and "changed since the export" in results[1].problem
    del small.posts[13]
    with closing(opened(small)) as site:
        results = undo(site, tmp_path / "journal")
    assert told(results) == ["refused", "undone"] and "is no longer there" in results[0].problem


def test_a_filter_is_found_out_in_a_draft_and_the_post_is_not_touched(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    small.kept = lambda name, text: text.replace("[caption]", "[cap]")
    results = applied(small, plan, tmp_path)
    assert told(results) == ["applied", "refused", "applied", "applied"] and 12 not in small.saved
    assert "'caf" not in results[1].problem and "[cap]" in results[1].problem


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"<br />\n<b>Notice</b>: {x} [y] in <b>/a.php</b>\n", b"\n\n  "])
def test_what_plugins_print_before_the_json_is_passed_over_and_told(small, tmp_path, before):
    plan, _ = plan_for(small, tmp_path)
    small.before, lines = before, []
    assert told(applied(small, plan, tmp_path, tell=lines.append)) == ["applied"] * 4
    assert len(lines) == (b"Notice" in before)  # once


def test_a_refusal_with_the_status_of_a_success_is_one(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    error = {"code": "rest_cannot_edit", "message": f"Sorry, {ACCOUNT.header}.", "data": {"status": 403}}
    body = b"<b>Notice</b>" + json.dumps(error).encode()
    small.fault = lambda method, path, n: (200, {}, body) if method == "POST" and "/11" in path else None
    results = applied(small, plan, tmp_path)
    assert told(results) == ["refused", "applied", "applied", "applied"] and "edit_others_posts" in results[0].problem
    assert "Sorry, Basic ***." in results[0].problem


def big(size):
    return [b" " * 1_000_000] * size


STOPS = {
    "another host": (
        (301, {"Location": "https://www.example.org/wp-json/"}, b""),
        "sends on to https://www.example.org",
    ),
    "another port": ((302, {"Location": "http://127.0.0.1:9/x"}, b""), "nothing is sent there"),
    "in a circle": ((302, {"Location": "/wp-json/"}, b""), "sends on more than 3 times"),
    "an HTML page": ((200, {}, b"<!doctype html><title>Hello"), "answers with an HTML page"),
    "broken JSON": ((200, {}, b'{"namespaces": ["wp/v2"'), "answers with no JSON"),
    "other JSON": ((200, {}, b'{"hello": 1}'), "is no WordPress site"),
    "deep JSON": ((200, {}, b"[" * 200_000), "answers with no JSON"),
    "packed": ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"), "packs its answer"),
    "not UTF-8": ((200, {}, b'{"a": "\xff"}'), "answers with no JSON"),
    "passwords off": (
        (200, {}, b'{"namespaces": ["wp/v2"], "authentication": []}'),
        "application passwords are off",
    ),
    "closed": (
        (401, {}, b'{"code": "rest_cannot_access", "message": "Members", "data": {"status": 401}}'),
        "keeps the REST API closed",
    ),
    "a firewall": ((403, {}, b"<html>Forbidden"), "a firewall"),
    "nothing there": ((404, {}, b"<html>Not found"), "no REST API was found there"),
}


@pytest.mark.parametrize("name", STOPS)
def test_what_is_no_site_ends_in_one_line(small, name):
    answer, words = STOPS[name]
    small.fault = lambda method, path, n: answer
    with pytest.raises(TrifacetError) as caught:
        opened(small)
    assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert ACCOUNT.password not in str(caught.value)


def test_an_endless_answer_and_a_silent_site_are_bounded(small, monkeypatch):
    monkeypatch.setattr(connection, "_MAX_BYTES", 3_000_000)
    small.fault = lambda method, path, n: (200, {}, big(40)) if "users" in path else None
    with pytest.raises(TrifacetError, match="more than 3 MB"):
        opened(small)
    small.fault = lambda method, path, n: time.sleep(1.5) if "users" in path else None
    began = time.monotonic()
    with pytest.raises(UnusableError, match="no answer in time"):
        opened(small, seconds=0.2, tries=2)
    assert time.monotonic() - began < 1.4


def test_without_pretty_permalinks_the_other_form_is_found(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    small.fault = lambda method, path, n: (404, {}, b"<html>") if path.startswith("/wp-json") else None
    assert told(applied(small, plan, tmp_path)) == ["applied"] * 4 and all_in_place(small)


def test_the_front_page_may_name_another_place_of_the_same_site_alone(small):
    def fault(method, path, n):
        if path == "/":
            return 200, {"Link": f'<{place}>; rel="https://api.w.org/"'}, b"<html>"
        return (404, {}, b"<html>") if not path.startswith("/api") else (
            200, {}, b'{"namespaces": ["wp/v2"]}' if path == "/api/" else b'{"id": 3}')  # fmt: skip

    small.fault, place = fault, f"{small.address}/api/"
    with closing(opened(small)) as site:
        assert site.me == 3
    place = "https://elsewhere.example/wp-json/"
    with pytest.raises(TrifacetError, match=r"names https://elsewhere\.example/wp-json/ as its own"):
        opened(small)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://example.org", "by https"),
        ("http://192.168.0.4", "by https"),
        ("https://ada:secret@example.org", "holds an account"),
        ("ftp://example.org", "is no address"),
        ("https://example.org/?p=1", "is no address"),
        ("https://example.org:99999", "is no address"),
        ("example.org", "is no address"),
    ],
)
def test_addresses_that_may_not_be_asked(address, words):
    with pytest.raises(TrifacetError, match=words) as caught:
        site_address(address)
    assert "secret" not in str(caught.value)
    assert site_address("https://Example.org:8443/blog/") == "https://example.org:8443/blog"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl, which makes the certificate")
def test_a_certificate_that_is_not_trusted_is_refused(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def greet():
            peer, _ = listening.accept()
            try:
                with context.wrap_socket(peer, server_side=True) as secure:
                    heard.append(secure.recv(100))
            except OSError:
                peer.close()

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(UnusableError, match="mend the site's certificate"):
            Site.of(f"https://localhost:{listening.getsockname()[1]}", ACCOUNT, tries=1)
    assert not heard


def test_the_password_comes_from_the_environment_or_a_file_and_is_shown_nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv(connection.PASSWORD, raising=False)
    with pytest.raises(TrifacetError, match="holds no application password"):
        read_account("ada", None)
    monkeypatch.setenv(connection.PASSWORD, "abcd efgh")
    account = read_account("ada", None)
    assert "abcd" not in repr(account) and account == Account("ada", "abcd efgh")
    (tmp_path / "password").write_text("of a file\n")
    assert read_account("ada", tmp_path / "password").password == "of a file"
    for wrong, words in (("", "give --user"), ("a:b", "no name")):
        with pytest.raises(TrifacetError, match=words):
            read_account(wrong, None)
    (tmp_path / "password").write_text("two\nlines")
    with pytest.raises(TrifacetError, match="cannot be an application password"):
        read_account("ada", tmp_path / "password")


@pytest.mark.parametrize(
    ("alt", "kept"),
    [
        ("100 % wool", True),
        ("50%ab", False),
        ("a < b", False),
        ("a > b & c", True),
        ("C:\\x", False),
        ("a  b", False),
    ],
)
def test_texts_that_the_media_library_would_not_keep_are_named_before(alt, kept):
    assert (unfit(alt) == "") is kept


def test_shortcodes_in_a_text_do_not_run():
    (one,) = pictures_in('<img src="a.png">', "post 1")
    new = patched(
        '<img src="a.png">',
        {one.place.key: Edit("a [gallery] b")},
        "post 1",
    )
    assert "[" not in new and "&#091;gallery&#093;" in new


def test_empty_texts_of_posts_get_that_of_the_library_where_it_is_asked_for(small, tmp_path):
    small.posts[11]["content"] = POSTS[0].replace("/></fig", ' alt=""/></fig')
    plan, _ = plan_for(small, tmp_path, lambda number, place: f"Text of {place.picture.address[-5:]}")
    assert 11 not in [one.post for one in plan.updates]
    with closing(Queue(tmp_path / "queue.sqlite", writing=False)) as queue:
        found = decided(queue.suggestions(states=DECIDED), tmp_path)
    plan, _, _ = plan_of(found, tmp_path, from_library=True)
    (update,) = [one for one in plan.updates if one.post == 11]
    assert [text.alt for text in update.texts] == ["Text of a.png"]
    applied(small, plan, tmp_path)
    assert small.posts[11]["content"] == POSTS[0].replace("/></fig", ' alt="Text of a.png"/></fig')


DAMAGES = {
    "no JSON": lambda plan: "{",
    "another kind": lambda plan: json.dumps({**plan, "kind": "x"}),
    "another version": lambda plan: json.dumps({**plan, "version": 2}),
    "a digest": lambda plan: json.dumps({**plan, "updates": [{**plan["updates"][0], "digest": "x"}]}),
    "a number": lambda plan: json.dumps({**plan, "updates": [{**plan["updates"][0], "post": -1}]}),
    "a kind with a path": lambda plan: json.dumps({**plan, "updates": [{**plan["updates"][0], "type": "../x"}]}),
    "twice": lambda plan: json.dumps({**plan, "updates": [plan["updates"][0]] * 2}),
    "a list": lambda plan: "[]",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_plan_is_one_line(small, tmp_path, name):
    plan, _ = plan_for(small, tmp_path)
    write_plan(plan, tmp_path / "plan.json")
    (tmp_path / "plan.json").write_text(DAMAGES[name](json.loads((tmp_path / "plan.json").read_text())))
    with pytest.raises(DataError) as caught:
        read_plan(tmp_path / "plan.json")
    assert len(str(caught.value).splitlines()) == 1 and "plan.json" in str(caught.value)


def test_a_plan_whose_texts_were_changed_by_hand_is_refused(small, tmp_path):
    plan, _ = plan_for(small, tmp_path)
    write_plan(plan, tmp_path / "plan.json")
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace("Text 1", "Another"))
    results = applied(small, read_plan(path), tmp_path)
    assert "refused" in told(results) and any("make the plan anew" in one.problem for one in results)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    def command(*words):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["trifacet", "alt", "wordpress", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main.main()
        said = capsys.readouterr()
        assert ACCOUNT.password not in said.out + said.err
        return end.value.code, said.out, said.err

    return command


def test_the_commands_from_a_site_to_its_texts_and_back(small, tmp_path, run, monkeypatch):
    monkeypatch.setenv(connection.PASSWORD, ACCOUNT.password)
    site = ("--site", small.address, "--user", "ada")
    assert run("fetch", *site)[:2] == (0, "wordpress.xml: 3 post, 1 attachment\n")
    decided_queue(tmp_path, "wordpress.xml", lambda number, place: f"Text {number}", "alt-queue.sqlite")
    code, said, _ = run("plan")
    assert code == 0 and "+[caption]<img alt=\"Text 1\" src='b.png' > x[/caption]" in said
    small.log.clear()
    code, said, _ = run("apply", *site, "--dry-run")
    assert (code, said.splitlines()[-1]) == (0, "4 fields of posts would change, 4 texts")
    assert not [one for one in small.log if one[0] != "GET"]
    assert run("apply", *site)[:2] == (0, "4 fields of posts changed, 4 texts\n")
    assert states(tmp_path, "alt-queue.sqlite") == {"applied": 4}
    assert run("undo", *site)[:2] == (0, "4 fields of posts given back, 4 texts\n")
    assert states(tmp_path, "alt-queue.sqlite") == {"accepted": 4}
    code, _, said = run("apply", "--site", "http://127.0.0.1:9", "--user", "ada")
    assert code == 2 and f"is for {small.address}, not for http://127.0.0.1:9" in said
    with closing(Queue(tmp_path / "alt-queue.sqlite")) as queue:
        one = queue.suggestions()[0]
        queue.decide(one.id, "refused", None, "Ada", one.event)
    code, said, errors = run("apply", *site)
    assert code == 1 and "another decision by now (refused)" in errors and "3 texts; 1 refused" in said
