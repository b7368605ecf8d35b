"""All looks into one model, over one set of samples.

Invariant: every look is at the same texts: those the model writes greedily, and each sample's first reference.
Memory holds one sequence's states at a time, and one vector per text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trifacet.base.errors import TrifacetError, of_sample
from trifacet.base.images import load_image
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.family import core
from trifacet.engine.watching import Floats
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter, SeenAs, as_it_is
from trifacet.models.loading import LoadedModel
from trifacet.preferences.rejected.pixels import abar
from trifacet.probing import document as made
from trifacet.probing.attention import Shares, masses_of, shares_of, watching
from trifacet.probing.forcing import feature_id, force, hidden_states
from trifacet.probing.noise import noise_measures, noised
from trifacet.probing.summing import attention_of, between, embeddings_of, four
from trifacet.probing.vectors import Vectors

_STEPS = (500, 900)  # heavy noise: 74 % and 13 % of the signal's variance are left
_Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Looks:
    """What to look at.

    ``text`` says whose words' attention is taken; ``steps`` are the strengths of noise, none: no such test.
    """

    attention: bool = True
    text: made.Which = "generated"
    steps: tuple[int, ...] = _STEPS
    embeddings: bool = True
    max_new_tokens: int = 256
    batch_size: int = 8
    seed: int = 17

    @property
    def writes(self) -> bool:
        """Whether the model has to write texts at all."""
        return bool(self.steps) or self.embeddings or (self.attention and self.text == "generated")


@dataclass
class Pass:
    """What one pass over one text gave: the state at its last token, and its attention where that was watched."""

    vector_d: Floats | None = None
    shares: Shares | None = None


@dataclass
class Prober:
    """One model with the samples; ``references`` has a text by id, for those that have one."""

    loaded: LoadedModel
    encoder: SampleEncoder
    samples: Sequence[TestSample]
    references: Mapping[str, str]
    images_root: Path
    looks: Looks
    on_progress: _Progress = lambda done, total, note: None
    _done: int = field(default=0, init=False)

    def probe(self, *, model: str, data: str, others: Sequence[Vectors] = ()) -> tuple[made.Probe, Vectors | None]:
        """The document, and the vectors behind its figure where there is one.

        Args:
            model: its name in the document.
            data: the name of the samples.
            others: vectors of further models, for a plane that all share; of the same samples, of which each may lack
                some.

        Raises:
            TrifacetError: an image or a text cannot be used, a step of noise does not exist, vectors do not fit, or the
                model computes numbers that are not finite.
        """
        looks = self.looks
        self._check(others)
        # The references first: one that cannot be used is told before hours go into the model's own texts.
        reference = self._passes(self.references, looks.text == "reference") if self._forces("reference") else {}
        clean = self._written("writing texts") if looks.writes else {}
        generated = self._passes(clean, looks.text == "generated") if self._forces("generated") else {}
        watched = {"generated": generated, "reference": reference}[looks.text] if looks.attention else {}
        under_noise = {t: self._under_noise(t) for t in looks.steps}
        attention, notes = self._attention(watched)
        noise = [self._noise(t, clean, texts) for t, texts in under_noise.items() if texts]
        if under_noise and not noise:
            notes.append("no sample has a picture, so there is nothing to lay noise on")
        embeddings, vectors = None, None
        if looks.embeddings:
            vectors = self._vectors(model, generated, reference)
            if vectors is None:
                notes.append("no sample has both a reference and a generated text, so there are no distances")
            else:
                embeddings = embeddings_of(vectors, others, len(self.samples), looks.seed)
                notes += _shared(embeddings, [*others, vectors])
        lacks = {"generated": "no token in their text", "reference": "no reference, or no token in it"}
        notes += self._left_out(attention, lacks[looks.text])
        notes += self._left_out(embeddings, "no reference, or no token in a text, and so no distance")
        document = made.Probe(
            model=model, data=data, samples=len(self.samples), text=looks.text, seed=looks.seed, notes=notes,
            attention=attention, noise=noise or None, embeddings=embeddings,
            per_sample=[self._row(sample.id, clean, watched, under_noise) for sample in self.samples],
        )  # fmt: skip
        return document, vectors

    def _check(self, others: Sequence[Vectors]) -> None:
        """Vectors that cannot fit are refused before minutes go into the passes."""
        width = core(self.loaded.model).config.get_text_config().hidden_size
        known = {sample.id for sample in self.samples}
        for one in others:
            if strange := [name for name in one.ids if name not in known]:
                raise TrifacetError(
                    f"the vectors of {one.model} are of other samples ({strange[0]!r}); probe both on the same data"
                )
            if one.generated_Sd.shape[1] != width:
                raise TrifacetError(
                    f"the states of {one.model} have {one.generated_Sd.shape[1]} values and this model's {width}; "
                    "only models of one base can share a plane"
                )

    def _left_out(self, part: made.Attention | made.Embeddings | None, why: str) -> list[str]:
        return [f"{part.left_out} of {len(self.samples)} samples have {why}"] if part and part.left_out else []

    def _forces(self, text: made.Which) -> bool:
        return self.looks.embeddings or (self.looks.attention and self.looks.text == text)

    def _written(self, note: str, seen_as: SeenAs = as_it_is, t: int | None = None) -> dict[str, str]:
        """The model's text for every sample; with noise, for those with a picture."""
        skipped = set() if t is None else {(sample.id, 0) for sample in self.samples if not sample.pictures}
        settings = Generation(
            beams=1, temperature=0.0, max_new_tokens=self.looks.max_new_tokens, batch_size=self.looks.batch_size
        )

        writer = FamilyWriter(self.loaded.model, self.encoder, settings, seen_as=seen_as)
        texts = writer.write(
            self.samples, self.images_root, done=skipped, on_written=lambda new: self._progress(len(new), note)
        )
        return {text.id: text.text for text in texts}

    def _under_noise(self, t: int) -> dict[str, str]:
        return self._written(f"noise t = {t}", noised(self.loaded.family, t, self.looks.seed), t)

    def _passes(self, texts: Mapping[str, str], watched: bool) -> dict[str, Pass]:
        """One pass over each text that has a token; watched: with a look at its attention."""
        passes = {}
        model = self.loaded.model
        was_training = model.training
        model.eval()
        try:
            for sample in self.samples:
                if sample.id in texts:
                    passes[sample.id] = self._pass(sample, texts[sample.id], watched and self.looks.attention)
                self._progress(1, "looking at attention" if watched else "reading hidden states")
        finally:
            model.train(was_training)
        return passes

    def _pass(self, sample: TestSample, text: str, watched: bool) -> Pass:
        family = self.loaded.family
        try:
            images = [family.read(load_image(self.images_root, name)) for name in sample.pictures]
            forced = force(self.encoder, sample, text, images, feature_id(self.loaded.model))
        except TrifacetError as error:
            raise of_sample(sample.id, error) from None
        if not len(forced.words_at):
            return Pass()
        with watching(self.loaded.model, forced) if watched else nullcontext() as watch:
            hidden_Ld = hidden_states(self.loaded.model, family, forced)
        vector_d = hidden_Ld[int(forced.words_at[-1])].double().cpu().numpy()
        masses_YG = masses_of(watch) if watch else np.zeros((0, 0))
        if not (np.isfinite(vector_d).all() and np.isfinite(masses_YG).all()):
            dtype = str(self.loaded.model.dtype).removeprefix("torch.")
            raise TrifacetError(
                f"sample {sample.id!r}: the model's hidden states are not finite in {dtype}; "
                "use --dtype float32, or a checkpoint without damage"
            )
        return Pass(vector_d, shares_of(masses_YG, forced) if watch else None)

    def _progress(self, count: int, note: str) -> None:
        self._done += count
        everyone, with_image = len(self.samples), sum(bool(sample.pictures) for sample in self.samples)
        passes = self.looks.writes + self._forces("generated") + self._forces("reference")
        self.on_progress(self._done, passes * everyone + len(self.looks.steps) * with_image, note)

    def _attention(self, watched: Mapping[str, Pass]) -> tuple[made.Attention | None, list[str]]:
        if not self.looks.attention:
            return None, []
        shares = {
            name: one.shares
            for name, one in watched.items()
            if one.shares is not None and np.isfinite(one.shares.shares_Y4).any()
        }
        if not shares:
            return None, ["no text has a token, so there is no attention to speak of"]
        looked_at = [sample for sample in self.samples if sample.id in shares]
        return attention_of(
            shares,
            left_out=len(self.samples) - len(shares),
            without_image=sum(not sample.pictures for sample in looked_at),
            without_context=sum(not sample.context.strip() for sample in looked_at),
            seed=self.looks.seed,
        ), []

    def _noise(self, t: int, clean: Mapping[str, str], texts: Mapping[str, str]) -> made.Noise:
        samples = [sample for sample in self.samples if sample.id in texts]
        measures = noise_measures(clean, texts, samples)
        known = {name: between(measures[name], self.looks.seed) for name in ("changed", "similarity", "drop")}
        grounding = None
        if facts := len(measures["drop"].units):
            values = {name: measures[name].value for name in ("clean", "noised", "drop")}
            grounding = made.Grounding(samples=facts, interval=known["drop"], **values)
        return made.Noise(
            t=t, kept=abar(t), samples=len(samples), changed=measures["changed"].value,
            changed_count=round(float(measures["changed"].sums_UK[:, 0].sum())), interval=known["changed"],
            similarity=measures["similarity"].value, similarity_interval=known["similarity"], grounding=grounding,
        )  # fmt: skip

    def _vectors(self, model: str, generated: Mapping[str, Pass], reference: Mapping[str, Pass]) -> Vectors | None:
        both = [
            (sample.id, one.vector_d, other.vector_d)
            for sample in self.samples
            if (one := generated.get(sample.id)) and (other := reference.get(sample.id))
            if one.vector_d is not None and other.vector_d is not None
        ]
        if not both:
            return None
        ids, own, others = zip(*both, strict=True)
        return Vectors(model, ids, np.stack(own).astype(np.float32), np.stack(others).astype(np.float32))

    def _row(
        self, name: str, clean: Mapping[str, str], watched: Mapping[str, Pass], noise: Mapping[int, Mapping[str, str]]
    ) -> made.SampleRow:
        shares = watched[name].shares if name in watched else None
        attention = None
        if shares is not None and np.isfinite(shares.shares_Y4).any():
            attention = made.Five(**four(shares.mean_4), response=float(shares.response_Y.mean()))
        return made.SampleRow(
            id=name, generated=clean.get(name), reference=self.references.get(name), attention=attention,
            noised={str(t): texts[name] for t, texts in noise.items() if name in texts},
        )  # fmt: skip


def _shared(embeddings: made.Embeddings, clouds: Sequence[Vectors]) -> list[str]:
    """What a reader of the joint plane must know where not all models have all samples."""
    every = {name for cloud in clouds for name in cloud.ids}
    held = len(embeddings.joint.models[0].points) if embeddings.joint else 0
    if len(clouds) < 2 or held == len(every):
        return []
    return [f"the joint plane holds {held} of {len(every)} samples, those of which every model has both texts"]
