"""What the cells of a study share: from cells to jobs, each a run, that do every work once.

A cell is a chain of works: world, base model, supervised training, texts of that model, key regions, reference scores,
alignment, texts, scores. A work's key is a digest of exactly what decides it, keys of the works before it included;
works of equal keys are one. Jobs are runs in three layers, each an ordinary recipe that ``trifacet run`` takes:

    worlds/   data and base model                      no stage
    starts/   supervised model and its texts           data.root and model.path are a world's
    cells/    alignment, its texts and scores          data.root is a world's, model.path a start's

Their folders lie in a store that studies share, each called by a digest of its recipe and of the files that this reads.

Invariant: a job's recipe depends on the study's base recipe and on what is in the keys of its works alone, so that
cells, seeds and studies can be added later and no finished run is another's; models and texts of a cell are those of
its recipe run alone (tests/studies/test_study_runs.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.evolving.parts import ALIGNED, PAIRS
from trifacet.evolving.settings import EvolveRecipe
from trifacet.evolving.training import run_of
from trifacet.models.paradigms import vision_trains
from trifacet.preferences.settings import Rejected
from trifacet.studies.cells import BASE, SFT, STUDENT, Cell, Evolution, cells_of, plain_recipe
from trifacet.studies.contents import contents_of
from trifacet.studies.folder import fingerprint_of
from trifacet.studies.job_recipes import JobRecipes
from trifacet.studies.settings import LoadedStudy
from trifacet.studies.works import EVOLUTION, Job, Lent, Outcome, Plan, Work
from trifacet.training.recipe import Recipe
from trifacet.training.sources import looks_at_regions

_SHORT, _LONG = 8, 12  # characters of a key in a job's name, and of a digest in a folder's


def plan_of(loaded: LoadedStudy, seeds: Sequence[int]) -> Plan:
    """The plan of a study for these seeds. Raises TrifacetError as ``cells_of`` does."""
    plain, cells = plain_recipe(loaded), cells_of(loaded)
    plan = Plan(cells, tuple(seeds), loaded.folder, loaded.store)
    supervised_first = sorted(cells, key=lambda cell: cell.recipe.sft is None)  # whose starts describe the base too
    for seed in seeds:
        for cell in supervised_first:
            _Planner(plan, plain, cell, seed, loaded.study.split).add()
    return plan


class _Planner(JobRecipes):
    """One cell with one seed."""

    def __init__(self, plan: Plan, plain: Recipe, cell: Cell, seed: int, split: str) -> None:
        super().__init__(plan, plain, cell, seed, split)
        self.values: dict[str, Any] = self.recipe.model_dump(mode="json")
        data, model = self.values["data"], self.values["model"]
        of_models = {key: value for key, value in data.items() if key not in ("on_bad_row", "workers")}
        self.contents = contents_of(self.recipe)
        of_models["contents"] = self.contents
        self.data = {key: value for key, value in of_models.items() if key not in ("test", "validation", "world")}
        self.held = {key: value for key, value in model.items() if key not in ("tiny", "path", "paradigm")}
        self.tested = [of_models, split, self.values["generate"], self.held]
        self.chain: list[Work] = []

    def add(self) -> None:
        if self.cell.evolution is not None:
            self._evolved(self.cell.evolution)
            self.plan.chains[self.cell.name, self.seed] = self.chain
            return
        world = self._world()
        start, start_model = self._start(world)
        stage = self.cell.stage
        if stage in (BASE, SFT):
            self._described(world, start, start_model)
        else:
            self._aligned(world, start)
        self.plan.chains[self.cell.name, self.seed] = self.chain

    # --- layers ---

    def _world(self) -> str | None:
        """The job that makes data and base model, where the recipe makes any; its works."""
        world, tiny = self.values["data"]["world"], self.values["model"]["tiny"]
        works: list[tuple[Work, tuple[str, ...]]] = []
        self.world_key = self.base_key = None
        if world is not None:
            self.world_key = json_digest(["world", self.seed, world, tiny and tiny["image_size"]])
            works.append((Work("world", self.world_key), ("data",)))
        if tiny is not None:
            self.base_key = json_digest(["base", self.seed, self.world_key, tiny, self.data])
            works.append((Work("base", self.base_key), ("base model",)))
        self.chain += [work for work, _ in works]
        if not works:
            return None
        update = {"tiny": self.recipe.model.tiny, "path": None if tiny is not None else self.recipe.model.path}
        recipe = self.bare(self.plain.model.model_copy(update=update), "world")
        return self._job("worlds", works, recipe)

    def _start(self, world: str | None) -> tuple[str, str]:
        """The job that makes the supervised model, or only describes the base; the name of that model."""
        sft = self.values[SFT]
        origin = self.base_key or self.values["model"]["path"]
        of_base = json_digest(["start", self.seed, self.world_key, origin, self.held, self.data])
        plainly = [*self.tested[:2], self.plain.model_dump(mode="json")["generate"], self.held]
        works = self._told(of_base, BASE, plainly, scored=sft is None)  # a run from a path describes the base too
        stage, settings, self.start_key = BASE, None, of_base
        if sft is not None:
            vision = sft["vision"]
            if vision == "paradigm":
                vision = "trained" if vision_trains(self.values["model"]["paradigm"], "sft") else "frozen"
            told = {key: value for key, value in sft.items() if key != "report_to"} | {"vision": vision}
            self.start_key = json_digest([SFT, self.seed, self.world_key, origin, self.held, self.data, told])
            trained = Work("sft", self.start_key)
            self.chain.append(trained)
            works = [(trained, (SFT, f"check of {SFT}")), *works, *self._told(self.start_key, SFT, plainly)]
            assert self.recipe.sft is not None
            stage, settings = SFT, self.recipe.sft.model_copy(update={"vision": vision})
        if self.cell.evolution is not None:  # which describes with its own settings what it begins with
            works = works[:1] if stage == SFT else []
        elif stage == SFT or self.values["model"]["tiny"] is None:  # alone, a base that is made is not described
            self.chain += [work for work, _ in self._told(self.start_key, stage, self.tested)]
        if not works:
            assert world is not None  # whose model the rounds begin with: no start but a world makes any
            return world, BASE
        job = self._doing(works[0][0])
        if job is None:
            data = self.files(world)
            if self.cell.evolution is not None:
                data = data.model_copy(update={"test": None})
            recipe = self.bare(self.held_as(self.base_path(world)), "start").model_copy(
                update={SFT: settings, "data": data}
            )
            key = json_digest([self.start_key, plainly, data.test])
            job = self._job("starts", works, recipe, (world,) if world else (), key=key)
        as_plain = self.recipe.generate == self.plain.generate
        self.start_texts = Lent(job, f"generations/{stage}.jsonl", f"generations/{BASE}.jsonl") if as_plain else None
        self.start_model = stage
        return job, stage

    def _described(self, world: str | None, start: str, model: str) -> None:
        """A cell that ends before any alignment: its texts are the start's, or, if asked otherwise, written anew."""
        name = self.cell.name
        if model == BASE and self.values["model"]["tiny"] is not None:
            self.chain += [work for work, _ in self._told(self.start_key, BASE, self.tested)]
        if self.start_texts is not None:
            self.plan.outcomes[name, self.seed] = Outcome(start, model)
            return
        works = self._told(self.start_key, BASE, self.tested)
        recipe = self.of_cell(world, self.model_of(start, model)).model_copy(
            update={"rejected": Rejected(), "regions": None}
        )
        job = self._job(f"cells/{name}", works, recipe, (start,))
        self.plan.outcomes[name, self.seed] = Outcome(job, BASE)

    def _aligned(self, world: str | None, start: str) -> None:
        name, stage = self.cell.name, self.cell.stage
        settings = self.recipe.align[stage]
        vision = settings.vision
        if vision == "paradigm":
            vision = "trained" if vision_trains(self.values["model"]["paradigm"], "align") else "frozen"
        made = self.values["align"][stage]
        told = {key: value for key, value in made.items() if key not in ("report_to", "start")} | {"vision": vision}
        shared = [self.seed, self.start_key, self.data, self.held, self.values["rejected"], self.values["regions"]]
        align_key = json_digest(["alignment", *shared, told])
        works: list[tuple[Work, tuple[str, ...]]] = []
        lent = [self.start_texts] if self.start_texts else []
        if self.recipe.regions and not self.recipe.regions.file and looks_at_regions(self.recipe, settings):
            looked = [
                one for one in shared if one is not self.values["rejected"]
            ]  # places do not hang on what is done there
            self._once(Work("regions", json_digest(["regions", *looked, made["limit"]])), works, lent)
        objective = settings.resolved_objective()
        if objective.needs_reference and settings.reference == "cache":
            corners = sorted(str(corner) for corner in objective.corners)
            of_stage = [made.get(key) for key in ("limit", "batch_size", "changed_tokens", "curriculum")]
            self._once(Work("reference", json_digest(["reference", *shared, corners, of_stage])), works, lent)
        alignment, texts = Work("alignment", align_key), self._told(align_key, stage, self.tested)
        self.chain += [alignment, *(work for work, _ in texts)]
        if (leader := self._doing(alignment)) is not None:  # the same model, described otherwise
            model = self.model_of(leader, stage)
            recipe = self.of_cell(world, model).model_copy(update={"rejected": Rejected(), "regions": None})
            job = self._job(f"cells/{name}", self._told(align_key, BASE, self.tested), recipe, (leader,))
            self.plan.outcomes[name, self.seed] = Outcome(job, BASE)
            return
        works += [(alignment, (stage, f"check of {stage}")), *texts]
        if not self.start_texts:
            works += self._told(self.start_key, BASE, self.tested, scored=False)
        recipe = self.of_cell(world, self.model_of(start, self.start_model)).model_copy(
            update={
                "rejected": self.recipe.rejected,
                "regions": self.recipe.regions,
                "align": {stage: settings.model_copy(update={"start": "auto"})},
            }
        )
        job = self._job(f"cells/{name}", works, recipe, (start,), lent)
        self.plan.outcomes[name, self.seed] = Outcome(job, stage)

    def _evolved(self, evolution: Evolution) -> None:
        """A cell of rounds: what they begin with, the rounds, and where another model learns of their pairs, that."""
        name, stage = self.cell.name, self.cell.stage
        recipe = evolution.recipe.model_copy(update={"seed": self.seed, "name": "rounds"})
        needs: tuple[str, ...] = ()
        self.start_key = ""
        if evolution.begins:
            needs, changed = self._begun(recipe)
            recipe = recipe.model_copy(update=changed)
        keys = [self.start_key]
        for role, played in recipe.roles:
            if played.model in evolution.others:  # another model, from a start of its own
                other, (start,), changed = self._other(evolution, played.model, recipe)
                keys += [role, other.start_key]
                needs += (start,)
                by = played.model_copy(update={"model": changed["model"].path})
                recipe = recipe.model_copy(update={"roles": recipe.roles.model_copy(update={role: by})})
        told = evolution.recipe.model_dump(mode="json", exclude={"name", "output", "seed", "processes"})
        self.contents = contents_of(evolution.recipe)
        work = Work(EVOLUTION, json_digest([EVOLUTION, self.seed, keys, told, self.contents]))
        self.chain.append(work)
        job = self._doing(work) or self._job(f"cells/{name}", [(work, (EVOLUTION,))], recipe, needs)
        self.plan.outcomes[name, self.seed] = Outcome(job, stage)
        if stage == STUDENT:
            self._taught(evolution, recipe, work, job)

    def _begun(self, recipe: EvolveRecipe) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Data and model of a start: the jobs that make them, and the sections of the rounds that read them."""
        world = self._world()
        start, model = self._start(world)
        data = recipe.data
        if world is not None and self.recipe.data.world is not None:
            root = str(self.plan.jobs[world].folder / "data")
            data = data.model_copy(update={"root": root, "images": None, "format": "trifacet"})
        held = recipe.model.model_copy(update={"path": self.model_of(start, model)})
        return (start,), {"data": data, "model": held}

    def _other(
        self, evolution: Evolution, name: str, rounds: EvolveRecipe
    ) -> tuple[_Planner, tuple[str, ...], dict[str, Any]]:
        """Another model of these rounds: its plan, its job, and the sections of rounds that would begin with it."""
        cell = replace(self.cell, recipe=evolution.others[name])
        other = _Planner(self.plan, self.plain, cell, self.seed, self.split)
        needs, changed = other._begun(rounds)
        self.chain += [one for one in other.chain if one not in self.chain]
        return other, needs, changed

    def _taught(self, evolution: Evolution, rounds: EvolveRecipe, work: Work, evolved: str) -> None:
        """Another model, aligned on the pairs of these rounds."""
        name = self.cell.name
        other, (start,), changed = self._other(evolution, STUDENT, rounds)
        assert rounds.align is not None  # refused before
        pairs = self.plan.jobs[evolved].folder / PAIRS
        given = rounds.model_copy(update={"model": changed["model"]})
        recipe = run_of(
            given, Path(rounds.output), str(given.model.path), {ALIGNED: rounds.align}, preference=pairs,
            test=rounds.data.test,
        ).model_copy(update={"name": STUDENT})  # fmt: skip
        key = json_digest(["alignment", work.key, other.start_key])
        works = [(Work("alignment", key), (ALIGNED, f"check of {ALIGNED}")), *self._told(key, ALIGNED, [])]
        self.chain += [one for one, _ in works]
        job = self._job(f"cells/{name}/{STUDENT}", works, recipe, (evolved, start))
        self.plan.outcomes[name, self.seed] = Outcome(job, ALIGNED)

    # --- jobs ---

    def _told(
        self, key: str, model: str, asked: Sequence[Any], *, scored: bool = True
    ) -> list[tuple[Work, tuple[str, ...]]]:
        """The texts of a model and their scores; a run times those of all its models together: with one, ``scored``."""
        made = json_digest([key, asked])
        return [
            (Work("texts", made), (f"texts of {model}",)),
            (Work("scores", made), ("scores",) if scored else ()),
        ]

    def _once(self, work: Work, works: list[tuple[Work, tuple[str, ...]]], lent: list[Lent]) -> None:
        """Something that lies in a folder of the work's name: taken from the job that makes it, or made here.

        The time that reference scores take is told with the alignment's.
        """
        self.chain.append(work)
        if (leader := self._doing(work)) is not None:
            lent.append(Lent(leader, work.kind, work.kind))
        else:
            works.append((work, ("regions",) if work.kind == "regions" else ()))

    def _doing(self, work: Work) -> str | None:
        return next((job.name for job in self.plan.jobs.values() if any(one == work for one, _ in job.works)), None)

    def _job(
        self,
        layer: str,
        works: Sequence[tuple[Work, tuple[str, ...]]],
        recipe: Recipe | EvolveRecipe,
        needs: Sequence[str] = (),
        lent: Sequence[Lent] = (),
        key: str = "",
    ) -> str:
        """The job of these works, which is made where there is none yet; its name."""
        short = "" if layer.startswith("cells/") else f"-{(key or json_digest(works))[:_SHORT]}"
        name = f"{layer}/seed-{self.seed}{short}"
        if name not in self.plan.jobs:
            digest = json_digest([fingerprint_of(recipe), self.contents])[:_LONG]
            place = self.plan.store / layer.partition("/")[0] / f"seed-{self.seed}-{digest}"
            own = recipe.model_copy(update={"output": str(place)})
            self.plan.jobs[name] = Job(name, own, tuple(works), tuple(needs), tuple(lent))
        return name
