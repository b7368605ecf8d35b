"""A tiny LLaVA whose answers depend on the picture and the post, and posts of very unequal length."""

import numpy as np
import pytest
import torch
from PIL import Image

from trifacet.data.records import TestSample
from trifacet.demo.tiny import make_tiny_llava
from trifacet.engine.encode import SampleEncoder
from trifacet.models.loading import LoadedModel, load_model
from trifacet.models.settings import TinyModel

SENTENCE = "a red kite over Lisbon with two dogs and their quiet friend Ada near the old harbour wall"
WORDS = SENTENCE.split()


@pytest.fixture(scope="session")
def loaded(tmp_path_factory) -> LoadedModel:
    torch.set_num_threads(1)
    spec = TinyModel(hidden_size=32, layers=2, heads=2, vision_hidden_size=32, vision_layers=2, vision_heads=2,
                     image_size=24, patch_size=8, vocabulary=400)  # fmt: skip
    folder = make_tiny_llava(spec, [SENTENCE], tmp_path_factory.mktemp("tiny") / "model", seed=3)
    loaded = load_model(folder, device="cpu")
    # With weights as small as fresh ones every answer repeats the last token; larger ones listen to the prompt.
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.25, generator=rng)
    loaded.folder = folder
    loaded.model.save_pretrained(folder)
    return loaded


@pytest.fixture(scope="session")
def encoder(loaded) -> SampleEncoder:
    return SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=200)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(7):
        colours = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
        picture = Image.fromarray(colours).resize((20 + 9 * number, 40), Image.Resampling.NEAREST)
        picture.save(root / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def mixed(samples) -> list[TestSample]:
    """The same posts with no image, one, two or three; the fourth and fifth show the same two in another order."""
    shown = [(), ("1",), ("2", "0"), ("3", "5"), ("5", "3"), (), ("6", "4", "2")]
    paths = [[f"{name}.png" for name in names] for names in shown]
    return [
        sample.model_copy(update={"image": names[0] if names else None, "more_images": tuple(names[1:])})
        for sample, names in zip(samples, paths, strict=True)
    ]


@pytest.fixture(scope="session")
def samples() -> list[TestSample]:
    """Seven posts of 0 to 60 words, not in the order of their length."""
    lengths = [3, 0, 17, 60, 1, 9, 30]
    rng = np.random.default_rng(1)
    return [
        TestSample(id=f"s{number}", image=f"{number}.png", context=" ".join(rng.choice(WORDS, length)))
        for number, length in enumerate(lengths)
    ]
