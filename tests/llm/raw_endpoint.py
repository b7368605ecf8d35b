"""A server on loopback that answers with whatever bytes it is given: what no well-behaved endpoint would send."""

import json
import socket
import threading
from collections.abc import Callable, Iterable

Answer = Callable[[bytes], Iterable[bytes]]  # from a request's body to the pieces of a response


def completion(text='{"answer": "x"}', **beside) -> dict:
    """A chat completion, with what stands beside its text."""
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "finish_reason": "stop"}]} | beside


def response(body: bytes | dict, status="200 OK", **headers) -> list[bytes]:
    """A response with this body, in one piece; it says that the connection ends, as it does."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Length": len(content), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return [f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1"), content]


class RawEndpoint:
    """Used as ``with RawEndpoint(answer) as endpoint``; ``received`` are the requests, head and body."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self.received = answer, []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.base_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection) -> None:
        with connection, connection.makefile("rb") as reading:
            try:
                lines = list(iter(reading.readline, b"\r\n"))
                length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
                body = reading.read(length)
                self.received.append((b"".join(lines), body))
                for piece in self._answer(body):
                    connection.sendall(piece)
            except (OSError, StopIteration):  # who asked has left
                pass
