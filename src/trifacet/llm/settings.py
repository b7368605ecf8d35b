"""The recipe section of a language model, shared by builds, judges and endpoints."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, model_validator

from trifacet.settings.section import MOST, Section


class Price(Section):
    """What a model costs, in the currency of your choice, for a million tokens."""

    input: float = Field(0.0, ge=0, le=MOST, description="a million tokens of prompts")
    output: float = Field(0.0, ge=0, le=MOST, description="a million tokens of answers")


class Model(Section):
    """A language model behind an OpenAI-compatible endpoint, or one of this machine."""

    base_url: str = Field(description="such as http://127.0.0.1:8000/v1; local: transformers in this process")
    model: str = Field(description="the name that the endpoint knows it by; local: folder or hub id of a chat model")
    key_env: str = Field("OPENAI_API_KEY", description="environment variable that holds the key; unset: none is sent")
    concurrency: int = Field(16, ge=1, le=10_000, description="requests at the same time")
    requests_per_minute: float | None = Field(None, gt=0, le=MOST, description="at most so many requests a minute")
    tokens_per_minute: float | None = Field(
        None, gt=0, le=MOST, description="at most so many tokens a minute, both ways"
    )
    timeout: float = Field(120.0, gt=0, le=86_400, description="seconds for one answer")
    tries: int = Field(
        8, ge=1, le=1000, description="attempts where the endpoint fails, with growing pauses; then we stop"
    )
    reparse: int = Field(
        3, ge=0, le=100, description="further attempts where an answer cannot be parsed; then it is counted"
    )
    max_tokens: int = Field(512, ge=1, le=1_000_000, description="longest answer")
    image_side: int | None = Field(
        768, ge=16, le=65_500, description="longest side of images sent, in pixels (null: send none)"
    )
    price: Price = Field(default_factory=Price)

    @model_validator(mode="after")
    def _no_secrets(self) -> Model:
        parts = urlsplit(self.base_url)
        if "@" in parts.netloc or parts.query:
            raise ValueError(
                "base_url holds a password or a key, and it is copied into manifests and reports; "
                f"put the key into the environment variable {self.key_env}"
            )
        return self
