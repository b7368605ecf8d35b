"""Batched generation with a local model.

Invariant: what a sample gets does not depend on which samples are still to do: batches are planned over the whole
set, and a batch that is begun is generated whole. Shape letters: B rows, L tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from trifacet.base.draws import generator
from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import MAX_PIXELS, load_image
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.generation.filtering import Filter, candidates, first_passing
from trifacet.generation.settings import Generation
from trifacet.models.decoding import decoding

Seen = Callable[[TestSample, tuple[ImageInput, ...]], tuple[ImageInput, ...]]


@dataclass(frozen=True)
class Generated:
    """One sample's text, stripped and without special tokens.

    ``prompt_tokens`` counts the image's tokens too; ``new_tokens`` does not count the end token. ``cut_tokens`` says
    how many tokens of an over-long post were left out. ``filtered`` are the rules that the best candidate broke where
    no candidate passed the filter: the text is empty then.
    """

    id: str
    text: str
    prompt_tokens: int
    new_tokens: int
    cut_tokens: int = 0
    filtered: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Prompt:
    sample: TestSample
    ids_L: Tensor
    images: tuple[ImageInput, ...]
    cut_tokens: int


def generate_texts(
    model: Any,
    encoder: SampleEncoder,
    samples: Sequence[TestSample],
    *,
    images_root: str | Path,
    settings: Generation,
    seed: int = 17,
    done: Collection[str] = (),
    on_batch: Callable[[list[Generated]], None] | None = None,
    max_pixels: int = MAX_PIXELS,
    seen_as: Seen = lambda sample, images: images,
) -> list[Generated]:
    """Write a text for every sample.

    Args:
        model: a model of the encoder's family; it is left in the mode (training or not) in which it came.
        encoder: renders request and post; a post is cut so that ``settings.max_new_tokens`` fit after the prompt.
        samples: the posts; ids must be unique. ``settings.limit`` is the caller's business.
        images_root: folder of the images.
        settings: beams, temperature (0: no sampling), longest text, posts per batch, filter.
        seed: seed of the sampling; with temperature 0 nothing is drawn.
        done: ids whose texts are there already. A batch with something left to do is generated whole, so that the
            rest gets the texts that it would have got in one go.
        on_batch: called with the new texts after each batch.
        max_pixels: largest image.
        seen_as: what the model is shown instead of a sample's images; by default these themselves.

    Returns:
        The new texts (those of ``done`` are left out), in the order of ``samples``.

    Raises:
        TrifacetError: two samples with one id; an image that cannot be read; a request that does not fit.
    """
    _check_ids(samples)
    config = decoding(
        model,
        encoder.tokenizer,
        temperature=settings.temperature,
        longest=settings.max_new_tokens,
        ends=[encoder.end_id],
        reserved=encoder.family.reserved_ids,
        beams=settings.beams,
        candidates=candidates(settings.beams, settings.temperature) if settings.filter else 1,
    )
    texts: dict[str, Generated] = {}
    was_training = model.training
    model.eval()
    try:
        for batch in plan_batches(encoder, samples, settings.batch_size):
            if all(sample.id in done for sample in batch):
                continue
            prompts = [_prompt(encoder, sample, images_root, settings, max_pixels, seen_as) for sample in batch]
            answers = _generate_batch(model, encoder, prompts, config, seed, settings.filter)
            new = [answer for answer in answers if answer.id not in done]
            texts.update((answer.id, answer) for answer in new)
            if on_batch:
                on_batch(new)
    finally:
        model.train(was_training)
    return [texts[sample.id] for sample in samples if sample.id in texts]


def plan_batches(encoder: SampleEncoder, samples: Sequence[TestSample], batch_size: int) -> list[list[TestSample]]:
    """Batches of samples of like length, the longest first: memory that does not suffice shows at once.

    Images take most of the tokens, so samples with more of them count as longer.
    """
    if not samples:
        return []
    shown = [len(sample.pictures) for sample in samples]
    rendered = encoder.token_ids(
        [encoder.rendered(sample.prompt, sample.context, images=n) for sample, n in zip(samples, shown, strict=True)]
    )
    order = sorted(range(len(samples)), key=lambda index: (-shown[index], -len(rendered[index]), index))
    return [[samples[index] for index in order[at : at + batch_size]] for at in range(0, len(order), batch_size)]


def _check_ids(samples: Sequence[TestSample]) -> None:
    counts = Counter(sample.id for sample in samples)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise TrifacetError(f"{len(twice)} ids occur more than once, {twice[0]!r} first; give each sample its own id")


def _prompt(
    encoder: SampleEncoder,
    sample: TestSample,
    images_root: str | Path,
    settings: Generation,
    max_pixels: int,
    seen_as: Seen,
) -> _Prompt:
    try:
        pictures = (load_image(images_root, name, max_pixels=max_pixels) for name in sample.pictures)
        images = seen_as(sample, tuple(encoder.family.read(picture) for picture in pictures))
        path, cut = encoder.prompt_path(sample.prompt, sample.context, images, reserve=settings.max_new_tokens)
    except DataError as error:
        raise DataError(f"sample {sample.id!r}: {error.problem}", fix=error.fix) from None
    except TrifacetError as error:
        raise TrifacetError(f"sample {sample.id!r}: {error}") from None
    return _Prompt(sample, torch.from_numpy(path.tokens_L), images, cut)


def _generate_batch(
    model: Any,
    encoder: SampleEncoder,
    prompts: Sequence[_Prompt],
    config: GenerationConfig,
    seed: int,
    level: Filter | None,
) -> list[Generated]:
    device = next(model.parameters()).device
    ids_BL, mask_BL = _pad_left([prompt.ids_L for prompt in prompts], config.pad_token_id)
    images = [image for prompt in prompts for image in prompt.images]
    told = {name: value.to(device) for name, value in encoder.family.told(ids_BL, images).items()}
    with torch.inference_mode(), torch.random.fork_rng(enabled=config.do_sample):
        if config.do_sample:
            draws = generator("generate", seed, *(prompt.sample.id for prompt in prompts))
            torch.manual_seed(int(draws.integers(2**63)))
        collated = {name: value.to(device) for name, value in encoder.family.collate(images).items()}
        features = encoder.family.features(model, **collated) if collated else []
        output_BL = model.generate(
            input_ids=ids_BL.to(device),
            attention_mask=mask_BL.to(device),
            mm_encoder_outputs=encoder.family.encoded(features),
            generation_config=config,
            **told,
        )
    new_BL = output_BL[:, ids_BL.shape[1] :].tolist()
    ends = {*config.eos_token_id, config.pad_token_id}
    each = config.num_return_sequences  # a prompt's candidates stand together, the best beam first
    answers = [_answer(encoder, prompts[row // each], new_L, ends) for row, new_L in enumerate(new_BL)]
    if level is None:
        return answers
    return [
        _passing(answers[row * each : (row + 1) * each], prompt.sample.context, level)
        for row, prompt in enumerate(prompts)
    ]


def _passing(answers: Sequence[Generated], context: str, level: Filter) -> Generated:
    """The best answer that passes the filter; else none, with the best one's tokens counted."""
    place, broken = first_passing([answer.text for answer in answers], context, level)
    return replace(answers[0], text="", filtered=broken) if place is None else answers[place]


def _answer(encoder: SampleEncoder, prompt: _Prompt, new_L: list[int], ends: set[int]) -> Generated:
    length = next((at for at, token in enumerate(new_L) if token in ends), len(new_L))
    text = encoder.tokenizer.decode(new_L[:length], skip_special_tokens=True).strip()
    return Generated(prompt.sample.id, text, len(prompt.ids_L), length, prompt.cut_tokens)


def _pad_left(rows: Sequence[Tensor], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and mask (B, L), the rows at the right: generation goes on from the last column."""
    length = max(len(row) for row in rows)
    ids_BL = torch.full((len(rows), length), pad, dtype=torch.long)
    mask_BL = torch.zeros_like(ids_BL)
    for number, row_L in enumerate(rows):
        ids_BL[number, length - len(row_L) :] = row_L
        mask_BL[number, length - len(row_L) :] = 1
    return ids_BL, mask_BL
