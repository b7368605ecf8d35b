"""A web server on loopback that gives images and misbehaves on demand, and pictures to give."""

import io
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


def picture(color="red", size=(40, 30), format="PNG", **options) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, color).save(data, format, **options)
    return data.getvalue()


def moving(format) -> bytes:
    data = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue")]
    frames[0].save(data, format, save_all=True, append_images=frames[1:])
    return data.getvalue()


def noisy_jpeg() -> bytes:
    data = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(data, "JPEG")
    return data.getvalue()


class ImageServer(ThreadingHTTPServer):
    """``pages``: functions of the request handler by path; ``asked`` counts requests, ``times`` says when they came."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host):
        super().__init__((host, 0), _Handler)
        self.pages, self.asked, self.times, self.headers = {}, Counter(), [], []
        self.url = f"http://{host}:{self.server_port}"

    def give(self, path, body, status=200, **headers) -> str:
        """Answer so at ``path``; returns the address."""
        self.pages[path] = lambda handler: handler.answer(status, body, headers)
        return self.url + path

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked[self.path] += 1
        self.server.times.append(time.monotonic())
        self.server.headers.append(dict(self.headers))
        self.server.pages.get(self.path, lambda handler: handler.answer(404, b"none", {}))(self)

    def answer(self, status, body, headers):
        self.send_response(status)
        headers = {"Content-Length": str(len(body)), "Content-Type": "text/plain"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextmanager
def serving(host="127.0.0.1"):
    server = ImageServer(host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
