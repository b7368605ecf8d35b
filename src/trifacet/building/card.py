"""The data card of a build: what its sets hold and how they came about, as Markdown with a data set's front matter.

Invariant: every number is counted from the shards and the manifest; what only people can know (licence, consent) is
left to them, and said so.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from trifacet.base.digests import text_number
from trifacet.base.files import write_atomically
from trifacet.base.markdown import markdown_text
from trifacet.base.words import without_folders
from trifacet.building.output import SET_KINDS
from trifacet.building.recipe import BuildRecipe

SPLITS = {"sft": "train", "preference": "train", "test": "test"}
_TITLES = {"sft": "Supervised (sft)", "preference": "Preference", "test": "Test"}
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_FACETS = ("rejected_images", "rejected_contexts", "rejected_responses")
_BATCH = 8192  # rows looked at together


@dataclass
class Lengths:
    """Words of texts, split at spaces; lengths are kept as counts, so that memory does not grow with texts."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, texts: Iterable[str]) -> None:
        """Count the texts that are not empty."""
        self.counts.update(words for text in texts if (words := len(text.split())))

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return self.counts.total()

    @property
    def mean(self) -> float:
        """Mean number of words."""
        return sum(words * count for words, count in self.counts.items()) / max(1, self.texts)

    @property
    def median(self) -> float:
        """Median number of words: the mean of the middle two where their number is even."""
        if not self.texts:
            return 0.0
        ends, lengths = np.cumsum([self.counts[words] for words in sorted(self.counts)]), sorted(self.counts)
        low, high = (lengths[int(np.searchsorted(ends, place, "right"))] for place in self._middle())
        return (low + high) / 2

    def _middle(self) -> tuple[int, int]:
        return (self.texts - 1) // 2, self.texts // 2


@dataclass
class SetFacts:
    """One set: rows, different images (8 bytes of memory an image), lengths, different words of the alt-texts."""

    rows: int = 0
    without_image: int = 0
    alt: Lengths = field(default_factory=Lengths)
    post: Lengths = field(default_factory=Lengths)
    rejected: Counter[str] = field(default_factory=Counter)
    words: set[str] = field(default_factory=set)
    _images: array[int] = field(default_factory=lambda: array("q"))

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row of a shard."""
        self.rows += 1
        names = [name for name in (row["image"], *(row["more_images"] or ())) if name]
        self.without_image += not names
        self._images.extend(text_number(name) for name in names)
        texts = [row["response"]] if "response" in row else row["references"]
        self.alt.add(texts)
        self.post.add([row["context"]])
        self.words.update(word for text in texts for word in re.findall(r"\w+", text.lower()))
        self.rejected.update({facet: len(row[facet]) for facet in _FACETS if row.get(facet)})

    @property
    def images(self) -> int:
        """Number of different images."""
        return len(np.unique(np.frombuffer(self._images, np.int64))) if self._images else 0


def write_card(recipe: BuildRecipe, manifest: Mapping[str, Any], path: Path) -> None:
    """Write the card of a finished build, by one pass over its shards.

    Raises:
        TrifacetError: it cannot be written.
    """
    write_atomically(path, card(recipe, manifest))


def card(recipe: BuildRecipe, manifest: Mapping[str, Any]) -> str:
    """The card's text."""
    facts = set_facts(recipe, manifest)
    sections = [
        f"---\n{yaml.safe_dump(_front(recipe, facts), sort_keys=False, allow_unicode=True)}"
        "# license: fill in, see 'Licence and consent' below\n---",
        f"# {markdown_text(recipe.name)}\n\n{_opening(manifest)}",
        "## What is in it\n\n" + _table(facts),
        "## Where it comes from\n\n" + _sources(recipe, manifest),
        "## How it was made\n\n" + _steps(recipe, manifest),
        "## Language models\n\n" + _models(recipe),
        "## Licence and consent\n\n" + _LICENCE,
        "## Known limits\n\n" + _limits(recipe, facts),
    ]
    return "\n\n".join(sections) + "\n"


def set_facts(recipe: BuildRecipe, manifest: Mapping[str, Any]) -> dict[str, SetFacts]:
    """What is in each set that has rows, from its shards."""
    facts: dict[str, SetFacts] = {}
    wanted = ("image", "more_images", "context", "response", "references", *_FACETS)
    for shard in manifest["shards"]:
        found = facts.setdefault(shard["file"].split("/")[0], SetFacts())
        with pq.ParquetFile(recipe.folder / shard["file"]) as file:
            columns = [name for name in wanted if name in file.schema_arrow.names]
            for batch in file.iter_batches(_BATCH, columns=columns):
                for row in batch.to_pylist():
                    found.add(row)
    return {kind: facts[kind] for kind in SET_KINDS if kind in facts}


def _printable(text: str) -> str:
    """One line without control characters and marks that turn the direction of writing."""
    return "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))


def _front(recipe: BuildRecipe, facts: Mapping[str, SetFacts]) -> dict[str, Any]:
    rows = sum(found.rows for found in facts.values())
    configs = [
        {"config_name": kind, "data_files": [{"split": SPLITS[kind], "path": f"{kind}/*.parquet"}]} for kind in facts
    ]
    return {
        "pretty_name": _printable(recipe.name),
        "task_categories": ["image-to-text"],
        "tags": ["alt-text", "preference", "trifacet"],
        "size_categories": [next((name for limit, name in _SIZES if rows < limit), "n>10M")],
        "configs": configs,
    }


def _opening(manifest: Mapping[str, Any]) -> str:
    read = manifest["steps"][0]["rows_in"]
    rows = sum(manifest["rows"].values())
    return (
        f"Posts with images and the alt-text that people wrote for them: {rows:,} rows, made of {read:,} that were "
        f"read. Made by Trifacet {markdown_text(manifest['versions'].get('trifacet', ''))}, seed {manifest['seed']}; "
        "`manifest.json` holds the recipe, the versions, the counts and the hashes of inputs and shards, "
        f"`failed.parquet` the {manifest['failed']['rows']:,} rows that failed for reasons of their own."
    )


def _table(facts: Mapping[str, SetFacts]) -> str:
    if not facts:
        return "No row came through: all sets are empty."
    lines: dict[str, list[str]] = {
        "Posts": [f"{one.rows:,}" for one in facts.values()],
        "Different images": [f"{one.images:,}" for one in facts.values()],
        "Posts without an image": [f"{one.without_image:,}" for one in facts.values()],
        "Alt-texts": [f"{one.alt.texts:,}" for one in facts.values()],
        "Words per alt-text, mean": [f"{one.alt.mean:.1f}" for one in facts.values()],
        "Words per alt-text, median": [f"{one.alt.median:g}" for one in facts.values()],
        "Posts with words": [f"{one.post.texts:,}" for one in facts.values()],
        "Words per post, mean": [f"{one.post.mean:.1f}" for one in facts.values()],
        "Words per post, median": [f"{one.post.median:g}" for one in facts.values()],
        "Different words in alt-texts": [f"{len(one.words):,}" for one in facts.values()],
        **{
            facet.replace("_", " ").capitalize(): [f"{one.rejected[facet]:,}" for one in facts.values()]
            for facet in _FACETS
            if any(one.rejected[facet] for one in facts.values())
        },
    }
    head = ["", *(_TITLES[kind] for kind in facts)]
    rows = [head, ["---", *["---:"] * len(facts)], *([name, *cells] for name, cells in lines.items())]
    note = "Words are what stands between spaces; different words are counted in lower case without punctuation."
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{note}"


def _sources(recipe: BuildRecipe, manifest: Mapping[str, Any]) -> str:
    files = Counter(file.get("source") for file in manifest["inputs"])
    lines = [
        f"- {markdown_text(Path(source.path).name)} (format {source.format}; {files[place]} file"
        f"{'' if files[place] == 1 else 's'}{f', first {source.limit:,} rows' if source.limit else ''})"
        for place, source in enumerate(recipe.sources)
    ]
    return "\n".join(lines)


def _steps(recipe: BuildRecipe, manifest: Mapping[str, Any]) -> str:
    parameters = [{}, *(chosen.parameters.model_dump(mode="json") for chosen in recipe.steps), {}]
    lines = ["| Step | Parameters | Rows in | Rows out |", "|---|---|---:|---:|"]
    for step, given in zip(manifest["steps"], parameters, strict=True):
        told = without_folders("; ".join(f"{name} = {_value(value)}" for name, value in given.items()))
        lines.append(
            f"| {markdown_text(step['name'])} | {markdown_text(told)} | {step['rows_in']:,} | {step['rows_out']:,} |"
        )
    return "\n".join(lines) + "\n\n`funnel.html` says why rows were dropped, with examples."


def _value(value: Any) -> str:
    """A parameter in short: a list of thousands (public figures, say) is counted."""
    if isinstance(value, list) and len(value) > 12:
        return f"{len(value)} entries"
    if isinstance(value, dict):
        value = [f"{name} {_value(one)}" for name, one in value.items() if one is not None]
    return "none" if value in (None, []) else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _models(recipe: BuildRecipe) -> str:
    if not recipe.models:
        return "None took part."
    return "\n".join(f"- {markdown_text(name)}: {markdown_text(model.model)}" for name, model in recipe.models.items())


def _limits(recipe: BuildRecipe, facts: Mapping[str, SetFacts]) -> str:
    names = {chosen.name for chosen in recipe.steps}
    limits = ["The alt-texts are what users wrote: short, uneven, and at times wrong about the image."]
    if "names" in names:
        limits.append("Names were found by a model: some of people are still there, some other words were replaced.")
    else:
        limits.append("Names of people were not looked for.")
    limits.append(
        "Ids, requests and further fields are as the sources have them: no name was looked for in them."
        if recipe.write.extra is None
        else "Ids and requests are as the sources have them: no name was looked for in them."
    )
    limits.append("Images are byte for byte the sources': their metadata (camera, place) is still in them.")
    if "grammar" in names:
        limits.append("Grammar was corrected by a language model, within a bound on how much it may change.")
    if facts.get("preference", SetFacts()).rejected["rejected_responses"]:
        checked = "a judge model agreed in both orders" if "verify" in names else "nobody has verified them"
        limits.append(f"Rejected responses come from a model or from the sources, not from people; {checked}.")
    if "near-duplicates" not in names:
        limits.append("Near-duplicates were not looked for: a test post may resemble one of training.")
    if "language" not in names:
        limits.append("The language of posts was not checked.")
    return "\n".join(f"- {limit}" for limit in limits)


_LICENCE = (
    "To be filled in by whoever publishes this: the licence of posts and images, the terms of the site they come from, "
    "what their authors agreed to, and whom to ask for removal. Trifacet cannot know these."
)
