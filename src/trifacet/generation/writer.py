"""A family model of this machine as a writer, in batches.

Invariant: what a sample gets does not depend on which samples are still to do: batches are planned over the whole
set, and a batch that is begun is generated whole. Shape letters: B rows, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from trifacet.base.draws import generator
from trifacet.base.errors import TrifacetError, of_sample
from trifacet.base.images import MAX_PIXELS, load_image
from trifacet.data.records import TestSample
from trifacet.data.writing import OnWritten, Written, require_unique_ids
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import ImageInput
from trifacet.generation.filtering import Filter, candidates, first_passing
from trifacet.generation.settings import Generation, data_digest
from trifacet.models.decoding import decoding, generate, length_of
from trifacet.models.loading import weights_fingerprint

SeenAs = Callable[[TestSample, tuple[ImageInput, ...]], tuple[ImageInput, ...]]


@dataclass(frozen=True)
class _Prompt:
    sample: TestSample
    ids_L: Tensor
    images: tuple[ImageInput, ...]
    cut_tokens: int


def as_it_is(sample: TestSample, images: tuple[ImageInput, ...]) -> tuple[ImageInput, ...]:
    """A sample's images themselves."""
    return images


@dataclass(frozen=True)
class FamilyWriter:
    """A model of a family, which writes in batches; it is left in the mode (training or not) in which it came.

    Attributes:
        model: the model.
        encoder: renders request and post; a post is cut so that ``settings.max_new_tokens`` fit after the prompt.
        settings: beams, temperature (0: no sampling), longest text, posts per batch, filter; their limit is the
            caller's business.
        seed: of the sampling; with temperature 0 nothing is drawn.
        max_pixels: largest image.
        seen_as: what the model is shown instead of a sample's images.
        weights: what identifies the weights (``models.loading.weights_fingerprint``), where it is known.
    """

    model: Any
    encoder: SampleEncoder
    settings: Generation
    seed: int = 17
    max_pixels: int = MAX_PIXELS
    seen_as: SeenAs = as_it_is
    weights: str | None = None

    def write(
        self,
        posts: Sequence[TestSample],
        images_root: str | Path,
        *,
        draws: int = 1,
        done: Collection[tuple[str, int]] = (),
        on_written: OnWritten | None = None,
    ) -> list[Written]:
        """See ``Writer``. A batch with something left to do is generated whole, so that the rest gets the texts that it
        would have got in one go. Raises TrifacetError for a request that does not fit.
        """
        require_unique_ids(posts)
        config = _decoding(self.model, self.encoder, self.settings)
        texts: dict[tuple[str, int], Written] = {}
        was_training = self.model.training
        self.model.eval()
        try:
            for batch in plan_batches(self.encoder, posts, self.settings.batch_size):
                wanted = [n for n in range(draws) if any((post.id, n) not in done for post in batch)]
                prompts = [self._prompt(post, images_root) for post in batch] if wanted else []
                for draw in wanted:
                    answers = _generate_batch(self, prompts, config, draw)
                    new = [answer for answer in answers if (answer.id, draw) not in done]
                    texts.update(((answer.id, draw), answer) for answer in new)
                    if on_written:
                        on_written(new)
        finally:
            self.model.train(was_training)
        every = ((post.id, draw) for post in posts for draw in range(draws))
        return [texts[key] for key in every if key in texts]

    def made_with(self, posts: Sequence[TestSample]) -> dict[str, Any]:
        """See ``Writer``. The posts per batch count only where texts are drawn, a batch at a time."""
        assert self.seen_as is as_it_is, "what is shown instead has no name that could be written down"
        settings = self.settings
        sampling = {"seed": self.seed, "batch_size": settings.batch_size} if settings.temperature > 0 else {}
        chosen: dict[str, str] = {"filter": settings.filter} if settings.filter else {}
        if self.encoder.quoting is not None:
            chosen["words"] = self.encoder.words_digest(posts)
        return {
            "weights": self.weights or weights_fingerprint(self.model),
            "dtype": str(self.model.dtype),
            "data": data_digest(posts),
            "samples": len(posts),
            "prompt": self.encoder.prompt,
            "context_label": self.encoder.context_label,
            "max_length": self.encoder.max_length,
            "beams": settings.beams,
            "temperature": settings.temperature,
            "max_new_tokens": settings.max_new_tokens,
            **sampling,
            **chosen,
        }

    def _prompt(self, sample: TestSample, images_root: str | Path) -> _Prompt:
        encoder, reserve = self.encoder, self.settings.max_new_tokens
        try:
            pictures = (load_image(images_root, name, max_pixels=self.max_pixels) for name in sample.pictures)
            images = self.seen_as(sample, tuple(encoder.family.read(picture) for picture in pictures))
            path, cut = encoder.prompt_path(encoder.asked(sample), sample.context, images, reserve=reserve)
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None
        return _Prompt(sample, torch.from_numpy(path.tokens_L), images, cut)


def plan_batches(encoder: SampleEncoder, samples: Sequence[TestSample], batch_size: int) -> list[list[TestSample]]:
    """Batches of samples of like length, the longest first: memory that does not suffice shows at once.

    Images take most of the tokens, so samples with more of them count as longer.
    """
    if not samples:
        return []
    shown = [len(sample.pictures) for sample in samples]
    rendered = encoder.token_ids(
        [
            encoder.rendered(encoder.asked(sample), sample.context, images=n)
            for sample, n in zip(samples, shown, strict=True)
        ]
    )
    order = sorted(range(len(samples)), key=lambda index: (-shown[index], -len(rendered[index]), index))
    return [[samples[index] for index in order[at : at + batch_size]] for at in range(0, len(order), batch_size)]


def _decoding(model: Any, encoder: SampleEncoder, settings: Generation) -> GenerationConfig:
    return decoding(
        model,
        encoder.tokenizer,
        temperature=settings.temperature,
        longest=settings.max_new_tokens,
        ends=[encoder.end_id],
        reserved=encoder.family.reserved_ids,
        beams=settings.beams,
        candidates=candidates(settings.beams, settings.temperature) if settings.filter else 1,
    )


def _generate_batch(
    writer: FamilyWriter, prompts: Sequence[_Prompt], config: GenerationConfig, draw: int
) -> list[Written]:
    model, encoder = writer.model, writer.encoder
    device = next(model.parameters()).device
    ids_BL, mask_BL = _pad_left([prompt.ids_L for prompt in prompts], config.pad_token_id)
    images = [image for prompt in prompts for image in prompt.images]
    told = {name: value.to(device) for name, value in encoder.family.told(ids_BL, images).items()}
    # Not in inference mode: a model that is written with between steps might keep tensors that no training can use.
    with torch.no_grad(), torch.random.fork_rng(enabled=config.do_sample):
        if config.do_sample:
            ids = (prompt.sample.id for prompt in prompts)
            rng = generator("generate", writer.seed, *ids, *([draw] if draw else []))
            torch.manual_seed(int(rng.integers(2**63)))
        collated = {name: value.to(device) for name, value in encoder.family.collate(images).items()}
        features = encoder.family.features(model, **collated) if collated else []
        output_BL = generate(
            model,
            config,
            input_ids=ids_BL.to(device),
            attention_mask=mask_BL.to(device),
            mm_encoder_outputs=encoder.family.encoded(features),
            **told,
        )
    new_BL = output_BL[:, ids_BL.shape[1] :].tolist()
    ends = {*config.eos_token_id, config.pad_token_id}
    each = config.num_return_sequences  # a prompt's candidates stand together, the best beam first
    answers = [_answer(writer, prompts[row // each], new_L, ends, draw) for row, new_L in enumerate(new_BL)]
    level = writer.settings.filter
    if level is None:
        return answers
    return [
        _passing(answers[row * each : (row + 1) * each], prompt.sample.context, level)
        for row, prompt in enumerate(prompts)
    ]


def _passing(answers: Sequence[Written], context: str, level: Filter) -> Written:
    """The best answer that passes the filter; else none, with the best one's tokens counted."""
    place, broken = first_passing([answer.text for answer in answers], context, level)
    return replace(answers[0], text="", filtered=broken) if place is None else answers[place]


def _answer(writer: FamilyWriter, prompt: _Prompt, new_L: list[int], ends: set[int], draw: int) -> Written:
    length, longest = length_of(new_L, ends), writer.settings.max_new_tokens
    text = writer.encoder.tokenizer.decode(new_L[:length], skip_special_tokens=True).strip()
    return Written(
        prompt.sample.id, text, len(prompt.ids_L), length, prompt.cut_tokens, draw=draw, ended=length < longest
    )


def _pad_left(rows: Sequence[Tensor], pad: int) -> tuple[Tensor, Tensor]:
    """Ids and mask (B, L), the rows at the right: generation goes on from the last column."""
    length = max(len(row) for row in rows)
    ids_BL = torch.full((len(rows), length), pad, dtype=torch.long)
    mask_BL = torch.zeros_like(ids_BL)
    for number, row_L in enumerate(rows):
        ids_BL[number, length - len(row_L) :] = row_L
        mask_BL[number, length - len(row_L) :] = 1
    return ids_BL, mask_BL
