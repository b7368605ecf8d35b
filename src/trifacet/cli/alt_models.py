"""What ``trifacet alt suggest`` asks and checks with: models of this machine and behind endpoints, engines, pipelines.

Invariant: nothing is loaded before something has to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trifacet.data.writing import Writer
    from trifacet.describing.names import NameFinder
    from trifacet.describing.suggesting import Model
    from trifacet.lettering.reading import Readings
    from trifacet.llm.asking import AskedModel
    from trifacet.models.asking import WayOfAsking

_LABELS = ("PERSON", "PER", "ORG", "GPE", "LOC", "FAC", "PRODUCT", "EVENT", "WORK_OF_ART", "NORP", "MISC")


def family_writer(
    name: str, asked: WayOfAsking, how: Mapping[str, Any], draws: int, batch_size: int, dtype: str, device: str
) -> Model:
    """A model of this machine; it is loaded where something has to be asked."""
    from trifacet.base.digests import content_of
    from trifacet.describing.suggesting import Model
    from trifacet.models.adapters import adapter_at, bases_of

    adapter = adapter_at(name)
    weights = [content_of(part) for part in (name, *(bases_of(adapter) if adapter else ()))]
    identity = {"model": name, "weights": weights, "asked": asked.told(), "dtype": dtype, **how}

    def opened() -> Writer:
        from trifacet.engine.growing import Pictures
        from trifacet.generation.opening import load_for_generation
        from trifacet.generation.settings import Generation
        from trifacet.generation.writer import KEPT_WHILE_WRITING, FamilyWriter

        loaded, encoder = load_for_generation(name, prompt=None, dtype=dtype, device=device, asked=asked)
        settings = Generation(
            beams=1, temperature=how["temperature"], max_new_tokens=how["max_new_tokens"], batch_size=batch_size
        )
        return FamilyWriter(loaded.model, encoder, settings, how["seed"], pictures=Pictures(KEPT_WHILE_WRITING))

    return Model(identity, opened, draws, takes_words=asked.quoting is not None)


def endpoint_writer(file: Path, queue: Path, how: Mapping[str, Any], draws: int) -> Model:
    """A model behind an endpoint; what it answers is also kept beside the queue, as all paid answers are."""
    from trifacet.describing.requests import words
    from trifacet.describing.suggesting import Model
    from trifacet.llm.asking import read_asked_model
    from trifacet.llm.writer import EndpointWriter

    spec: AskedModel = read_asked_model(file)
    books = queue.with_name(f"{queue.name}.answers")
    identity = {"model": spec.model, "weights": "", "image_side": spec.image_side, **how}

    def opened() -> Writer:
        return EndpointWriter(
            spec, books, how["max_new_tokens"], how["temperature"], step="alt", words=words, seed=how["seed"]
        )

    return Model(identity, opened, draws)


def readings_of(engine: str, languages: str) -> Readings:
    """What reads the words in pictures."""
    from trifacet.cli.lint import reading_of
    from trifacet.lettering.reading import Readings

    return Readings(reading_of(engine, languages))


def finder_of(name: str) -> NameFinder:
    """A pipeline of the user's: transformers' where its folder has a config.json, else spaCy's."""
    from trifacet.building.name_finders import spacy_finder, transformers_finder

    made: Callable[..., Any] = transformers_finder if (Path(name) / "config.json").is_file() else spacy_finder
    find = made(name, _LABELS)
    return lambda text: find([text], 1)[0]
