"""What the tests of suggestions share: documents made by hand, and a writer that writes by a rule."""

import hashlib
from dataclasses import dataclass, field

from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.base.images import resolve_inside
from trifacet.data.writing import Written, require_unique_ids
from trifacet.describing.judging import Checks
from trifacet.describing.place import Around, Picture, Place
from trifacet.describing.queue import Queue
from trifacet.describing.rasters import Rasters
from trifacet.describing.requests import Asking
from trifacet.describing.suggesting import Model, Suggester

AGREED = "A red bicycle leans against a white wall."


@dataclass(frozen=True)
class Page:
    path: str
    places: tuple
    digest: str = "d0"
    format: str = "html"


@dataclass
class RuleWriter:
    """A writer whose text is what ``rule(post, draw)`` says; it notes what it was asked, and stops after ``most``."""

    rule: object = lambda post, draw: AGREED
    asked: list = field(default_factory=list)
    most: int = 10**9
    ended: object = lambda post, draw: True

    def write(self, posts, images_root, *, draws=1, done=(), on_written=None):
        require_unique_ids(posts)
        texts = []
        for post in posts:
            assert all(resolve_inside(images_root, name).is_file() for name in post.pictures)
            for draw in range(draws):
                if (post.id, draw) in done:
                    continue
                if len(self.asked) == self.most:
                    raise TrifacetError("the model is gone")
                self.asked.append((post, draw))
                texts.append(Written(post.id, self.rule(post, draw), 1, 1, draw=draw, ended=self.ended(post, draw)))
                if on_written:
                    on_written([texts[-1]])
        return texts

    def made_with(self, posts):
        return {}


def picture(folder, name, colour):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (24, 16), colour).save(path)
    return path


def place(key="img1", file="a.png", role="plain", alt=None, state="missing", **others):
    around = Around(**{"before": "Spring in the yard.", "language": "en", **others.pop("around", {})})
    shown = others.pop("picture", None) or Picture("file", file, file)
    return Place(key, shown, alt, state, role, "because", around, **{"line": 3, **others})


def page(path="index.html", *places, digest="d0"):
    return Page(path, tuple(places), digest)


def suggester(folder, writer, *, queue=None, draws=5, asking=None, checks=None, **others):
    return Suggester(
        queue or Queue(folder / "queue.sqlite"),
        Model({"model": "rule", "weights": hashlib.sha256(b"rule").hexdigest(), "seed": 17}, lambda: writer, draws),
        asking or Asking(),
        checks or Checks(),
        Rasters(folder),
        who="tests",
        **others,
    )
