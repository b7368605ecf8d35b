"""Processors, also where nothing can read videos: the packages for that are heavy, and no video is read here.

Invariant: a processor that was loaded without its video part saves what the checkpoint said of that part unchanged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import VIDEO_PROCESSOR_NAME, cached_file, is_torchvision_available
from transformers.utils.hub import PushToHubMixin


class NoVideos(PushToHubMixin):
    """Stands where a processor wants its video processor; ``settings`` are those of what it stands for."""

    _auto_class = None

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.settings = settings or {}
        self.num_frames = self.settings.get("num_frames")
        self.fps = self.settings.get("fps")

    def to_dict(self) -> dict[str, Any]:
        return dict(self.settings)


def read_processor(source: str, config: Any, **options: Any) -> Any:
    """The processor of a checkpoint, by ``AutoProcessor``; without torchvision with ``NoVideos`` where it reads videos.

    Raises:
        OSError, ValueError, TypeError, KeyError: transformers finds no processor or cannot build it.
        ImportError: another package is missing; the message names it.
    """
    kind: Any = PROCESSOR_MAPPING.get(type(config), None)
    if is_torchvision_available() or kind is None or "video_processor" not in kind.get_attributes():
        return AutoProcessor.from_pretrained(source, **options)
    settings, _ = kind.get_processor_dict(source, **options)
    if "video_processor" not in settings:
        settings["video_processor"] = _video_settings(source)
    return without_videos(
        kind,
        settings,
        image_processor=AutoImageProcessor.from_pretrained(source, **options),
        tokenizer=AutoTokenizer.from_pretrained(source, **options),
    )


def _video_settings(source: str) -> dict[str, Any]:
    """The settings of a video processor in a file of its own, as in checkpoints of the hub."""
    file = cached_file(source, VIDEO_PROCESSOR_NAME, _raise_exceptions_for_missing_entries=False)
    return json.loads(Path(file).read_text(encoding="utf-8")) if file else {}


def without_videos(kind: Any, settings: dict[str, Any], **parts: Any) -> Any:
    """A processor of the class ``kind`` from its ``settings`` and all parts but that for videos."""

    class Accepting(kind):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            known = argument_name != "video_processor"  # its base class is not even importable without torchvision
            return super().check_argument_for_proper_class(argument_name, argument) if known else NoVideos

    parts["video_processor"] = NoVideos(settings.get("video_processor"))
    processor = Accepting.from_args_and_dict([parts[name] for name in kind.get_attributes()], settings)
    processor.__class__ = kind
    return processor
