"""A preference row gets rejected images, as files that any trainer can read.

Invariant: see ``lending`` and ``rejection.images``; files are named by what they are made of, never by words of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from PIL import Image
from pydantic import Field, model_validator

from trifacet.base.digests import file_digest, text_digest
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.files import replacing
from trifacet.building.lending import OutsideCluster, TextsOnDisk, clusters_of, concerned, decisions_in_turn
from trifacet.building.rows import Post, RowBatch
from trifacet.building.step import MADE, GlobalStep, Signatures, Tools
from trifacet.preferences.rejected.images import STRATEGIES, image_strategy, rejected_image, shown
from trifacet.preferences.rejected.strategy import Draw, ImageStrategy, Seen
from trifacet.preferences.settings import StrategyName
from trifacet.settings.section import Section

if TYPE_CHECKING:
    import torch

# CLIP's, since LLaVA and most models that are trained on such files read pictures through CLIP
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_OF_BUILDS = ", ".join(name for name, one in STRATEGIES.items() if not one.needs_regions)


class Parameters(Section):
    """Which strategy, how many, and how they are kept."""

    strategy: StrategyName = Field(
        "diffusion",
        description=f"how a rejected image is made ({_OF_BUILDS}, or a class of your own as package.module:Name); "
        "see docs/rejected-versions.md",
    )
    t: int = Field(700, ge=0, le=1000, description="noise steps")
    versions: int = Field(1, ge=1, le=100, description="rejected images a row")
    format: Literal["jpeg", "png"] = Field("jpeg", description="of the files; noise takes three times the room as PNG")

    @model_validator(mode="after")
    def _without_regions(self) -> Parameters:
        if self.made_by().needs_regions:
            raise ValueError(
                f"a build knows no regions, which strategy {self.strategy!r} spoils; leave the step out and set "
                "rejected.image.strategy in the training's recipe, or use random-region"
            )
        return self

    def made_by(self) -> ImageStrategy:
        """The strategy."""
        return image_strategy(self.strategy, self.t)


def sign(part: pa.Table, parameters: Parameters, tools: Tools) -> pa.Table:
    """The rows of the preference set that have an image: number, id, cluster, file, and their images' contents."""
    rows = [post for post in part.to_pylist() if concerned(post["split"]) and post["file"]]
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "row": (pa.int64(), [post["row"] for post in rows]),
        "id": (pa.string(), [post["id"] for post in rows]),
        "cluster": (pa.int64(), [post["cluster"] for post in rows]),
        "file": (pa.string(), [post["file"] for post in rows]),
        "content": (pa.string(), [post["sha256"] or file_digest(tools.path(post["file"])) for post in rows]),
        "beside": (
            pa.list_(pa.string()),
            [[file_digest(tools.path(f)) for f in post["more_files"] or ()] for post in rows],
        ),
        "has": (pa.bool_(), [bool(post["rejected_images"]) for post in rows]),
    }
    if not parameters.made_by().needs_donor:
        columns = {name: columns[name] for name in ("row", "has")}
    return pa.table({name: pa.array(values, kind) for name, (kind, values) in columns.items()})


def decide(signatures: Signatures, parameters: Parameters, tools: Tools) -> pa.Table:
    """The rows that get rejected images, with those of other rows where the strategy takes them from there.

    Memory: 24 bytes a row; names and digests stay on disk.
    """
    rows = _lent(signatures, parameters, tools) if parameters.made_by().needs_donor else _lacking(signatures)
    return decisions_in_turn(rows, "files")


def _lacking(signatures: Signatures) -> Iterator[tuple[int, list[str]]]:
    for part in signatures.parts(["row", "has"]):
        yield from ((post["row"], []) for post in part.to_pylist() if not post["has"])


def _lent(signatures: Signatures, parameters: Parameters, tools: Tools) -> Iterator[tuple[int, list[str]]]:
    from trifacet.preferences.rejected.samples import image_donors

    def texts(name: str) -> TextsOnDisk:
        values = (text for part in signatures.parts([name]) for text in part.column(name).to_pylist())
        return TextsOnDisk(values, tools.folder)

    files, contents, clusters = texts("file"), texts("content"), clusters_of(signatures.column("cluster"))
    index = -1
    for part in signatures.parts(["row", "id", "beside", "has"]):
        for post in part.to_pylist():
            index += 1
            if post["has"]:
                continue
            others = OutsideCluster(contents, clusters, index)
            draw = {"seed": tools.seed, "sample_id": post["id"], "versions": parameters.versions}
            try:
                donors = image_donors(others, index, beside=post["beside"], **draw)
            except TrifacetError:  # there is no other image
                donors = []
            yield post["row"], [files[donor] for donor in donors]


def apply(batch: RowBatch, decisions: pa.Table, parameters: Parameters, tools: Tools) -> None:
    """Set the rejected images; those that are not another row's are made here."""
    strategy = parameters.made_by()
    lent = dict(zip(decisions.column("row").to_pylist(), decisions.column("files").to_pylist(), strict=True))
    for post in batch.posts():
        if post["row"] not in lent:
            continue
        if not strategy.needs_donor:
            _make(post, strategy, parameters, tools)
        elif lent[post["row"]]:
            post.change("rejected_images", lent[post["row"]], "image of another post")
        else:
            post.note("no other image to reject")


def _make(post: Post, strategy: ImageStrategy, parameters: Parameters, tools: Tools) -> None:
    try:
        chosen = tools.image(post["file"])
    except DataError as error:
        post.fail("image cannot be opened", problem=str(error))
        return
    content = post["sha256"] or file_digest(tools.path(post["file"]))
    response = [post["alt"]] if strategy.sees_response else []
    files = []
    for version in range(1, parameters.versions + 1):
        key = [strategy.fingerprint(), tools.seed, post["id"], content, version, *response]
        digest = text_digest(json.dumps(key))
        name = f"rejected/{digest[:2]}/{digest}.{'jpg' if parameters.format == 'jpeg' else 'png'}"
        draw = Draw(tools.seed, post["id"], version)
        _save(_rejected(strategy, chosen, post["alt"], draw), tools.roots[MADE] / name)
        files.append(f"{MADE}:{name}")
    post.batch.keep(files)
    post.change("rejected_images", files, "image made")


def _rejected(strategy: ImageStrategy, chosen: Image.Image, response: str, draw: Draw) -> Image.Image:
    """The rejected image at the chosen one's own size; encoder-space strategies act on its pixels, normalised."""

    def no_donor() -> Image.Image:
        raise TrifacetError(f"strategy {strategy.name!r} takes another row's image without saying so (needs_donor)")

    seen = Seen(chosen, response, draw, normalised, MEAN, STD, no_donor)
    return shown(rejected_image(strategy, seen), seen)


def normalised(picture: Image.Image) -> torch.Tensor:
    """An RGB picture as (1, 3, height, width), each channel less its mean and over its standard deviation."""
    import torch

    pixels_1CHW = torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)[None] / 255
    return (pixels_1CHW - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def _save(picture: Image.Image, path: Path) -> None:
    with replacing(path) as temporary:
        if path.suffix == ".jpg":
            picture.save(temporary, "JPEG", quality=95)
        else:
            picture.save(temporary, "PNG", compress_level=1)


STEP = GlobalStep("rejected-image", Parameters, sign, decide, apply, needs=lambda parameters: frozenset({"files"}))
