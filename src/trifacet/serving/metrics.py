"""What Prometheus is told. Invariant: no label but a served model's name, a status and a kind of tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trifacet.base.extras import needed_for
from trifacet.serving.hosted import Hosted
from trifacet.serving.scheduler import Load

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300)


class Metrics:
    """The counters of one server; ``load`` says what is to be done now."""

    def __init__(self, load: Callable[[], Load]) -> None:
        with needed_for("/metrics"):
            from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter("trifacet_requests_total", "Requests, by status", ["model", "status"], **common)
        self._seconds = Histogram(
            "trifacet_request_seconds", "From arrival to the whole answer", ["model"], buckets=_SECONDS, **common
        )
        self._tokens = Counter("trifacet_tokens_total", "Tokens of prompts and texts", ["model", "kind"], **common)
        self._shown = Counter("trifacet_pictures_shown_total", "Pictures in answered requests", ["model"], **common)
        self._encoded = Counter(
            "trifacet_pictures_encoded_total", "Pictures that went through the vision encoder", ["model"], **common
        )
        waiting = Gauge("trifacet_waiting", "Requests that wait, or are being read", **common)
        running = Gauge("trifacet_running", "Requests that are being written", **common)
        waiting.set_function(lambda: load().waiting)
        running.set_function(lambda: load().running)

    def ended(self, model: str, status: int) -> None:
        """A request ended so; ``model`` is "" where it named none that is served."""
        self._requests.labels(model, str(status)).inc()

    def answered(self, model: str, seconds: float, prompt: int, text: int, pictures: int) -> None:
        """A request was answered: seconds, tokens, pictures."""
        self._seconds.labels(model).observe(seconds)
        self._tokens.labels(model, "prompt").inc(prompt)
        self._tokens.labels(model, "text").inc(text)
        self._shown.labels(model).inc(pictures)

    def encoded(self, hosted: Hosted, count: int) -> None:
        """So many pictures were encoded."""
        self._encoded.labels(hosted.name).inc(count)

    def page(self) -> tuple[bytes, str]:
        """The page that Prometheus reads, and its type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST
