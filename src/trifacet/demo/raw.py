"""Raw posts of the demo world, as a careless team would hand them over: four files, with faults of every kind planted.

Invariant: post k and its fault depend on (seed, k) and the posts before it alone; every fault carries its kind in the
row's field ``planted`` and in ``planted.jsonl``, and a row without one is what a build should keep.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trifacet.base.files import write_atomically
from trifacet.demo.alttext import clean
from trifacet.demo.facts import NAMES, Scene, draw_scene, scene_generator
from trifacet.demo.posts import write_post
from trifacet.demo.raw_faults import FAULTS, Draft, encode
from trifacet.demo.raw_texts import PUBLIC, small_talk
from trifacet.demo.renderer import textured

SOURCES = ("posts.jsonl", "posts.csv", "tweets.csv", "posts.parquet")
_TURNS = (0, 2, 1, 0, 3)  # the sources that posts go to, in turn
_COLUMNS = ("id", "image", "context", "alt", "planted")
_TWEET = ("tweet_id", "media_url", "text", "alt_text", "planted")


@dataclass(frozen=True)
class Planted:
    """What stands in ``planted.jsonl``: the fault of a row, and which steps should do what about it.

    ``row`` and ``twin`` are places in the build, as events have them: all rows of the four files in order, from 0.
    ``expected``: "gone" (it should leave), "changed", "noticed" (any event), "one of two" (it or its twin should leave,
    not both) or "kept".
    """

    row: int
    id: str
    planted: str
    expected: str
    steps: tuple[str, ...]
    twin: int | None = None


def write_raw_posts(
    folder: Path, posts: int, seed: int, image_size: int, *, faults: float = 0.2, base_url: str = "http://127.0.0.1:9"
) -> list[Planted]:
    """Write ``SOURCES``, ``images/`` and ``planted.jsonl``.

    Args:
        folder: gets the files; images of all sources lie in ``images/`` below it.
        posts: rows in all.
        seed: seed of everything that is drawn.
        image_size: side of the pictures in pixels; below 96 the textures that tell them apart are lost.
        faults: share of the rows that get a fault; all kinds are equally frequent.
        base_url: address under which ``folder`` is served, for the images of the tweets.

    Returns:
        What was planted, in the order of the rows.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    kinds = _planted_kinds(posts, seed, faults)
    drafts: list[Draft] = []
    facts: set[tuple[Any, ...]] = set()
    for index in range(posts):
        draft = _draft(index, seed, image_size, facts)
        if index in kinds:
            rng = scene_generator(seed, "fault", index)
            sound = [earlier for earlier in drafts if earlier.planted is None]
            draft.planted = kinds[index]
            FAULTS[kinds[index]].plant(draft, rng, sound)
        drafts.append(draft)
    return _write(folder, drafts, base_url)


def _draft(index: int, seed: int, size: int, facts: set[tuple[Any, ...]]) -> Draft:
    """A post without a fault; its facts are no other post's, so that no two alt-texts are alike by accident."""
    rng = scene_generator(seed, "raw", index)
    scene = _public(draw_scene(rng))
    while (told := (scene.name, scene.colour, scene.shape, scene.count, scene.place)) in facts:
        scene = _public(draw_scene(rng))
    facts.add(told)
    picture = textured(scene, size, rng)
    suffix = ".png" if rng.random() < 0.25 else ".jpg"
    return Draft(
        id=f"{1_000_000 + index}" if _source(index) == 2 else f"post-{index:06d}",
        source=_source(index),
        scene=scene,
        picture=picture,
        data=encode(picture, suffix),
        name=f"img_{index:06d}{suffix}",
        context=" ".join([*write_post(scene, rng), small_talk(rng)]),
        alt=clean(scene),
    )


def _source(index: int) -> int:
    return _TURNS[index % len(_TURNS)]


def _public(scene: Scene) -> Scene:
    """The scene with people who may be named."""
    name = PUBLIC[NAMES.index(scene.name) % len(PUBLIC)]
    other = PUBLIC[NAMES.index(scene.other) % len(PUBLIC)] if scene.other else None
    return replace(scene, name=name, other=None if other == name else other)


def _planted_kinds(posts: int, seed: int, share: float) -> dict[int, str]:
    """Which fault each row gets, for the rows that get one: the kinds in turn, each in a row of a source it suits."""
    first = min(posts // 4, 20)  # twins need sound rows before them
    free = (first + scene_generator(seed, "faults", 0).permutation(posts - first)).tolist()
    kinds: dict[int, str] = {}
    names = list(FAULTS)
    for number in range(round(posts * share)):
        kind = names[number % len(names)]
        place = next((index for index in free if _source(index) in FAULTS[kind].sources), None)
        if place is None:
            continue
        free.remove(place)
        kinds[place] = kind
    return kinds


def _write(folder: Path, drafts: Sequence[Draft], base_url: str) -> list[Planted]:
    rows: list[list[Draft]] = [[] for _ in SOURCES]
    for draft in drafts:
        (folder / "images" / draft.name).write_bytes(draft.data)
        rows[draft.source].append(draft)
    places = {id(draft): place for place, draft in enumerate(draft for source in rows for draft in source)}
    planted = [
        Planted(
            places[id(draft)],
            draft.id,
            kind,
            FAULTS[kind].expected,
            FAULTS[kind].steps,
            None if draft.twin is None else places[id(draft.twin)],
        )
        for source in rows
        for draft in source
        if (kind := draft.planted) is not None
    ]
    write_atomically(folder / SOURCES[0], "".join(map(_line, rows[0])))
    write_atomically(folder / SOURCES[1], _csv(_COLUMNS, [_values(draft, "") for draft in rows[1]]))
    write_atomically(folder / SOURCES[2], _csv(_TWEET, [_values(draft, f"{base_url}/") for draft in rows[2]]))
    _write_parquet(folder / SOURCES[3], [_values(draft, "") for draft in rows[3]])
    lines = (json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in planted)
    write_atomically(folder / "planted.jsonl", "".join(lines))
    return planted


def _values(draft: Draft, before: str) -> list[str | None]:
    image = f"{before}images/{draft.name}" if draft.image is None else draft.image.replace("{base}", before)
    return [draft.id, image, draft.context, draft.alt, draft.planted]


def _line(draft: Draft) -> str:
    values = {name: value for name, value in zip(_COLUMNS, _values(draft, ""), strict=True) if value is not None}
    line = json.dumps(values, ensure_ascii=False)
    return (line[: 2 * len(line) // 3] if draft.cut_line else line) + "\n"


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return file.getvalue()


def _write_parquet(path: Path, rows: Sequence[Sequence[str | None]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = zip(*rows, strict=True) if rows else [[] for _ in _COLUMNS]
    arrays = [pa.array(list(values), pa.string()) for values in columns]
    pq.write_table(pa.table(arrays, names=list(_COLUMNS)), path)
