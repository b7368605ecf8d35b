"""A tiny LLaVA whose texts depend on the picture, samples that ask it, and a scripted endpoint in its place."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from trifacet.data.records import TestSample
from trifacet.demo.tiny import make_tiny_llava
from trifacet.evolving.settings import EvolveRecipe
from trifacet.models.loading import load_model
from trifacet.models.settings import TinyModel

SENTENCE = "a red kite over Lisbon with two dogs and their quiet friend Ada near the old harbour wall"
ASKED = ["Who flies a kite?", "Where is it?", "How many dogs are there near the old harbour wall?", "Describe it."]


@pytest.fixture(scope="session")
def answering(tmp_path_factory):
    """The checkpoint's folder."""
    torch.set_num_threads(1)
    spec = TinyModel(hidden_size=32, layers=2, heads=2, vision_hidden_size=32, vision_layers=2, vision_heads=2,
                     image_size=24, patch_size=8, vocabulary=400)  # fmt: skip
    folder = make_tiny_llava(spec, [SENTENCE], tmp_path_factory.mktemp("answering") / "model", seed=3)
    model = load_model(folder, device="cpu").model
    # With weights as small as fresh ones every answer repeats the last token; larger ones listen to the prompt.
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.25, generator=rng)
        model.get_output_embeddings().weight[model.generation_config.eos_token_id] *= 8  # so that most texts end
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def shown(tmp_path_factory):
    """The folder of the pictures and of the samples' file."""
    root = tmp_path_factory.mktemp("shown")
    rng = np.random.default_rng(0)
    for number in range(len(ASKED)):
        colours = rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((20 + 9 * number, 40), Image.Resampling.NEAREST).save(root / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def questions(shown):
    """Four samples with a reference each; one has a post, one a second picture."""
    samples = [
        TestSample(id=f"q{number}", image=f"{number}.png", prompt=prompt, references=(f"Ada flies {number} kites",))
        for number, prompt in enumerate(ASKED)
    ]
    samples[1] = samples[1].model_copy(update={"context": "Two dogs near the harbour"})
    samples[3] = samples[3].model_copy(update={"more_images": ("0.png",)})
    (shown / "samples.jsonl").write_text("".join(one.model_dump_json(exclude_none=True) + "\n" for one in samples))
    return samples


@pytest.fixture(scope="session")
def evolve_recipe(tmp_path_factory, answering, shown, questions):
    """Makes a recipe with an output folder of its own; ``changes`` are sections' values."""

    def made(**changes):
        role = {"temperature": 1.0, "max_new_tokens": 8, "batch_size": 2}
        values = {
            "name": "small",
            "output": str(tmp_path_factory.mktemp("evolved") / "out"),
            "seed": 5,
            "model": {"path": str(answering), "device": "cpu"},
            "data": {"root": str(shown), "prompt": "Answer.", "max_length": 1200},
            "samples": "samples.jsonl",
            "roles": {"generator": role, "reviser": role, "verifier": role},
            "sampling": {"normal": 3, "contrastive": 2, "strategies": ["crop", "rotation"]},
        }
        for name, value in changes.items():
            whole = isinstance(value, dict) and isinstance(values.get(name), dict)
            values[name] = values[name] | value if whole else value
        return EvolveRecipe.model_validate(values)

    return made


@pytest.fixture
def endpoint_file(tmp_path):
    """Writes the file of an endpoint."""

    def written(endpoint, **others):
        path = tmp_path / "endpoint.yaml"
        spec = {"base_url": endpoint.base_url, "model": "scripted", "image_side": 24, **others}
        path.write_text(yaml.safe_dump(spec), encoding="utf-8")
        return str(path)

    return written
