"""The sections of a build's recipe that say where posts come from, how images are fetched and what is written."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from trifacet.settings.section import MOST, Section

SourceFormat = Literal["auto", "table", "twitter", "trifacet", "mcm-dpo", "trl", "ms-swift", "llama-factory"]


class Columns(Section):
    """Which columns of a table hold what; null where there is none."""

    id: str | None = Field("id", description="the row's id; a row without one is called after its file and row")
    image: str | None = Field("image", description="path or URL of the image, or a list of them")
    context: str | None = Field("context", description="text of the post")
    alt: str | None = Field("alt", description="the user's alt-text")
    prompt: str | None = Field("prompt", description="a request of the row's own")


class Source(Section):
    """Where raw posts come from."""

    path: str = Field(description="a file (JSONL, JSON, CSV, TSV, Parquet; .gz too), a folder of such files, or a glob")
    format: SourceFormat = Field("auto", description="what its rows are; auto looks at the first")
    images: str | None = Field(None, description="folder that image paths are relative to (null: that of the file)")
    columns: Columns = Field(default_factory=Columns, description="columns of a table")
    label: str = Field("Context:", description="line between request and post, where one text holds both")
    limit: int | None = Field(None, ge=1, le=MOST, description="read so many rows at most")


class Network(Section):
    """How images are downloaded."""

    allow_private: bool = Field(False, description="also fetch from private and loopback addresses")
    max_bytes: int = Field(20_000_000, ge=1, le=MOST, description="largest download")
    timeout: float = Field(20.0, gt=0, le=3600, description="seconds for one download from first to last byte")
    redirects: int = Field(3, ge=0, le=20, description="redirects to follow, each checked like the first address")
    tries: int = Field(
        3, ge=1, le=100, description="attempts, for what may pass: time-outs, 429, 5xx, broken connections"
    )
    per_host: float = Field(4.0, gt=0, le=1000, description="requests a second to one host, over all workers")
    concurrency: int = Field(32, ge=1, le=1000, description="downloads at the same time in one worker")
    user_agent: str = Field("trifacet (alt-text data set; images only)", description="how we say who asks")

    def decides(self) -> dict[str, Any]:
        """What decides which rows get an image; all else is pace and patience."""
        return self.model_dump(include={"allow_private", "max_bytes", "redirects"})


class Output(Section):
    """What is written."""

    shard_rows: int = Field(10_000, ge=1, le=10_000_000, description="rows per Parquet shard")
    images: Literal["files", "embedded"] = Field(
        "files", description="files under images/ (hard links where the disk allows), or bytes inside the shards"
    )
    extra: list[str] | None = Field(
        None, description="fields beyond ours that are written, such as none of a user's name: [] (null: all of them)"
    )
