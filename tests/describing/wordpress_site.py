"""A small HTTP server that answers as WordPress's REST API does (as a real one was seen to), with faults on demand."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from trifacet.describing.wordpress.connection import Account

ACCOUNT = Account("ada", "abcd EFGH 1234 ijkl")
TYPES = {"post": "posts", "page": "pages", "attachment": "media"}


class SmallSite:
    """``posts`` by number; ``log`` of what was asked, ``saved`` of what was saved; ``fault`` may answer for the site.

    ``fault(method, route, number)`` gives None, or (status, headers, body); ``number`` counts the requests from 1.
    ``kept(name, text)`` is what becomes of a text that is saved.
    """

    def __init__(self):
        self.posts, self.log, self.saved = {}, [], []
        self.fault = lambda method, route, number: None
        self.kept = lambda name, text: text
        self.before = b""  # what stands before each body
        self.address = ""

    def add(self, kind, content="", title="A title", **more):
        number = len(self.posts) + 10
        texts = {"title": title, "alt_text": "", **dict.fromkeys(("description", "caption", "excerpt"), "")}
        post = {"type": kind, "content": content, "status": "publish", "slug": f"s{number}", **texts}
        self.posts[number] = post | more
        return number

    def answer(self, method, route, query, body):
        parts = route.strip("/").split("/")
        kinds = {base: name for name, base in TYPES.items()}
        own = {
            "": {"name": "Small", "namespaces": ["wp/v2"], "authentication": {"application-passwords": {}}},
            "wp/v2/users/me": {"id": 7},
            "wp/v2/types": {name: {"rest_base": base, "rest_namespace": "wp/v2"} for name, base in TYPES.items()},
        }
        if route.strip("/") in own:
            return 200, own[route.strip("/")]
        if len(parts) < 3 or parts[2] not in kinds:
            return 404, {"code": "rest_no_route", "message": "No route.", "data": {"status": 404}}
        return self.posted(method, kinds[parts[2]], [int(one) for one in parts[3:]], query, body)

    def posted(self, method, kind, numbers, query, body):
        if not numbers and method == "GET":
            asked = query.get("status", ["publish"])[0].replace("any", "publish")
            fits = [number for number, post in self.posts.items() if (post["type"], post["status"]) == (kind, asked)]
            return 200, [self.told(number) for number in fits]
        if not numbers:
            number = self.add(kind, status=body.get("status", "draft"))
            self.save(number, body)
            return 201, self.told(number)
        (number,) = numbers
        if number not in self.posts:
            return 404, {"code": "rest_post_invalid_id", "message": "Invalid post ID.", "data": {"status": 404}}
        if method == "DELETE":
            del self.posts[number]
            return 200, {"deleted": True}
        if method == "POST":
            self.save(number, body)
        return 200, self.told(number)

    def save(self, number, body):
        self.saved.append(number)
        for name, text in body.items():
            self.posts[number][name] = self.kept(name, text)

    def told(self, number):
        post = self.posts[number]
        raw = {name: {"raw": post[name]} for name in ("title", "content", "excerpt", "description", "caption")}
        links = {"wp:action-unfiltered-html": []}
        return {"id": number, **post, **raw, "_links": links}


@contextmanager
def small_site():
    """The site, listening at a free port of this machine until the block ends."""
    site = SmallSite()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_all(self):
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            route = query["rest_route"][0] if "rest_route" in query else parts.path.removeprefix("/wp-json")
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length) or b"{}")
            site.log.append((self.command, route, body))
            said = site.fault(self.command, self.path, len(site.log))
            if said is None and self.headers.get("Authorization") != ACCOUNT.header:
                error = {"code": "rest_not_logged_in", "message": "Not logged in.", "data": {"status": 401}}
                said = 401, {}, json.dumps(error).encode()
            if said is None:
                status, value = site.answer(self.command, route, query, body)
                said = status, {"Content-Type": "application/json"}, site.before + json.dumps(value).encode()
            status, headers, content = said
            if status is None:
                self.close_connection = True  # broken off
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            size = sum(map(len, content)) if isinstance(content, list) else len(content)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            for part in content if isinstance(content, list) else [content]:
                try:
                    self.wfile.write(part)
                except OSError:  # the other side has had enough
                    self.close_connection = True
                    return

        do_GET = do_POST = do_DELETE = handle_all

        def log_message(self, *parts):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join(5)
