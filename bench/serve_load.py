"""Requests with pictures to ``trifacet serve`` and ``transformers serve``, with one checkpoint, in one run on loopback.

    python bench/serve_load.py                      # 1, 4 and 16 clients, 48 requests each; some minutes on two cores
    python bench/serve_load.py --clients 16 --requests 200 --tokens 64
    python bench/serve_load.py --samples 3          # three texts of each picture: ``n`` here, one by one there

Both run at once, each in a process of its own with ``--threads`` threads, and are asked in turn: of each number of
clients first one, then the other. A client sends its next request when it has the last one's answer. All pictures
differ. The run ends without a table unless every request was answered, greedy ones with all their tokens, and both
wrote the same greedy texts. Columns: requests a second, the 50th and 99th percentile of a request's seconds, and how
many times as many requests a second. With ``--samples`` a row's requests are pictures, with all texts of each.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trifacet.demo.tiny import make_tiny_llava
from trifacet.models.loading import load_model
from trifacet.models.settings import TinyModel

START_SECONDS, REQUEST_SECONDS = 180, 120
WORDS = "a red kite over Lisbon with two dogs and their quiet friend Ada near the old harbour wall"
POST = f"Write alt-text for the picture.\nContext:\n{WORDS}"
OURS, OTHER = "trifacet serve", "transformers serve"
_TRANSFORMERS = "import sys; sys.argv[0] = 'transformers'; from transformers.cli.transformers import main; main()"


def make_model(folder: Path, tokens: int) -> Path:
    """A checkpoint whose greedy texts never end by themselves, so that all have the same length."""
    spec = TinyModel(hidden_size=128, layers=4, heads=4, vision_hidden_size=64, vision_layers=3, vision_heads=4,
                     image_size=56, patch_size=7, vocabulary=600)  # fmt: skip
    made = make_tiny_llava(spec, [POST], folder, seed=3)
    loaded = load_model(made, device="cpu")
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.15, generator=rng)
        # ends, and placeholders of pictures, which ours never writes: their logits are the mean, never the largest
        special = sorted({*loaded.processor.tokenizer.all_special_ids, *loaded.family.reserved_ids})
        loaded.model.lm_head.weight[special] = loaded.model.lm_head.weight.mean(0)
    loaded.model.generation_config.max_new_tokens = tokens
    loaded.model.save_pretrained(made)
    return made


def make_pictures(count: int, side: int) -> list[str]:
    """Data URLs of photographs, more or less: smooth colours under noise."""
    rng, urls = np.random.default_rng(1), []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((side, side * 3 // 4))
        noise = Image.fromarray(rng.integers(0, 255, (side * 3 // 4, side, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        Image.blend(coarse, noise, 0.1).save(buffer, "JPEG", quality=85)
        urls.append(f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}")
    return urls


class Server:
    """A server as a process."""

    def __init__(self, command: list[str], model: str, port: int, threads: int, log: Path) -> None:
        self.model, self.address, self.log = model, f"http://127.0.0.1:{port}", log
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
                                    "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}  # fmt: skip
        with log.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)

    def ready(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"{self.log.name} did not start:\n{self.log.read_text()[-2000:]}")
                time.sleep(0.3)

    def ask(self, picture: str, tokens: int, **others: Any) -> list[str]:
        """The texts for a picture; ends the run where there are none."""
        content = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": POST}]
        body = {"model": self.model, "messages": [{"role": "user", "content": content}], "max_tokens": tokens, **others}
        request = urllib.request.Request(
            f"{self.address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:
            told = json.loads(answer.read())
        expected = tokens * len(told["choices"])
        if told["usage"]["completion_tokens"] != expected and not others:
            raise SystemExit(f"{self.log.stem}: {told['usage']} where {expected} tokens were asked for")
        return [choice["message"]["content"].strip() for choice in told["choices"]]

    def end(self) -> None:
        """Stop it."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start(model: Path, threads: int, folder: Path) -> dict[str, Server]:
    ports = free_port(), free_port()
    ours = [sys.executable, "-m", "trifacet", "serve", "--model", f"m={model}", "--port", str(ports[0]), "--device",
            "cpu"]  # fmt: skip
    other = [sys.executable, "-c", _TRANSFORMERS, "serve", str(model), "--port", str(ports[1]), "--host", "127.0.0.1",
             "--device", "cpu"]  # fmt: skip
    return {
        OURS: Server(ours, "m", ports[0], threads, folder / "trifacet.log"),
        OTHER: Server(other, str(model), ports[1], threads, folder / "transformers.log"),
    }


def load(server: Server, pictures: list[str], clients: int, tokens: int, samples: int) -> tuple[float, list[float]]:
    """Seconds that all requests took together, and each."""

    def one(picture: str) -> float:
        began = time.monotonic()
        if samples == 1:
            server.ask(picture, tokens)
        elif server.model == "m":
            server.ask(picture, tokens, n=samples, temperature=0.7, seed=1)
        else:
            for seed in range(samples):
                server.ask(picture, tokens, temperature=0.7, seed=seed)
        return time.monotonic() - began

    began = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        each = list(pool.map(one, pictures))
    return time.monotonic() - began, each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--requests", type=int, default=48, help="of each number of clients")
    parser.add_argument("--tokens", type=int, default=32, help="of a text")
    parser.add_argument("--samples", type=int, default=1, help="texts of a picture")
    parser.add_argument("--side", type=int, default=640, help="width of the pictures")
    parser.add_argument("--threads", type=int, default=1, help="of each server")
    given = parser.parse_args()
    pictures = make_pictures(given.requests * len(given.clients) + 4, given.side)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        servers = start(make_model(folder / "model", given.tokens), given.threads, folder)
        try:
            for server in servers.values():
                server.ready()
            first = [[server.ask(picture, given.tokens) for picture in pictures[-4:]] for server in servers.values()]
            if first[0] != first[1]:
                sys.exit(f"they wrote other texts: {first}")
            print("| clients | server | requests/s | p50 s | p99 s | ratio |\n|---|---|---|---|---|---|")
            for turn, clients in enumerate(given.clients):
                some = pictures[turn * given.requests : (turn + 1) * given.requests]
                taken = {}
                for kind in (OURS, OTHER):
                    whole, each = load(servers[kind], some, clients, given.tokens, given.samples)
                    taken[kind] = (len(each) / whole, *np.percentile(each, [50, 99]))
                for kind in (OURS, OTHER):
                    rate, half, slow = taken[kind]
                    ratio = f"{rate / taken[OTHER][0]:.1f}"
                    print(f"| {clients} | {kind} | {rate:.2f} | {half:.2f} | {slow:.2f} | {ratio} |", flush=True)
        finally:
            for server in servers.values():
                server.end()


if __name__ == "__main__":
    main()
