"""The faults that raw posts of the demo world get, and what a build should make of each.

Invariant: a fault changes its own draft only, and nothing but what its name says.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from trifacet.demo.alttext import clean, with_wrong_fact
from trifacet.demo.facts import SHAPES, Scene, draw_scene, things
from trifacet.demo.posts import write_post
from trifacet.demo.raw_texts import FOREIGN, HOSTILE, INJECTIONS, PRIVATE, edited, small_talk, with_typos

_LOCAL, TWEETS, EVERYWHERE = (0, 1, 3), (2,), (0, 1, 2, 3)
HUGE = 8000  # pixels a side: 64 million, above the default limit of 50


@dataclass
class Draft:
    """A post on its way to a file. ``image`` overrides where the row says that its picture lies."""

    id: str
    source: int
    scene: Scene
    picture: Image.Image
    data: bytes
    name: str
    context: str
    alt: str | None
    image: str | None = None
    planted: str | None = None
    twin: Draft | None = None
    copied: bool = False
    cut_line: bool = False


Plant = Callable[[Draft, np.random.Generator, Sequence[Draft]], None]


@dataclass(frozen=True)
class _Fault:
    """How it is planted into a draft, given the sound drafts before it, what should come of it, and by which steps."""

    plant: Plant
    expected: str
    steps: tuple[str, ...] = field(default=())
    sources: tuple[int, ...] = EVERYWHERE


def encode(picture: Image.Image, suffix: str, quality: int = 92) -> bytes:
    """A still image file of the kind that ``suffix`` says."""
    file = io.BytesIO()
    if suffix == ".png":
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _animated(kind: str, suffix: str) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        frames = [draft.picture, draft.picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=200, loop=0)
        _use(draft, file.getvalue(), suffix)

    return plant


def _foreign(language: str) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        pairs = FOREIGN[language]
        draft.context, draft.alt = pairs[int(rng.integers(len(pairs)))]

    return plant


def _alt(*texts: str) -> Plant:
    """The alt-text is one of ``texts``; {name}, {things}, {n} and {alt} are filled in."""

    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        scene, text = draft.scene, texts[int(rng.integers(len(texts)))]
        thing = things(scene.shape, scene.count)
        n, alt = int(rng.integers(1000, 9999)), clean(scene)
        draft.alt = text.format(name=scene.name, things=thing, n=n, alt=alt, lower=alt[0].lower() + alt[1:])

    return plant


def _no_alt(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    draft.alt = None


def _hashtags(*fields: str) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        tags = f" #{SHAPES[draft.scene.shape]} #handmade"
        for name in fields:
            setattr(draft, name, getattr(draft, name) + tags)

    return plant


def _typos(name: str) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        setattr(draft, name, with_typos(getattr(draft, name), rng))

    return plant


def _private_name(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    name = PRIVATE[int(rng.integers(len(PRIVATE)))]
    draft.context = draft.context.replace(draft.scene.name, name)
    draft.alt = (draft.alt or "").replace(draft.scene.name, name)
    draft.scene = replace(draft.scene, name=name)


def _unknown_name(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    """A private person's name in small letters, as people type it: the demo's name finder knows it with a capital."""
    _private_name(draft, rng, sound)
    draft.context = draft.context.replace(draft.scene.name, draft.scene.name.lower())
    draft.alt = (draft.alt or "").replace(draft.scene.name, draft.scene.name.lower())


def _wrong_alt(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    """The user took one colour for another: only who looks at the picture could know."""
    draft.alt = clean(with_wrong_fact(draft.scene, rng, "colour"))


def _exact_copy(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    twin = _twin(draft, rng, sound)
    draft.context, draft.alt = twin.context, twin.alt
    _use(draft, twin.data, twin.name[-4:])


def _same_picture(change: Callable[[Image.Image, np.random.Generator], bytes]) -> Plant:
    """The twin's picture as another file, under a post of its own and a sentence of other words."""

    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        twin = _twin(draft, rng, sound)
        draft.context = " ".join([*write_post(draft.scene, rng), small_talk(rng)])
        first, _, rest = (twin.alt or "").partition(" for ")
        draft.alt = f"What was made for {rest.rstrip('.')}: {first[0].lower()}{first[1:]}."
        _use(draft, change(twin.picture, rng), ".jpg")

    return plant


def _resized(picture: Image.Image, rng: np.random.Generator) -> bytes:
    side = round(picture.width * float(rng.uniform(0.5, 0.9)))
    return encode(picture.resize((side, side), Image.Resampling.LANCZOS), ".jpg")


def _recompressed(picture: Image.Image, rng: np.random.Generator) -> bytes:
    return encode(picture, ".jpg", quality=int(rng.integers(20, 50)))


def _mirrored(picture: Image.Image, rng: np.random.Generator) -> bytes:
    return encode(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), ".jpg")


def _cropped(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Two to seven per cent off each edge."""
    left, upper, right, lower = (round(picture.width * share) for share in rng.uniform(0.02, 0.07, 4))
    return encode(picture.crop((left, upper, picture.width - right, picture.height - lower)), ".jpg")


def _same_text(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    """The twin's post with an edit, and a fresh picture of the same things elsewhere."""
    from trifacet.demo.renderer import textured

    twin = _twin(draft, rng, sound)
    draft.context, draft.alt = edited(twin.context, rng), twin.alt
    spots = draw_scene(rng).spots
    while len(spots) != twin.scene.count:
        spots = draw_scene(rng).spots
    draft.picture = textured(replace(twin.scene, spots=spots), draft.picture.width, rng)
    _use(draft, encode(draft.picture, ".jpg"), ".jpg")


def _twin(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> Draft:
    """An earlier sound draft that has no copy yet; its scene becomes the draft's own."""
    left = [earlier for earlier in sound if not earlier.copied]
    twin = left[int(rng.integers(len(left)))]
    twin.copied = True
    draft.twin, draft.scene, draft.picture = twin, twin.scene, twin.picture
    return twin


def _broken(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    draft.data = draft.data[: len(draft.data) // 3]


def _bytes(data: bytes) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        draft.data = data

    return plant


def _huge(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    file = io.BytesIO()
    Image.new("1", (HUGE, HUGE)).save(file, "PNG")
    _use(draft, file.getvalue(), ".png")


def _png_called_jpg(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    draft.data = encode(draft.picture, ".png")
    draft.name = draft.name[:-4] + ".jpg"


def _image_at(image: str) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        draft.image = image

    return plant


def _cut_line(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    draft.cut_line = True


def _used_id(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
    draft.id = next(earlier.id for earlier in reversed(sound) if earlier.source == draft.source)


def _beside(texts: Sequence[str]) -> Plant:
    def plant(draft: Draft, rng: np.random.Generator, sound: Sequence[Draft]) -> None:
        draft.context += " " + texts[int(rng.integers(len(texts)))]

    return plant


def _use(draft: Draft, data: bytes, suffix: str) -> None:
    draft.data, draft.name = data, draft.name[:-4] + suffix


def _table() -> dict[str, _Fault]:
    lint, short, image, near = ("lint",), ("alt-length", "lint"), ("images",), ("near-duplicates",)
    return {
        "animated-gif": _Fault(_animated("GIF", ".gif"), "gone", ("static-image",)),
        "animated-webp": _Fault(_animated("WEBP", ".webp"), "gone", ("static-image",)),
        "animated-png": _Fault(_animated("PNG", ".png"), "gone", ("static-image",)),
        **{f"language-{code}": _Fault(_foreign(code), "gone", ("language",)) for code in FOREIGN},
        "hashtags-in-post": _Fault(_hashtags("context"), "noticed", ("hashtags",)),
        "hashtags-in-alt": _Fault(_hashtags("alt"), "noticed", ("hashtags",)),
        "alt-missing": _Fault(_no_alt, "gone", short),
        "alt-too-short": _Fault(_alt("{things}", "my {things}", "{things} for {name}"), "gone", short),
        "alt-file-name": _Fault(_alt("IMG_{n}.JPG", "final edit copy {n} new.png"), "gone", short),
        "alt-placeholder": _Fault(_alt("image", "photo", "alt text"), "gone", short),
        "alt-image-of": _Fault(_alt("Image of {lower}", "Photo of {lower}"), "noticed", lint),
        "alt-boilerplate": _Fault(
            _alt("As an AI language model, I cannot see the picture, but it may show some {things}."), "noticed", lint
        ),
        "exact-copy": _Fault(_exact_copy, "one of two", ("exact-duplicates",)),
        "picture-resized": _Fault(_same_picture(_resized), "one of two", near),
        "picture-recompressed": _Fault(_same_picture(_recompressed), "one of two", near),
        "picture-cropped": _Fault(_same_picture(_cropped), "one of two", near),
        "picture-mirrored": _Fault(_same_picture(_mirrored), "one of two", near),
        "text-edited": _Fault(_same_text, "one of two", near),
        "private-name": _Fault(_private_name, "changed", ("names",)),
        "small-letter-name": _Fault(_unknown_name, "changed", ("names",)),
        "alt-of-a-wrong-colour": _Fault(_wrong_alt, "gone", ("verify",)),
        "typos-in-post": _Fault(_typos("context"), "changed", ("grammar",)),
        "typos-in-alt": _Fault(_typos("alt"), "changed", ("grammar",)),
        "image-broken": _Fault(_broken, "gone", image),
        "image-is-a-page": _Fault(_bytes(b"<!doctype html><title>404</title><p>Not here."), "gone", image),
        "image-huge": _Fault(_huge, "gone", image),
        "image-missing": _Fault(_image_at("images/moved-away.jpg"), "gone", image, _LOCAL),
        "image-outside": _Fault(_image_at("../../../etc/hostname"), "gone", image, _LOCAL),
        "url-dead": _Fault(_image_at("{base}images/gone.jpg"), "gone", image, TWEETS),
        "url-of-a-file": _Fault(_image_at("file:///etc/hostname"), "gone", image, TWEETS),
        "line-broken": _Fault(_cut_line, "gone", ("read",), (0,)),
        "id-twice": _Fault(_used_id, "gone", ("read",), (0, 1, 3)),
        "png-called-jpg": _Fault(_png_called_jpg, "kept"),
        "markup-in-post": _Fault(_beside(HOSTILE), "kept"),
        "injection-in-post": _Fault(_beside(INJECTIONS), "kept"),
    }


FAULTS: dict[str, _Fault] = _table()
