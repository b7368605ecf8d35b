"""Where the time of one request to ``trifacet serve`` goes: computing time by part, one client, one thread.

    python bench/serve_profile.py                   # the model and pictures of serve_load.py; some seconds
    python bench/serve_profile.py --requests 40

The server runs in this process. Computing time is that of the thread that does the part, so that other work on the
machine does not count; what other processes decode of pictures is not in it. Printed are milliseconds of a request and
their share of the whole process, and for the tokens how much of them the model's own forward takes.
"""

from __future__ import annotations

import argparse
import collections
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
from serve_load import Server, make_model, make_pictures

from trifacet.engine import continuing
from trifacet.engine.growing import Grove
from trifacet.serving.app import create_app
from trifacet.serving.desk import Desk
from trifacet.serving.hosted import host
from trifacet.serving.limits import Limits
from trifacet.web import server

TOKENS = 32
PARTS = {
    "tokens, one after another": (Grove, "grow"),
    "picture and prompt": (Grove, "plant"),
    "reading the request": (Desk, "_put"),
    "choosing tokens": (continuing, "_give"),
}


class Clock:
    """Computing seconds by part."""

    def __init__(self) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()

    def on(self, owner: Any, name: str, part: str) -> None:
        """Have a function of a class or module counted."""
        counted = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return counted(*arguments, **options)
            finally:
                self.seconds[part] += time.thread_time() - began

        setattr(owner, name, timed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    clock = Clock()
    for part, (owner, name) in PARTS.items():
        clock.on(owner, name, part)
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(
            host({"m": str(make_model(Path(folder) / "model", TOKENS))}, dtype="float32", device="cpu"), Limits()
        )
        family = type(desk.hosted["m"].encoder.family)
        for name in ("hidden", "logits"):  # transformers' modules, as they come
            clock.on(family, name, "of the first two, transformers' layers and head")
        bound = server.bind("127.0.0.1", 0)
        app = create_app(desk, "127.0.0.1", None, print)
        threading.Thread(target=server.serve, args=(app, bound), kwargs={"answering": 400.0}, daemon=True).start()
        asked = Server.__new__(Server)  # one that runs already
        asked.model, asked.address, asked.log = "m", server.address_of(bound, "127.0.0.1"), Path("trifacet.log")
        pictures = make_pictures(given.requests + 2, 640)
        for picture in pictures[:2]:
            asked.ask(picture, TOKENS)
        clock.seconds.clear()
        began = time.process_time()
        for picture in pictures[2:]:
            asked.ask(picture, TOKENS)
        whole = time.process_time() - began
        desk.end()
    clock.seconds["the rest"] = whole - sum(clock.seconds[part] for part in PARTS)
    print("| part | ms | share |\n|---|---|---|")
    for part, seconds in clock.seconds.most_common():
        print(f"| {part} | {1000 * seconds / given.requests:.1f} | {seconds / whole:.0%} |")
    print(f"| whole | {1000 * whole / given.requests:.1f} | 100% |")


if __name__ == "__main__":
    main()
