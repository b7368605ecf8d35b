"""Processors, also where nothing can read videos: the packages for that are heavy, and no video is read here.

Invariant: a processor that was loaded without its video part saves what the checkpoint said of that part unchanged.
"""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.tokenization_utils_base import FULL_TOKENIZER_FILE
from transformers.utils import (
    CHAT_TEMPLATE_FILE,
    IMAGE_PROCESSOR_NAME,
    LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE,
    PROCESSOR_NAME,
    VIDEO_PROCESSOR_NAME,
    is_torchvision_available,
)
from transformers.utils.hub import PushToHubMixin

from trifacet.base.errors import TrifacetError
from trifacet.models.soundness import file_of
from trifacet.models.trial import TEXT, try_template, try_tokenizer

_TOKENIZERS = (FULL_TOKENIZER_FILE, "tokenizer.model", "vocab.json")


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
        TrifacetError: the tokenizer is endless, or the picture's colours are divided by nought.
    """
    try_tokenizer_of(source)
    processor = _processor(source, config, options)
    if images := getattr(processor, "image_processor", None):
        refuse_odd_normalisation(source, images)
    return processor


def _processor(source: str, config: Any, options: dict[str, Any]) -> Any:
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


def with_own_parts(folder: Path, processor: Any) -> Any:
    """``processor`` with the tokenizer, chat template and image processor of a folder; None if it holds none of them.

    Raises:
        TrifacetError: a token of the processor's has another id in the folder's tokenizer.
        Exception: whatever transformers trips over.
    """
    own = copy.copy(processor)
    source = str(folder)
    if any((folder / name).is_file() for name in _TOKENIZERS):
        own.tokenizer = read_tokenizer(source)
        ids = own.tokenizer.get_vocab()
        for token, number in processor.tokenizer.get_vocab().items():
            if ids.get(token) != number:
                raise TrifacetError(
                    f"{folder}: its tokenizer gives {token!r} the id {ids.get(token)}, and its base's gives {number}; "
                    "take the tokenizer's files out of it, or name the base that it was trained on"
                )
        own.chat_template = own.tokenizer.chat_template or own.chat_template
    for name in (LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE, CHAT_TEMPLATE_FILE):
        if (file := folder / name).is_file():
            text = file.read_text(encoding="utf-8")
            own.chat_template = json.loads(text)["chat_template"] if file.suffix == ".json" else text
    if (folder / PROCESSOR_NAME).is_file() or (folder / IMAGE_PROCESSOR_NAME).is_file():
        own.image_processor = AutoImageProcessor.from_pretrained(source)
        refuse_odd_normalisation(source, own.image_processor)
    return own if vars(own) != vars(processor) else None


def lacking_part(source: str) -> str:
    """Which files a folder lacks that every processor has, in words; nothing of a hub's checkpoint."""
    folder = Path(source)
    if not folder.is_dir():
        return ""
    for names in ((PROCESSOR_NAME, IMAGE_PROCESSOR_NAME), _TOKENIZERS):
        if not any((folder / name).is_file() for name in names):
            return f"there is no {' or '.join(names)}"
    return ""


def read_tokenizer(source: str, **options: Any) -> Any:
    """The tokenizer of a checkpoint, by ``AutoTokenizer``. Raises as ``read_processor`` does."""
    try_tokenizer_of(source)
    return AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)


def try_tokenizer_of(source: str) -> None:
    """Raise TrifacetError if the tokenizer of a checkpoint makes too much of a text."""
    if file := file_of(source, FULL_TOKENIZER_FILE):
        try_tokenizer(file)


def try_template_of(source: str, processor: Any, *, pictures: bool) -> None:
    """Raise TrifacetError if a processor's or tokenizer's chat template makes too much of a request."""
    template = processor.chat_template
    template = template.get("default") if isinstance(template, dict) else template
    if not isinstance(template, str):
        return
    said: Any = [{"type": "text", "text": TEXT}] if pictures else TEXT
    asked: Any = [{"type": "image"}, *said] if pictures else said
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    tokens = getattr(processor, "tokenizer", processor).special_tokens_map
    try_template(template_place(source), template, messages, {key: str(token) for key, token in tokens.items()})


def template_place(source: str) -> str:
    """Where the chat template of a checkpoint stands, for messages."""
    return str(file_of(source, CHAT_TEMPLATE_FILE) or source)


def processor_place(source: str) -> str:
    """Where the image processor of a checkpoint stands, for messages."""
    return str(file_of(source, PROCESSOR_NAME) or file_of(source, IMAGE_PROCESSOR_NAME) or source)


def refuse_odd_normalisation(source: str, images: Any) -> None:
    """Raise TrifacetError if an image processor would divide by nought, or by what is no number."""
    for key, least, most in (("image_mean", 0.0, 1.0), ("image_std", 1e-6, math.inf)):
        values = getattr(images, key, None)
        values = values if isinstance(values, list | tuple) else [values]
        if any(one is not None and not (isinstance(one, int | float) and least <= one <= most) for one in values):
            of = "from 0 to 1" if key == "image_mean" else "above 0"
            raise TrifacetError(f"{processor_place(source)}: {key} is {values}; it takes a number {of} per colour")


def _video_settings(source: str) -> dict[str, Any]:
    """The settings of a video processor in a file of its own, as in checkpoints of the hub."""
    file = file_of(source, VIDEO_PROCESSOR_NAME)
    return json.loads(file.read_text(encoding="utf-8")) if file else {}


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
