"""The recipe sections of the data: files and formats, or the demo's world."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from trifacet.data.post_settings import Posts
from trifacet.lettering.settings import Reading
from trifacet.settings.section import MOST, Section, Unit

Split = Literal["sft", "preference", "validation", "test"]
WorldKind = Literal["posts", "things", "signs", "tasks"]


class World(Section):
    """The demo's own world of rendered pictures; written to <output>/data before the first stage."""

    kind: WorldKind = Field(
        "posts",
        description="posts: alt-text of one kind of thing, given its post; things: captions of pictures with two to "
        "four different things, and questions about them, no posts; signs: captions of pictures with a thing or two "
        "and a sign, given posts that may name its words wrongly; tasks: instructions with known truth about such "
        "pictures, and supervised rows of the three roles of evolve",
    )
    prompts: str | None = Field(
        None,
        description="tasks: folder with feedback.txt, revision.txt, verify-word.txt and answer-reference.txt, by which "
        "the supervised rows of the roles are asked, in place of the package's prompts",
    )
    wrong: Unit = Field(
        0.5, description="tasks: share of wrong ones among the answers that supervised rows judge and revise"
    )
    sft: int = Field(8000, ge=1, le=10_000_000, description="supervised samples, with the faults of real users")
    preference: int = Field(1500, ge=1, le=10_000_000, description="preference pairs with clean chosen texts")
    validation: int = Field(150, ge=1, le=10_000_000, description="held-out posts for choosing hyper-parameters")
    test: int = Field(200, ge=1, le=10_000_000, description="held-out posts for the report")
    posts: Posts = Posts()

    @model_validator(mode="after")
    def _of_posts(self) -> Self:
        if self.kind != "posts" and self.posts != Posts():
            raise ValueError(f"posts has the knobs of kind posts, and kind is {self.kind}; leave one of them out")
        return self


class Data(Section):
    """Where the samples are and how the request is put."""

    root: str = Field(".", description="folder that image paths and data files are relative to")
    images: str | dict[Split, str] | None = Field(
        None, description="folder of the images, relative to root (null: root itself), or a folder per split"
    )
    format: str = Field(
        "auto",
        description="format of the files: trifacet, mcm-dpo, trl, ms-swift, llama-factory, rlhf-v, rlaif-v, "
        "vlfeedback, or package.module:name of your own; auto looks at the first row",
    )
    sft: str | None = Field(None, description="file of supervised samples (a preference file serves too: its chosen)")
    preference: str | None = Field(None, description="file of preference samples")
    validation: str | None = Field(None, description="file of test samples that a sweep chooses by")
    test: str | None = Field(None, description="file of test samples to describe and score")
    world: World | None = Field(None, description="make the demo's posts instead of reading files")
    prompt: str = Field(
        "Write alt-text for the image, given its context.", description="the request; the post follows after a label"
    )
    context_label: str = Field("Context:", description="label before the post; both are left out when it is empty")
    lettering: Literal["leave", "prompt"] = Field(
        "leave", description="prompt: put the words read in the picture into the request, between it and the post"
    )
    lettering_label: str = Field("Words in the image:", description="label before the words; left out without any")
    lettering_characters: int = Field(
        400, ge=8, le=10_000, description="most characters of the words in a request; what is set smallest goes first"
    )
    reading: Reading = Field(Reading(), description="how the words are read; a row's own extra.lettering goes first")
    max_length: int = Field(
        2048, ge=8, le=1_000_000, description="longest sequence in tokens; longer posts are cut at their end"
    )
    max_pixels: int = Field(
        50_000_000, ge=1, le=MOST, description="largest image in pixels, against decompression bombs"
    )
    workers: int = Field(
        0, ge=0, le=128, description="processes that read images and build batches ahead of the training"
    )
    on_bad_row: Literal["stop", "skip"] = Field(
        "stop", description="stop at a row or image that cannot be used, or skip it: decodes every image beforehand"
    )
