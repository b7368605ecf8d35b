"""What the tests share: a tiny checkpoint with real processor classes, and a handful of posts with pictures."""

import copy
import gc
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from trifacet.data.records import PreferenceSample
from trifacet.data.settings import World
from trifacet.demo.make import write_world
from trifacet.models.settings import TinyModel

# torch and transformers are imported where they are used: they take seconds, and xdist's own process does without.

# The same examples in every run, however slow the machine; `make endurance` looks for new ones, and for more.
settings.register_profile("repeat", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("search", settings.get_profile("repeat"), derandomize=False, max_examples=2000)
settings.load_profile("repeat")

PHOTOS = [(32, 32), (90, 40), (33, 75), (64, 60)]  # width, height
SHARED = Path(__file__).resolve().parents[1].parent / "shared"


LONG = ("training", "runs", "building", "api", "cli")  # folders whose files take long: begun first, they fill no end


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch

    torch.set_num_threads(1)  # tiny tensors, and several test processes side by side


@pytest.fixture(autouse=True, scope="module")
def _frozen():
    """What is imported stays: looking through all of it took a third of the time of a stage, which collects garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """A small demo world."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, World(sft=24, preference=16, validation=6, test=6), seed=3, image_size=32)
    return folder


@pytest.fixture(scope="session")
def unscored_world(world, tmp_path_factory) -> Path:
    """The same without references: WordNet, which each process reads anew, can take longer than all else in a run."""
    folder = shutil.copytree(world, tmp_path_factory.mktemp("unscored") / "world")
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    (folder / "test.jsonl").write_text("".join(json.dumps({**row, "references": []}) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="session")
def pairs(world) -> list[PreferenceSample]:
    from trifacet.data.formats import read_samples

    return read_samples(world / "preference.jsonl", "preference")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, pairs) -> Path:
    """A LLaVA with random weights that are large enough for texts to differ in their scores."""
    from safetensors.torch import load_file, save_file

    from trifacet.demo.tiny import make_tiny_llava

    spec = TinyModel(
        hidden_size=48, layers=2, heads=4, vision_hidden_size=32, vision_layers=3, vision_heads=2, image_size=32,
        patch_size=8, vocabulary=600,
    )  # fmt: skip
    texts = [text for pair in pairs for text in (pair.context, pair.response, *pair.rejected_responses)]
    folder = make_tiny_llava(spec, texts, tmp_path_factory.mktemp("tiny") / "model", seed=5)
    weights = load_file(folder / "model.safetensors")
    sharper = {name: weight * 3 if weight.ndim == 2 else weight for name, weight in weights.items()}
    save_file(sharper, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def _tiny(tiny_folder):
    from trifacet.models.loading import load_model

    return load_model(tiny_folder)


@pytest.fixture
def tiny(_tiny):
    return copy.deepcopy(_tiny)  # as if loaded anew, in a fifth of the time


@pytest.fixture(scope="session")
def pinterest() -> Path:
    """The ten real pairs and posts; absent outside the project's own machines."""
    folder = SHARED / "data" / "pinterest"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Pictures of several shapes and sizes, none of them alike anywhere."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(5)
    for number, (width, height) in enumerate(PHOTOS):
        coarse = Image.fromarray(rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)).resize((width, height))
        Image.blend(coarse, Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)), 0.3).save(
            folder / f"{number}.png"
        )
    return folder


@pytest.fixture(scope="session")
def posts(pairs):
    """Pairs with these pictures and posts of unequal length."""
    return [
        pair.model_copy(update={"image": f"{number}.png", "context": pair.context * (1 + number % 2)})
        for number, pair in enumerate(pairs[: len(PHOTOS)])
    ]


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory, pairs):
    """The checkpoint of a family, made once."""
    from tiny_families import make_family

    texts = [text for pair in pairs for text in (pair.context, pair.response, *pair.rejected_responses)]
    root, made = tmp_path_factory.mktemp("families"), {}

    def folder(name):
        if name not in made:
            made[name] = make_family(name, root / name, texts)
        return made[name]

    return folder


@pytest.fixture
def trifacet(monkeypatch, capfd):
    """The command in this process: its exit code, standard output and standard error."""
    from trifacet.cli import main as command_line

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["trifacet", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "300")
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            command_line.main()
        return end.value.code or 0, *capfd.readouterr()

    return run
