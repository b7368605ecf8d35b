"""Posts that show or say nearly the same as another one: clusters of them are found, and one row of each stays.

Invariant: a row that leaves was compared with the one that stays and found alike; which rows those are does not depend
on how the rows were handed out.

The rule for who stays: the best of a cluster if all others are like it, else the one that most are like. The best has
the longest alt-text, where words beyond ``alt_words`` count for nothing; among equals the picture with most pixels;
among equals the earliest row. See docs/building-duplicates.md for what is alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from trifacet.base.digests import content_of
from trifacet.base.errors import DataError
from trifacet.building.rows import RowBatch
from trifacet.building.similarity import embeddings
from trifacet.building.similarity.candidates import CodeColumns, Near, equal_keys, near_codes
from trifacet.building.similarity.clusters import METHODS, Pairs, Partners, ranks, reasons, stars
from trifacet.building.similarity.comparing import Pictures
from trifacet.building.similarity.pictures import open_small, sign_picture
from trifacet.building.similarity.spool import Spool, rows_at
from trifacet.building.similarity.texts import Texts, band_names, sign_texts, words_of
from trifacet.building.step import GlobalStep, Signatures, Tools
from trifacet.settings.section import Section

CODE_DISTANCE = 12  # bits of 64 by which codes of a picture and its copy may differ; the comparison itself decides
_Ints = NDArray[np.int64]


class Parameters(Section):
    """What is alike, and what happens to it."""

    by: list[Literal["image", "text"]] = Field(["image", "text"], min_length=1, description="either of these is enough")
    image_similarity: float = Field(0.95, gt=0, le=1, description="least correlation of two pictures, borders aligned")
    text_similarity: float = Field(0.6, ge=0.3, le=1, description="least share of word pairs in common (Jaccard)")
    min_words: int = Field(8, ge=2, le=10_000, description="a post with fewer words is never a duplicate by its text")
    keep: Literal["best", "all"] = Field("best", description="one row per cluster stays, or all do, with 'cluster' set")
    alt_words: int = Field(40, ge=1, le=10_000, description="longest alt-text that counts as better than a shorter one")
    model: str | None = Field(None, description="folder or hub id of a CLIP-family model, to compare by meaning too")
    model_image_similarity: float = Field(0.96, gt=0, le=1, description="least cosine of the model's picture vectors")
    model_text_similarity: float = Field(0.95, gt=0, le=1, description="least cosine of the model's text vectors")


def sign(part: pa.Table, parameters: Parameters, tools: Tools) -> pa.Table:
    """What is compared of each row, and what the choice of the best needs."""
    columns: dict[str, pa.Array] = {name: part.column(name) for name in ("row", "id", "file")}
    columns["alt_words"] = pa.array([len(alt.split()) for alt in part.column("alt").to_pylist()], pa.int32())
    sizes = zip(part.column("width").to_pylist(), part.column("height").to_pylist(), strict=True)
    columns["pixels"] = pa.array([(width or 0) * (height or 0) for width, height in sizes], pa.int64())
    if "image" in parameters.by:
        columns |= _sign_pictures(part.column("file").to_pylist(), parameters, tools)
    if "text" in parameters.by:
        texts = part.column("context").to_pylist()
        columns |= sign_texts(texts, parameters.min_words, parameters.text_similarity)
        if parameters.model:
            there = np.array([len(words_of(text)) >= parameters.min_words for text in texts], bool)
            long = [text for text, good in zip(texts, there, strict=True) if good]
            vectors = embeddings.embed_texts(embeddings.load_encoder(parameters.model), long)
            columns |= embeddings.columns_of(vectors, there, "words")
    return pa.table(columns)


def _sign_pictures(files: list[str | None], parameters: Parameters, tools: Tools) -> dict[str, pa.Array]:
    codes, crops, thumbnails, problems, vectors = [], [], [], [], []
    for file in files:
        picture, problem = None, None
        if file is not None:
            try:
                image = open_small(tools.path(file), tools.max_pixels)
                picture = sign_picture(image)
                if parameters.model:
                    vectors.append(embeddings.embed_pictures(embeddings.load_encoder(parameters.model), [image]))
            except DataError as error:
                problem = error.problem
        codes.append(picture and int(picture.code))
        crops.append(picture and picture.crops.tobytes())
        thumbnails.append(picture and picture.thumbnail.tobytes())
        problems.append(problem)
    columns = {
        "picture": pa.array(codes, pa.uint64()),
        "crops": pa.array(crops, pa.binary()),
        "thumbnail": pa.array(thumbnails, pa.binary()),
        "problem": pa.array(problems, pa.string()),
    }
    if parameters.model:
        there = np.array([code is not None for code in codes], bool)
        columns |= embeddings.columns_of(np.concatenate(vectors or [np.empty((0, 1), np.float32)]), there, "looks")
    return columns


def decide(signatures: Signatures, parameters: Parameters, tools: Tools) -> pa.Table:
    """Rows of clusters with who stays and why, and rows whose picture could not be read."""
    if not signatures.files:
        return pa.table({"row": pa.array([], pa.int64())})
    tools.folder.mkdir(parents=True, exist_ok=True)
    with Likeness(signatures, parameters, tools) as likeness:
        members = np.unique(np.concatenate([likeness.found.first, likeness.found.second]))
        facts = rows_at(signatures, members, ["row", "id", "file", "alt_words", "pixels"])
        words = np.minimum(facts.column("alt_words").to_numpy(), parameters.alt_words)
        rank = ranks(words, facts.column("pixels").to_numpy())
        kept, pairs = stars(likeness.found, members, rank, likeness.alike)
    by, similarity = reasons(pairs, members, kept)
    rows = facts.column("row").to_numpy()
    smallest = rows.copy()
    np.minimum.at(smallest, kept, rows)
    decided = pa.table(
        {
            "row": rows,
            "cluster": smallest[kept],
            "kept": rows[kept],
            "kept_id": facts.column("id").take(kept),
            "kept_file": facts.column("file").take(kept),
            "by": pa.array([METHODS[k] for k in by], pa.string()),
            "similarity": similarity,
        }
    )
    return _with_problems(decided, signatures) if "image" in parameters.by else decided


class Likeness:
    """What is alike: ``found`` among the pairs worth comparing, ``alike`` of any pairs; a context manager.

    What pixels and words did not prove is left to the model, where there is one; but not what details tell apart.
    """

    def __init__(self, signatures: Signatures, parameters: Parameters, tools: Tools) -> None:
        self._closing, self._vectors = ExitStack(), dict[str, Spool]()
        self._texts: Texts | None = None
        self._pictures: Pictures | None = None
        self._parameters = parameters
        found, near = list[Pairs](), dict[str, Near]()
        if "text" in parameters.by:
            self._texts = self._closing.enter_context(Texts(signatures, tools.folder))
            found += _alike_texts(signatures, self._texts, parameters.text_similarity)
        if "image" in parameters.by:
            near["picture"] = near_codes(signatures, CodeColumns("picture", "crops"), CODE_DISTANCE)
        for name, _, least in _by_meaning(parameters):
            near[name] = near_codes(signatures, CodeColumns(f"{name}_code"), embeddings.code_distance(least))
        ends = [end for one in (*found, *near.values()) for end in one[:2]]
        places = np.unique(np.concatenate(ends)) if ends else np.empty(0, np.int64)
        for name, _, _ in _by_meaning(parameters):
            spool = Spool(signatures, f"{name}_vector", np.float16, tools.folder, places)
            self._vectors[name] = self._closing.enter_context(spool)
        if "picture" in near:
            least = parameters.image_similarity
            self._pictures = self._closing.enter_context(Pictures(signatures, places, least, tools))
            pairs = near.pop("picture")
            similarity, doubtful = self._pictures.of_near(pairs)
            found.append(_good(pairs.asked, pairs.found, "image", similarity, least))
            if "looks" in near:  # bits apart mean nothing to the model: the numbers only fill the columns
                near["looks"] = Near(
                    *(np.concatenate([one, two[doubtful]]) for one, two in zip(near["looks"], pairs, strict=True))
                )
        found += [self._by_vectors(name, pairs.asked, pairs.found) for name, pairs in near.items()]
        self.found = Pairs.all(found)

    def __enter__(self) -> Likeness:
        return self

    def __exit__(self, *stop: object) -> None:
        self._closing.close()

    def alike(self, first: _Ints, second: _Ints) -> Pairs:
        """Those of the pairs that are alike, by each method that finds them so."""
        found, parameters = list[Pairs](), self._parameters
        if self._texts:
            similarity = self._texts.similarity(first, second)
            found.append(_good(first, second, "text", similarity, parameters.text_similarity))
        if self._pictures:
            similarity = self._pictures.similarity(first, second)
            found.append(_good(first, second, "image", similarity, parameters.image_similarity))
        return Pairs.all(found + [self._by_vectors(name, first, second) for name in self._vectors])

    def _by_vectors(self, name: str, first: _Ints, second: _Ints) -> Pairs:
        kind, least = next((kind, least) for known, kind, least in _by_meaning(self._parameters) if known == name)
        there = self._vectors[name].there(first) & self._vectors[name].there(second)
        first, second = first[there], second[there]
        similarity = embeddings.cosines(self._vectors[name], first, second)
        if name == "looks" and self._pictures:
            similarity[self._pictures.told_apart(first, second)] = 0.0
        return _good(first, second, f"{kind} embedding", similarity, least)


def _by_meaning(parameters: Parameters) -> list[tuple[str, str, float]]:
    """Columns of vectors, what they are of, and the least cosine."""
    kinds = (
        ("looks", "image", parameters.model_image_similarity),
        ("words", "text", parameters.model_text_similarity),
    )
    return [one for one in kinds if parameters.model and one[1] in parameters.by]


def _good(first: _Ints, second: _Ints, by: str, similarity: NDArray[np.float64], least: float) -> Pairs:
    good = similarity >= least
    return Pairs.of(first[good], second[good], by, similarity[good])


def _alike_texts(signatures: Signatures, texts: Texts, least: float) -> Iterator[Pairs]:
    """Verified pairs of texts, band after band; what earlier bands found is not compared again."""
    partners = Partners(sum(part.num_rows for part in signatures.parts(["row"])))
    bands = band_names(least)
    for band, following in zip(bands, [*bands[1:], bands[0]], strict=True):
        for one, other in equal_keys(signatures, band, following):
            first, second = partners.wanted(one, other)
            pairs = _good(first, second, "text", texts.similarity(first, second), least)
            partners.add(pairs.first, pairs.second)
            yield pairs


def _with_problems(decided: pa.Table, signatures: Signatures) -> pa.Table:
    """The decisions with the rows whose picture could not be read, and why."""
    parts = [part.filter(part.column("problem").is_valid()) for part in signatures.parts(["row", "problem"])]
    problems = pa.concat_tables(parts)
    return decided.join(problems, "row", join_type="full outer").sort_by("row")


def apply(batch: RowBatch, decided: pa.Table, parameters: Parameters, tools: Tools) -> None:
    """Set ``cluster`` (the row's own number where nothing is like it), and drop all but the best where asked to."""
    places = {row: place for place, row in enumerate(batch.column("row"))}
    found: list[int] = list(places)
    for decision in decided.to_pylist():
        row = decision["row"]
        place = places[row]
        if decision.get("problem"):
            batch.note(place, "image not compared", field="file", problem=decision["problem"])
        if decision["cluster"] is None:
            continue
        found[place] = decision["cluster"]
        if parameters.keep == "best" and decision["kept"] != row:
            story = {name: decision[name] for name in ("cluster", "kept", "kept_id", "kept_file", "by")}
            batch.drop(place, "near-duplicate of a better row", similarity=round(decision["similarity"], 4), **story)
    batch.fill("cluster", found)


def _needs(parameters: Parameters) -> frozenset[str]:
    return frozenset({"files"}) if "image" in parameters.by else frozenset()


def _outside(parameters: Parameters) -> dict[str, str]:
    return {"model": content_of(parameters.model)} if parameters.model else {}


STEP = GlobalStep(
    "near-duplicates",
    Parameters,
    sign,
    decide,
    apply,
    needs=_needs,
    gives=frozenset({"cluster"}),
    outside=_outside,
    packages=("scipy",),
)
