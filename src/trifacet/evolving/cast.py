"""Who plays the roles: opened when they are first asked, the same model once for all that it plays.

Invariant: what a role writes and what a manifest says of it depend on the recipe and the round's checkpoints alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from trifacet.base.errors import TrifacetError
from trifacet.data.records import TestSample
from trifacet.data.writing import Writer
from trifacet.evolving.asked import refuse_shared_lines
from trifacet.evolving.local_models import LocalModels, SharedWriter
from trifacet.evolving.settings import EvolveRecipe, Role, RoleName
from trifacet.evolving.spoiling import Spoiling, refuse_sampling
from trifacet.generation.settings import Generation
from trifacet.lettering.request import block, quoted, stated
from trifacet.lettering.settings import COLUMN
from trifacet.llm.asking import AskedModel, read_asked_model
from trifacet.llm.capabilities import Form
from trifacet.llm.local_endpoint import LOCAL, LocalEndpoint
from trifacet.llm.prompts import Prompt, load_prompt
from trifacet.llm.writer import EndpointWriter

if TYPE_CHECKING:
    from trifacet.engine.encode import SampleEncoder

BOOKS = "books.sqlite"  # in the output folder: what endpoints answered
PROMPTS: Mapping[RoleName, tuple[str, ...]] = MappingProxyType(
    {
        "generator": ("answer", "answer-reference"),
        "reviser": ("feedback", "revision"),
        "verifier": ("verify", "verify-word"),
    }
)
"""The prompts of each role; of the generator's and the verifier's a recipe asks one."""


class Cast:
    """The roles of a round; used as ``with Cast(recipe, models) as cast``.

    Args:
        recipe: says who plays them.
        models: checkpoints that the round's roles have come to; of a role that is absent or None the recipe's
            ``roles.X.model``, else its ``model``. A role of an endpoint stays the endpoint's.

    Raises:
        TrifacetError: a strategy for which the recipe lacks something; a role without a checkpoint, since
            ``model.tiny`` would be made of nothing; an endpoint's file that cannot be read; a prompt that is none.
    """

    def __init__(self, recipe: EvolveRecipe, models: Mapping[RoleName, Path | None] = MappingProxyType({})) -> None:
        refuse_sampling(recipe)
        self.recipe = recipe
        self._endpoints: dict[RoleName, AskedModel] = {}
        self._checkpoints: dict[RoleName, str] = {}
        for name in PROMPTS:
            role = self._role(name)
            if role.endpoint:
                self._endpoints[name] = read_asked_model(Path(role.endpoint))
                continue
            given = models.get(name) or role.model or recipe.model.path
            if given is None:
                raise TrifacetError(
                    f"model.tiny: the {name} needs a model that can answer; give model.path or roles.{name}.model a "
                    "checkpoint, such as models/base of a finished run"
                )
            self._checkpoints[name] = str(given)
        self._models = LocalModels(recipe, [str(path) for path in models.values() if path is not None])
        self._prompts: dict[tuple[str, RoleName], Prompt] = {}

    def __enter__(self) -> Cast:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Models go; books are closed after each step already."""
        self._models.close()

    @cached_property
    def images(self) -> Path:
        """The folder of the samples' pictures."""
        data = self.recipe.data
        folder = data.images.get("test", "") if isinstance(data.images, dict) else data.images or ""
        return Path(data.root) / folder

    @property
    def request(self) -> str:
        """What is asked of a sample that has no request of its own."""
        return self.recipe.data.prompt

    @cached_property
    def spoiling(self) -> Spoiling:
        """Who makes the spoilt pictures, as the generator's model reads pictures."""
        encoder = self.encoder("generator")
        policy = self._checkpoints.get("generator")
        return Spoiling(self.recipe, self.images, encoder.family if encoder else None, policy)

    def writer(self, role: RoleName, *, seed: int | None = None, form: Form | None = None) -> Writer:
        """Who writes what a role says, as the recipe has it; ``seed`` is of the sampling (None: the recipe's), ``form``
        what its texts have to look like, for endpoints that hold to one.

        What an endpoint writes depends on the words and pictures of a question, not on its id: two that are alike in
        all else are answered once.

        Raises:
            TrifacetError: a model that cannot be loaded.
        """
        settings, seed = self._role(role), self.recipe.seed if seed is None else seed
        if (spec := self._endpoints.get(role)) is not None:
            return EndpointWriter(
                spec,
                self.recipe.folder / BOOKS,
                settings.max_new_tokens,
                temperature=settings.temperature,
                step=role,
                words=self._words,
                seed=seed,
                form=form,
            )
        return SharedWriter(self._models, self._checkpoints[role], self._generation(role), seed)

    def is_local(self, role: RoleName) -> bool:
        """Whether a model of a family of this machine plays the role, whose tokens can be looked at."""
        return role not in self._endpoints

    def encoder(self, role: RoleName) -> SampleEncoder | None:
        """What renders the questions of a role; None for an endpoint."""
        return self._models.encoder(self._checkpoints[role]) if self.is_local(role) else None

    def prompt(self, name: str, role: RoleName) -> Prompt:
        """A prompt of the package, or the user's in its place.

        ``roles.X.prompt`` is a file, for a role that has one prompt, or a folder of files named like ours: those that
        it lacks stay ours.

        Raises:
            TrifacetError: what is given is no prompt, does not say which of several it is, or has a field that may be
                left out on a line with others.
        """
        if (name, role) not in self._prompts:
            prompt = load_prompt(name, self._own_prompt(name, role))
            refuse_shared_lines(prompt)
            self._prompts[name, role] = prompt
        return self._prompts[name, role]

    def identity(self, role: RoleName) -> dict[str, Any]:
        """What a role's texts depend on beside the questions, for manifests: JSON, without paths."""
        settings = self._role(role)
        who: dict[str, Any]
        if (spec := self._endpoints.get(role)) is not None:
            model = LocalEndpoint(role, spec).identity if spec.base_url == LOCAL else spec.model
            who = {"endpoint": model, "image_side": spec.image_side}
        else:
            who = {"weights": self._models.weights(self._checkpoints[role]), "dtype": self.recipe.model.dtype}
        top_p = {"top_p": self.recipe.sampling.top_p} if role == "generator" else {}
        return {
            **who,
            "prompts": {name: self.prompt(name, role).sha256 for name in self._asked(role)},
            "temperature": settings.temperature,
            "max_new_tokens": settings.max_new_tokens,
            **top_p,
        }

    def log_probs(
        self, role: RoleName, samples: Sequence[TestSample], texts: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """How likely a role's model holds given texts: nats per token, the end of the answer counted as one.

        All texts of a picture are scored in one forward, as a trie.

        Args:
            role: one that a model of this machine plays.
            samples: what the model is asked, as the generator is asked it.
            texts: of each sample; none may be empty.

        Returns:
            for each sample and text a mean log-prob; nan for those of a sample of which they do not fit in
            ``data.max_length``.

        Raises:
            TrifacetError: an endpoint plays the role; an image that cannot be read.
        """
        if not self.is_local(role):
            raise TrifacetError(f"roles.{role}: an endpoint gives no log-probs of given texts; take a local model")
        size = self._role(role).batch_size
        return self._models.log_probs(self._checkpoints[role], samples, texts, self.images, size=size)

    # --- what is opened ---------------------------------------------------------------------------------------------

    def _role(self, name: RoleName) -> Role:
        role: Role = getattr(self.recipe.roles, name)
        return role

    def _generation(self, name: RoleName) -> Generation:
        role, top_p = self._role(name), self.recipe.sampling.top_p if name == "generator" else 1.0
        return Generation(
            beams=1,
            temperature=role.temperature,
            top_p=top_p,
            max_new_tokens=role.max_new_tokens,
            batch_size=role.batch_size,
        )

    # --- what is asked ----------------------------------------------------------------------------------------------

    def _asked(self, role: RoleName) -> Sequence[str]:
        """The prompts that this recipe asks a role."""
        if role == "generator":
            return () if (name := self.answer_prompt) is None else (name,)
        if role == "verifier":
            return ("verify" if self.recipe.verification.form == "json" else "verify-word",)
        return PROMPTS[role]

    @property
    def answer_prompt(self) -> str | None:
        """The prompt that the generator is asked by; None: the sample's own request and post, as it was trained."""
        if self.recipe.sampling.reference:
            return "answer-reference"
        return "answer" if self.recipe.roles.generator.prompt else None

    def _own_prompt(self, name: str, role: RoleName) -> Path | None:
        given = self._role(role).prompt
        if given is None:
            return None
        path = own_prompt(Path(given), role, PROMPTS[role], name)
        if path == Path(given) and role == "reviser":
            raise TrifacetError(
                "roles.reviser.prompt: the reviser is asked by two prompts; give a folder with feedback.txt, "
                "revision.txt or both"
            )
        return path

    def _words(self, post: TestSample) -> tuple[Prompt, Mapping[str, str]]:
        """What an endpoint is asked about a sample: what a model of this machine would be, in plain words."""
        from trifacet.models.asking import WayOfAsking

        data = self.recipe.data
        lines = [post.prompt or data.prompt]
        quoting = WayOfAsking.of(data).quoting
        if quoting is not None and post.extra.get(COLUMN) is not None:
            words = quoted(stated(post.extra[COLUMN]), quoting.characters).lines
            lines += [block(words, quoting.label)] if words else []
        if post.context.strip():
            lines += [data.context_label, post.context.strip()]
        return _Said("said", "", ""), {"system": post.system or "", "user": "\n".join(lines)}


def own_prompt(given: Path, role: RoleName, names: Sequence[str], name: str) -> Path | None:
    """The user's file in a prompt's place: what is given, or in the folder that is given the file of the prompt's name.

    Args:
        given: ``roles.X.prompt``.
        role: whose.
        names: the prompts that the role may be asked by.
        name: which of them.

    Returns:
        None: a folder lacks it, so that ours stays.

    Raises:
        TrifacetError: a folder has none of them.
    """
    if not given.is_dir():
        return given
    if not any((given / f"{one}.txt").is_file() for one in names):
        wanted = " or ".join(f"{one}.txt" for one in names)
        raise TrifacetError(f"roles.{role}.prompt: {given} holds no {wanted}; name a prompt so")
    own = given / f"{name}.txt"
    return own if own.is_file() else None


class _Said(Prompt):
    """What is said as it stands, not as fields of a prompt."""

    def render(self, fields: Mapping[str, str]) -> tuple[str, str]:
        return fields["system"], fields["user"]
