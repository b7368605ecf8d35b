"""Posts that show or say nearly the same as another one: clusters of them are found, and the best of each stays.

Invariant: a row is in a cluster exactly when a chain of compared and verified pairs leads to the others in it, and
which rows those are does not depend on how the rows were handed out.

The rule for who stays: the longest alt-text, where words beyond ``alt_words`` count for nothing; among equals the
picture with most pixels; among equals the earliest row. See docs/building-duplicates.md for what is alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from trifacet.base.digests import content_of
from trifacet.base.errors import DataError
from trifacet.building.rows import RowBatch
from trifacet.building.similarity import embeddings
from trifacet.building.similarity.candidates import CodeColumns, equal_keys, near_codes
from trifacet.building.similarity.clusters import METHODS, Joined, Pairs, best, clusters, reasons
from trifacet.building.similarity.pictures import THUMBNAIL, boxes, open_small, sign_picture
from trifacet.building.similarity.spool import BLOCK, Spool
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
    pairs = Pairs.all(list(_found(signatures, parameters, tools)))
    members, smallest = clusters(pairs.first, pairs.second)
    facts = _facts(signatures, members, ["row", "id", "file", "alt_words", "pixels"])
    rows = facts.column("row").to_numpy()
    words = np.minimum(facts.column("alt_words").to_numpy(), parameters.alt_words)
    kept = best(smallest, words, facts.column("pixels").to_numpy())
    other, by, similarity = reasons(pairs, members, members[kept])
    like = np.searchsorted(members, other)
    decided = pa.table(
        {
            "row": rows,
            "cluster": rows[np.searchsorted(members, smallest)],
            "kept": rows[kept],
            "kept_id": facts.column("id").take(kept),
            "kept_file": facts.column("file").take(kept),
            "by": pa.array([METHODS[k] for k in by], pa.string()),
            "similarity": similarity,
            "like": rows[like],
            "like_id": facts.column("id").take(like),
        }
    )
    return _with_problems(decided, signatures) if "image" in parameters.by else decided


def _found(signatures: Signatures, parameters: Parameters, tools: Tools) -> Iterator[Pairs]:
    """Verified pairs by each method; what pixels and words did not prove is left to the model, where there is one."""
    doubtful: dict[str, tuple[_Ints, _Ints]] = {}
    if "image" in parameters.by:
        first, second, similarity = _alike_pictures(signatures, tools)
        good = similarity >= parameters.image_similarity
        doubtful["looks"] = first[~good], second[~good]
        yield Pairs.of(first[good], second[good], "image", similarity[good])
    if "text" in parameters.by:
        yield from _alike_texts(signatures, parameters, tools)
    if parameters.model:
        for name, kind in (("looks", "image"), ("words", "text")):
            if kind in parameters.by:
                least = parameters.model_image_similarity if kind == "image" else parameters.model_text_similarity
                yield _alike_vectors(signatures, name, kind, least, doubtful.get(name), tools)


def _alike_pictures(signatures: Signatures, tools: Tools) -> tuple[_Ints, _Ints, NDArray[np.float64]]:
    """Compared pairs of pictures, and how similar they are."""
    from trifacet.building.similarity.alignment import similarity

    near = near_codes(signatures, CodeColumns("picture", "crops"), CODE_DISTANCE)
    found = [np.empty(0)]
    with Spool(signatures, "thumbnail", np.uint8, tools.folder, np.union1d(near.asked, near.found)) as spool:
        for start in range(0, len(near.asked), BLOCK):
            block = slice(start, start + BLOCK)
            outer, inner = (spool.matrix(places[block]).reshape(-1, THUMBNAIL) for places in (near.asked, near.found))
            found.append(similarity(outer, inner, boxes()[near.variant[block]]))
    return near.asked, near.found, np.concatenate(found)


def _alike_texts(signatures: Signatures, parameters: Parameters, tools: Tools) -> Iterator[Pairs]:
    """Verified pairs of texts, band after band; what earlier bands joined already is not compared again."""
    joined = Joined(sum(part.num_rows for part in signatures.parts(["row"])))
    bands = band_names(parameters.text_similarity)
    with Texts(signatures, tools.folder) as texts:
        for band, following in zip(bands, [*bands[1:], bands[0]], strict=True):
            for one, other in equal_keys(signatures, band, following):
                apart = joined.apart(one, other)
                first, second = one[apart], other[apart]
                similarity = texts.similarity(first, second)
                good = similarity >= parameters.text_similarity
                joined.join(first[good], second[good])
                yield Pairs.of(first[good], second[good], "text", similarity[good])


def _alike_vectors(
    signatures: Signatures, name: str, kind: str, least: float, doubtful: tuple[_Ints, _Ints] | None, tools: Tools
) -> Pairs:
    near = near_codes(signatures, CodeColumns(f"{name}_code"), embeddings.code_distance(least))
    first, second = (
        np.concatenate([places, more])
        for places, more in zip((near.asked, near.found), doubtful or (near.asked[:0],) * 2, strict=True)
    )
    with Spool(signatures, f"{name}_vector", np.float16, tools.folder, np.union1d(first, second)) as spool:
        similarity = embeddings.cosines(spool, first, second)
    good = similarity >= least
    return Pairs.of(first[good], second[good], f"{kind} embedding", similarity[good])


def _facts(signatures: Signatures, places: _Ints, names: list[str]) -> pa.Table:
    """These columns of the rows at sorted places."""
    found, start = [], 0
    for part in signatures.parts(names):
        inside = places[slice(*np.searchsorted(places, (start, start + part.num_rows)))]
        found.append(part.take(pa.array(inside - start)))
        start += part.num_rows
    return pa.concat_tables(found).combine_chunks()


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
            story = {
                name: decision[name] for name in ("cluster", "kept", "kept_id", "kept_file", "by", "like", "like_id")
            }
            batch.drop(place, "near-duplicate of a better row", similarity=round(decision["similarity"], 4), **story)
    batch.fill("cluster", found)


def _needs(parameters: Parameters) -> frozenset[str]:
    return frozenset({"files"}) if "image" in parameters.by else frozenset()


def _outside(parameters: Parameters) -> dict[str, str]:
    return {"model": content_of(parameters.model)} if parameters.model else {}


STEP = GlobalStep(
    "near-duplicates", Parameters, sign, decide, apply, needs=_needs, gives=frozenset({"cluster"}), outside=_outside
)
