"""Any one value of a checkpoint's configurations may be anything: a picture is described, or one line says why not."""

import json
import random
import shutil

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model

FILES = ("config.json", "generation_config.json", "processor_config.json", "tokenizer_config.json")
ODD = [
    None, True, False, 0, -1, 1, 3, 7, 10**6, 10**9, 2**63, 10**400, 0.0, -0.5, 1e-40, 1e300, float("nan"),
    float("inf"), "", "x", "\x1b[31m", "<s>", "../..", [], [0], ["x"], [[]], {}, {"x": 1}, "a" * 5000,
]  # fmt: skip


def places(value, path=()):
    """Where the values of a JSON document stand, lists' and objects' own included."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def mutated(document, rng):
    """A copy with one value replaced or gone, and what was done."""
    document = json.loads(json.dumps(document))
    *path, last = rng.choice(sorted(places(document), key=str))
    part = document
    for key in path:
        part = part[key]
    if rng.random() < 0.1:
        del part[last]
        return document, f"{path} less {last}"
    part[last] = rng.choice(ODD)
    return document, f"{[*path, last]}: {str(part[last])[:50]}"


def search(folder, photos, seeds):
    """Descriptions that came out, and messages."""
    told, described = [], 0
    sample = TestSample(id="one", image="1.png", context="A post of some words.")
    for seed in seeds:
        rng = random.Random(seed)
        file = folder / rng.choice(FILES)
        before = file.read_text()
        document, what = mutated(json.loads(before), rng)
        file.write_text(json.dumps(document))
        try:
            loaded = load_model(folder)
            encoder = WayOfAsking().encoder(loaded.family)
            FamilyWriter(loaded.model, encoder, Generation(beams=2, max_new_tokens=3)).write([sample], photos)
            described += 1
        except TrifacetError as error:
            assert "\n" not in str(error)
            assert str(folder) in str(error), what
            told.append(str(error))
        except BaseException as error:
            raise AssertionError(f"seed {seed}, {file.name} {what}: {error!r}") from error
        finally:
            file.write_text(before)
    return described, told


@pytest.fixture
def copied(tmp_path, tiny_folder):
    return shutil.copytree(tiny_folder, tmp_path / "model")


def test_one_odd_value_is_used_or_named(copied, photos):
    described, told = search(copied, photos, range(20))
    assert described
    assert told


@pytest.mark.endurance
def test_many_odd_values_are_used_or_named(copied, photos):
    search(copied, photos, range(20, 2000))
