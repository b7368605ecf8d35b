"""What the cells of a study share: from cells to jobs, each a run, that do every work once.

A cell is a chain of works: world, base model, supervised training, texts of that model, key regions, reference scores,
alignment, texts, scores. A work's key is a digest of exactly what decides it, keys of the works before it included;
works of equal keys are one. Jobs are runs in three layers, each an ordinary recipe that ``trifacet run`` takes:

    worlds/   data and base model                      no stage
    starts/   supervised model and its texts           data.root and model.path are a world's
    cells/    alignment, its texts and scores          data.root is a world's, model.path a start's

Invariant: a job's recipe depends on the study's base recipe and on what is in the keys of its works alone, so that
cells and seeds can be added later and no finished run is another's; models and texts of a cell are those of its recipe
run alone (tests/studies/test_study_runs.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trifacet.base.digests import json_digest
from trifacet.models.paradigms import vision_trains
from trifacet.preferences.settings import Rejected
from trifacet.studies.cells import BASE, SFT, Cell, cells_of, plain_recipe
from trifacet.studies.settings import LoadedStudy
from trifacet.studies.works import Job, Lent, Outcome, Plan, Work
from trifacet.training.recipe import Recipe
from trifacet.training.sources import looks_at_regions

_SHORT = 8  # characters of a key in a folder's name


def plan_of(loaded: LoadedStudy, seeds: Sequence[int]) -> Plan:
    """The plan of a study for these seeds. Raises TrifacetError as ``cells_of`` does."""
    plain, cells = plain_recipe(loaded), cells_of(loaded)
    plan = Plan(cells, tuple(seeds), loaded.folder)
    supervised_first = sorted(cells, key=lambda cell: cell.recipe.sft is None)  # whose starts describe the base too
    for seed in seeds:
        for cell in supervised_first:
            _Planner(plan, plain, cell, seed, loaded.study.split).add()
    return plan


class _Planner:
    """One cell with one seed."""

    def __init__(self, plan: Plan, plain: Recipe, cell: Cell, seed: int, split: str) -> None:
        self.plan, self.cell, self.seed, self.split = plan, cell, seed, split
        self.plain = plain
        self.recipe = cell.recipe.model_copy(update={"seed": seed})
        self.values: dict[str, Any] = self.recipe.model_dump(mode="json")
        data, model = self.values["data"], self.values["model"]
        of_models = {key: value for key, value in data.items() if key not in ("on_bad_row", "workers")}
        self.data = {key: value for key, value in of_models.items() if key not in ("test", "validation", "world")}
        self.held = {key: value for key, value in model.items() if key not in ("tiny", "path", "paradigm")}
        self.tested = [of_models, split, self.values["generate"], self.held]
        self.chain: list[Work] = []

    def add(self) -> None:
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
        recipe = self._bare(self.plain.model.model_copy(update=update), "world")
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
        if stage == SFT or self.values["model"]["tiny"] is None:  # alone, a base that is made is not described
            self.chain += [work for work, _ in self._told(self.start_key, stage, self.tested)]
        job = self._doing(works[0][0])
        if job is None:
            recipe = self._bare(self._held_as(self._base_path(world)), "start").model_copy(
                update={SFT: settings, "data": self._files(world)}
            )
            key = json_digest([self.start_key, plainly])
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
        recipe = self._of_cell(world, self._model_of(start, model)).model_copy(
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
            self._once(Work("regions", json_digest(["regions", *shared, made["limit"]])), works, lent)
        objective = settings.resolved_objective()
        if objective.needs_reference and settings.reference == "cache":
            corners = sorted(str(corner) for corner in objective.corners)
            of_stage = [made.get(key) for key in ("limit", "batch_size", "changed_tokens", "curriculum")]
            self._once(Work("reference", json_digest(["reference", *shared, corners, of_stage])), works, lent)
        alignment, texts = Work("alignment", align_key), self._told(align_key, stage, self.tested)
        self.chain += [alignment, *(work for work, _ in texts)]
        if (leader := self._doing(alignment)) is not None:  # the same model, described otherwise
            model = self._model_of(leader, stage)
            recipe = self._of_cell(world, model).model_copy(update={"rejected": Rejected(), "regions": None})
            job = self._job(f"cells/{name}", self._told(align_key, BASE, self.tested), recipe, (leader,))
            self.plan.outcomes[name, self.seed] = Outcome(job, BASE)
            return
        works += [(alignment, (stage, f"check of {stage}")), *texts]
        if not self.start_texts:
            works += self._told(self.start_key, BASE, self.tested, scored=False)
        recipe = self._of_cell(world, self._model_of(start, self.start_model)).model_copy(
            update={
                "rejected": self.recipe.rejected,
                "regions": self.recipe.regions,
                "align": {stage: settings.model_copy(update={"start": "auto"})},
            }
        )
        job = self._job(f"cells/{name}", works, recipe, (start,), lent)
        self.plan.outcomes[name, self.seed] = Outcome(job, stage)

    # --- recipes ---

    def _bare(self, model: Any, what: str) -> Recipe:
        """The recipe without stages and without what only alignments look at."""
        return self.recipe.model_copy(
            update={
                "name": f"{self.plain.name}: {what}",
                "model": model,
                SFT: None,
                "align": {},
                "rejected": Rejected(),
                "regions": None,
                "generate": self.plain.generate,
            }
        )

    def _of_cell(self, world: str | None, model: str) -> Recipe:
        path = self.recipe.model.model_copy(update={"tiny": None, "path": model})
        return self.recipe.model_copy(update={"model": path, "data": self._files(world), SFT: None, "align": {}})

    def _held_as(self, path: str) -> Any:
        """The model section for a start: the paradigm is the base recipe's, since what trains stands in the stage."""
        update = {"tiny": None, "path": path, "paradigm": self.plain.model.paradigm}
        return self.recipe.model.model_copy(update=update)

    def _base_path(self, world: str | None) -> str:
        if self.recipe.model.tiny is None:
            return str(self.recipe.model.path)
        assert world is not None  # which makes it
        return self._model_of(world, BASE)

    def _model_of(self, job: str, model: str) -> str:
        """The checkpoint of a model of a job; a base that is no job's own is where its recipe says."""
        recipe = self.plan.jobs[job].recipe
        if model == BASE and recipe.model.path is not None:
            return recipe.model.path
        return str(self.plan.folder / job / "models" / model / "model")

    def _files(self, world: str | None) -> Any:
        """The data section that reads what a world's job has made."""
        data = self.recipe.data
        if data.world is None or world is None:
            return data
        names = {split: f"{split}.jsonl" for split in (SFT, "preference", "validation")}
        read = {"world": None, "root": str(self.plan.folder / world / "data"), "images": None, "format": "trifacet"}
        return data.model_copy(update={**names, **read, "test": f"{self.split}.jsonl"})

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
        recipe: Recipe,
        needs: Sequence[str] = (),
        lent: Sequence[Lent] = (),
        key: str = "",
    ) -> str:
        """The job of these works, which is made where there is none yet; its name."""
        short = "" if layer.startswith("cells/") else f"-{(key or json_digest(works))[:_SHORT]}"
        name = f"{layer}/seed-{self.seed}{short}"
        if name not in self.plan.jobs:
            own = recipe.model_copy(update={"output": str(self.plan.folder / name), "seeds": None, "sweep": None})
            self.plan.jobs[name] = Job(name, own, tuple(works), tuple(needs), tuple(lent))
        return name
