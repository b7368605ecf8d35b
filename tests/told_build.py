"""A small real build with every kind of decision, by local steps that tell what the package's steps tell.

The steps are simple on purpose (a word list for names, equality for duplicates): what is tested is how they are told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
from PIL import Image, ImageDraw

from trifacet.base.errors import DataError
from trifacet.building.build import run_build
from trifacet.building.recipe import BuildRecipe
from trifacet.building.rows import RowBatch
from trifacet.building.step import GlobalStep, MapStep, Signatures, Tools
from trifacet.building.steps import STEPS
from trifacet.settings.section import Section

HOSTILE = (
    "<script>alert(1)</script> new kites at the old pier for you",
    '"><img src=x onerror="alert(2)"> with a second look at it',
    "</textarea></style><svg onload=alert(3)> {{ 7 * 7 }} \u202egnp.exe\u202c and on",
    "\x1b[31mred\x1b[0m and \x07 a bell, [bold]loud[/bold] | a cell | `code` **strong**",
)
VERIFIED = "judge prefers the alt-text in both orders"


class Nothing(Section):
    """No parameters."""


def _images(batch: RowBatch, parameters: Any, tools: Tools) -> None:
    for post in batch.posts():
        if post["image"] and "://" not in post["image"]:
            file = f"{post['source']}:{post['image']}"
            try:
                image = tools.image(file)
            except DataError as error:
                post.fail("image cannot be used", field="image", before=post["image"], problem=error.problem)
                continue
            post.fill("file", file)
            post.fill("width", image.width)
        elif post["image"]:
            post.fail("address refused", field="image", before=post["image"])


def _names(batch: RowBatch, parameters: Any, tools: Tools) -> None:
    for field in ("context", "alt"):
        for place, text in enumerate(batch.column(field)):
            batch.change(place, field, text.replace("Rovena", "[person]"), "names replaced", names=["Rovena"])


def _grammar(batch: RowBatch, parameters: Any, tools: Tools) -> None:
    for post in batch.posts():
        if "teh" in post["alt"]:
            post.change("alt", post["alt"].replace("teh", "the"), "grammar corrected")
        if "zzz" in post["alt"]:
            after = "Something else altogether."
            post.note("correction changes too much", field="alt", before=post["alt"], after=after)


def _sign(table: pa.Table, parameters: Any, tools: Tools) -> pa.Table:
    return table.select(["row", "id", "context"])


def _decide(signatures: Signatures, parameters: Any, tools: Tools) -> pa.Table:
    first: dict[str, tuple[int, str]] = {}
    found = []
    for table in signatures.parts():
        for row in table.to_pylist():
            kept = first.setdefault(row["context"], (row["row"], row["id"]))
            if kept[0] != row["row"]:
                found.append({"row": row["row"], "kept": kept[0], "kept_id": kept[1]})
    return pa.Table.from_pylist(found, pa.schema([("row", pa.int64()), ("kept", pa.int64()), ("kept_id", pa.string())]))


def _apply(batch: RowBatch, decided: pa.Table, parameters: Any, tools: Tools) -> None:
    places = {row: place for place, row in enumerate(batch.column("row"))}
    for one in decided.to_pylist():
        kept = {"kept": one["kept"], "kept_id": one["kept_id"]}
        batch.drop(places[one["row"]], "near-duplicate of a better row", similarity=0.9876, by="text", **kept)


def _verify(batch: RowBatch, parameters: Any, tools: Tools) -> None:
    """Every second row becomes a preference; the judge favours what is shown first for every eighth."""
    for post in batch.posts():
        if post["row"] % 2:
            post.fill("split", "sft")
            continue
        post.fill("split", "preference")
        fair = [
            {"first": "alt-text", "answer": "A", "prefers": "alt-text"},
            {"first": "rejected", "answer": "B", "prefers": "alt-text"},
        ]
        biased = [fair[0], {"first": "rejected", "answer": "A", "prefers": "rejected"}]
        text = f"A worse text than: {post['alt'][:40]}"
        bad = {"text": text, "result": "judge's answer depends on the order", "orders": biased}
        good = {"text": text + " again", "result": VERIFIED, "orders": fair}
        nothing = {"text": None, "result": "no rejected text written", "problem": "cut JSON"}
        if post["row"] % 8 == 0:
            attempts = [bad, nothing, bad]
            post.drop(bad["result"], field="rejected_responses", before=bad["text"], attempts=attempts)
        else:
            post.change("rejected_responses", [good["text"]], VERIFIED, attempts=[bad, good])
        if post["file"] and post["row"] % 8:
            post.change("rejected_images", [post["file"]], "image made by crop")


LOCAL = {
    "told-images": MapStep("told-images", Nothing, _images, gives=frozenset({"files"})),
    "told-names": MapStep("told-names", Nothing, _names),
    "told-grammar": MapStep("told-grammar", Nothing, _grammar),
    "told-twins": GlobalStep("told-twins", Nothing, _sign, _decide, _apply),
    "told-verify": MapStep("told-verify", Nothing, _verify),
}


@contextmanager
def local_steps() -> Iterator[None]:
    """The steps of this file among those of the package, for builds with one worker: they stay in this process."""
    with patch.dict(STEPS, LOCAL):
        yield


def raw_posts(folder: Path, amount: int = 80) -> Path:
    """A JSONL of posts with planted faults, named in ``fault``; hostile ones among them; pictures beside it."""
    rows: list[dict[str, Any]] = []
    for number in range(amount):
        name, fault = f"p{number:04d}", None
        alt = f"A {('red', 'blue', 'green')[number % 3]} kite number {number} flies over the old wooden pier."
        context = f"Post {number}: what a day at the sea, {number * 7} gulls and one kite. <3"
        row: dict[str, Any] = {"id": name, "image": f"{name}.png", "context": context, "alt": alt}
        match number % 10:
            case 1:
                row["alt"], fault = "A kite.", "short"
            case 2:
                row["alt"], row["context"], fault = alt + " Rovena holds it.", context + " With Rovena!", "name"
            case 3:
                row["alt"], fault = alt.replace("the old", "teh old"), "grammar"
            case 4 if number > 10:
                row["context"], fault = rows[0]["context"], "duplicate"
            case 5:
                row["image"], fault = "missing.png" if number % 20 == 5 else "http://example.org/a.png", "image"
            case 6:
                hostile = HOSTILE[number // 10 % len(HOSTILE)]
                row["context"], row["alt"] = f"{hostile} {number}", f"{hostile} zzz {number}"
            case 7 if number > 10:
                row["id"], fault = "p0007", "same id"
        rows.append(row | ({"fault": fault} if fault else {}))
        _draw(folder / f"{name}.png", number)
    path = folder / "posts.jsonl"
    lines = [json.dumps(row) for row in rows]
    lines.insert(9, '{"id": "torn", "context": ')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (320, 240), ((190, 225, 250), (250, 230, 200), (215, 245, 215))[number % 3])
    draw = ImageDraw.Draw(image)
    x, y = 60 + number * 37 % 200, 50 + number * 23 % 90
    draw.polygon([(x, y - 40), (x + 30, y), (x, y + 50), (x - 30, y)], fill=("red", "blue", "green")[number % 3])
    draw.rectangle((0, 200, 320, 240), fill=(120, 90, 60))
    image.save(path)


def told_recipe(folder: Path, posts: Path, **changes: Any) -> BuildRecipe:
    """A recipe with all local steps; call it inside ``local_steps``."""
    steps = ["told-images", "alt-length", "told-names", "told-grammar", "told-twins", "told-verify"]
    values = {
        "name": "told",
        "output": str(folder / "build"),
        "sources": [{"path": str(posts)}],
        "steps": steps,
        "audit": "fault",
        "part_rows": 16,
    }
    values |= changes
    return BuildRecipe.model_validate({"max_dropped": dict.fromkeys(values["steps"], 1.0)} | values)


def told_build(folder: Path, amount: int = 80, **changes: Any) -> BuildRecipe:
    """A finished build; the recipe stays usable inside ``local_steps`` only."""
    recipe = told_recipe(folder, raw_posts(folder / "raw", amount), **changes)
    run_build(recipe, workers=1)
    return recipe
