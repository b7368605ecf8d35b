"""A tiny LLaVA whose texts listen to picture and post, two adapters on it, and servers of them in this process."""

import base64
import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from png_urls import data_url

pytest.importorskip("prometheus_client", reason="pip install 'trifacet[serve]'")
pytest.importorskip("llguidance", reason="pip install 'trifacet[serve]'")

from trifacet.data.records import TestSample
from trifacet.demo.tiny import make_tiny_llava
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.models.settings import TinyModel
from trifacet.serving.app import create_app
from trifacet.serving.desk import Desk
from trifacet.serving.hosted import ID, host
from trifacet.serving.limits import Limits
from trifacet.web import server

SENTENCE = "a red kite over Lisbon with two dogs and their quiet friend Ada near the old harbour wall"
ASKED = WayOfAsking(prompt="Describe it.", context_label="Post:", max_length=300)


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A whole checkpoint, which says how it was asked."""
    torch.set_num_threads(1)
    spec = TinyModel(hidden_size=32, layers=2, heads=2, vision_hidden_size=32, vision_layers=2, vision_heads=2,
                     image_size=24, patch_size=8, vocabulary=400)  # fmt: skip
    root = tmp_path_factory.mktemp("served")
    loaded = load_model(make_tiny_llava(spec, [SENTENCE], root / "made", seed=3), device="cpu")
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.25, generator=rng)
    save_model(loaded.model, loaded.processor, root / "base", ASKED)
    return root / "base"


@pytest.fixture(scope="session")
def adapters(base, tmp_path_factory):
    """Two adapters on it, as a stage saves them; the second is asked otherwise."""
    root = tmp_path_factory.mktemp("adapters")
    settings = LoraSettings(rank=4, alpha=8, dropout=0.0, targets=r".*\.(q_proj|v_proj)")
    for number, asked in enumerate([ASKED, ASKED.model_copy(update={"prompt": "Say what is there."})]):
        loaded = load_model(base)
        model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=settings)
        rng = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn(weight.shape, generator=rng), alpha=0.2)
        save_model(model, loaded.processor, root / str(number), asked)
    return [root / "0", root / "1"]


@pytest.fixture(scope="session")
def shown(tmp_path_factory):
    """Pictures as files: a folder with 0.png to 5.png."""
    root = tmp_path_factory.mktemp("shown")
    rng = np.random.default_rng(0)
    for number in range(6):
        colours = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((20 + 9 * number, 40), Image.Resampling.NEAREST).save(root / f"{number}.png")
    return root


def bomb(side):
    """A PNG that claims to be so large on both sides, of few bytes."""
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@pytest.fixture(scope="session")
def turn(shown):
    """One message of the user's: pictures by number, then a text."""

    def made(*pictures, text=None):
        parts = [{"type": "image_url", "image_url": {"url": data_url(shown / f"{one}.png")}} for one in pictures]
        return [{"role": "user", "content": [*parts, *([{"type": "text", "text": text}] if text else [])]}]

    return made


class Served:
    """A server in a thread; ``told`` is what it said."""

    def __init__(self, models, token=None, **limits):
        self.told = []
        self.desk = Desk(host(models, dtype="float32", device="cpu"), Limits(**limits), self.told.append)
        self.bound = server.bind("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self.bound.getsockname()[1]}"
        app = create_app(self.desk, "127.0.0.1", token, self.told.append)
        serving = {"minutes": 5, "tell": self.told.append, "answering": self.desk.limits.timeout + 10}
        threading.Thread(target=server.serve, args=(app, self.bound), kwargs=serving, daemon=True).start()

    def client(self, key="none"):
        from openai import OpenAI

        return OpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0, timeout=60)

    def encoded(self):
        """How many pictures went through a vision encoder since the server began."""
        page = self.desk.metrics.page()[0].decode()
        lines = [line for line in page.splitlines() if line.startswith("trifacet_pictures_encoded_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture(scope="session")
def serving():
    """Starts servers, which end with the tests."""
    started = []

    def start(models, **options):
        started.append(Served(models, **options))
        return started[-1]

    yield start
    for one in started:
        one.desk.end()


@pytest.fixture(scope="session")
def served(serving, base, adapters):
    """A server of the base and both adapters."""
    return serving({"base": str(base), "first": str(adapters[0]), "second": str(adapters[1])})


@pytest.fixture(scope="session")
def family_text(shown):
    """What ``FamilyWriter`` gives for a post and its pictures: the texts of all draws."""

    def written(checkpoint, pictures, post="", *, draws=1, seed=17, prompt=None, **settings):
        loaded = load_model(checkpoint, device="cpu")
        encoder = WayOfAsking.read(checkpoint).encoder(loaded.family)
        names = [f"{number}.png" for number in pictures]
        sample = TestSample(id=ID, image=names[0] if names else None, more_images=tuple(names[1:]), context=post,
                            prompt=prompt)  # fmt: skip
        how = Generation(beams=1, **{"max_new_tokens": 12, **settings})
        return [one.text for one in FamilyWriter(loaded.model, encoder, how, seed).write([sample], shown, draws=draws)]

    return written
