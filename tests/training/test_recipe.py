"""Recipes: what a file, its parents and ``--set`` add up to, and what a mistake gets."""

from pathlib import Path

import pytest
import yaml

from trifacet.base.errors import TrifacetError
from trifacet.settings.reading import overridden
from trifacet.settings.tables import recipe_keys
from trifacet.training.recipe import Recipe, dump_recipe, load_recipe, recipe_fingerprint

MINIMAL = """\
name: small
output: runs/small
model: {path: some/model}
data: {preference: pairs.jsonl, validation: held-out.jsonl}
align:
  dpo: {objective: dpo, beta: 0.2}
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="recipe.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def minimal(write):
    return write(MINIMAL)


def refused(path, *overrides):
    with pytest.raises(TrifacetError) as caught:
        load_recipe(path, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_are_filled_in(minimal):
    recipe = load_recipe(minimal)
    assert recipe.seed == 17
    assert recipe.sft is None
    assert recipe.rejected.image.t == 700
    assert recipe.align["dpo"].learning_rate == 5e-7
    assert recipe.folder == Path("runs/small")


def test_sizes_are_said_in_units(minimal):
    sizes = {"20GiB": 20 * 2**30, "1.5 GB": 1_500_000_000, "0": 0, "4096": 4096}
    for said, size in sizes.items():
        assert load_recipe(minimal, [f"model.keep_features={said}"]).model.keep_features == size
    assert "keep_features" in refused(minimal, "model.keep_features=a lot")
    assert "keep_features" in refused(minimal, "model.keep_features=-1")


def test_all_layers_are_made_again_or_as_many_as_memory_asks_for(minimal):
    both = ["model.memory=12GiB", "align.dpo.gradient_checkpointing=true"]
    assert "set one of them" in refused(minimal, *both)
    for one in both:
        load_recipe(minimal, [one])


def test_how_much_is_kept_does_not_decide_on_results(minimal):
    none, some, more = (
        recipe_fingerprint(load_recipe(minimal, [f"model.keep_features={size}"])) for size in ("0", "1GiB", "2GiB")
    )
    assert none != some == more
    assert none == recipe_fingerprint(load_recipe(minimal))
    assert none == recipe_fingerprint(load_recipe(minimal, ["model.memory=12GiB"]))


# --- mistakes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("outptu=x", "unknown key 'outptu'; did you mean 'output'?"),
        ("data.max_lenght=9", "unknown key 'data.max_lenght'; did you mean 'max_length'?"),
        ("rejected.image.stratgy=crop", "unknown key 'rejected.image.stratgy'; did you mean 'strategy'?"),
        ("align.dpo.learnin_rate=1", "unknown key 'align.dpo.learnin_rate'; did you mean 'learning_rate'?"),
        ("align.objective.bet=1", "unknown key 'align.objective.bet'; did you mean 'beta'?"),
        ("model.lora.ranc=1", "unknown key 'model.lora.ranc'; did you mean 'rank'?"),
        ("align.dpo.lr=1", "unknown key 'align.dpo.lr'; did you mean 'learning_rate'?"),
        ("model.lora.r=8", "unknown key 'model.lora.r'; did you mean 'rank'?"),
        ("learning_rate=1", "unknown key 'learning_rate'; it belongs into sft or align.NAME"),
        ("model.rank=8", "unknown key 'model.rank'; it belongs into model.lora"),
        ("rejected.image.xyz=1", "known keys here are strategy, t, versions"),
        ("extends=other.yaml", "unknown key 'extends'"),
        ("name=null", "name: Input should be a valid string, got null"),
        ("seed=many", "seed: Input should be a valid integer"),
        ("align.dpo.learning_rate=0", "align.dpo.learning_rate: Input should be greater than 0, got 0"),
        ("align.dpo.learning_rate=.inf", "finite"),
        ("align.dpo.warmup=1.0", "align.dpo.warmup: Input should be less than 1"),
        ("model.paradigm=5", "model.paradigm: Input should be 1, 2, 3 or 4, got 5"),
        ("model.tiny={}", "set exactly one of model.path and model.tiny"),
        ("data=3", "data: "),
        ("data.images={tst: x}", "data.images.tst: Input should be 'sft', 'preference'"),
        ("align.dpo.objective=[dpo]", "align.dpo.objective: "),
        ("align.dpo.objective=mdpoo", "align.dpo: unknown objective 'mdpoo'; did you mean 'mdpo'?"),
        ("align.dpo.objective={base: dpo, drop: [vpo]}", "align.dpo: objective: cannot drop 'vpo'"),
        ("align.dpo.weights.gamma=1", "align.dpo: weights: dpo has no term 'gamma'; it has rpo"),
        ("align.dpo.weights.rpo=0", "align.dpo: weights: every term has weight 0"),
        ("align.dpo.weights.rpo=-1", "align.dpo.weights.rpo: Input should be greater than or equal to 0"),
        ("align={sft: {objective: dpo}}", "'sft' cannot name an alignment"),
        ("align={../up: {objective: dpo}}", "'../up' cannot name an alignment"),
        ("seed", "--set 'seed': write key=value"),
        ("align..beta=1", "write key=value"),
        ("data.root=[", "the value is not YAML; put it in quotes"),
    ],
)
def test_a_mistake_is_named_with_its_cure(minimal, override, message):
    assert message in refused(minimal, override)


def test_unknown_keys_are_told_all_at_once(minimal):
    message = refused(minimal, "outptu=x", "align.dpo.lr=1", "data.wrkers=2")
    assert sorted(message.partition("unknown keys: ")[2].split(", ")) == [
        "'align.dpo.lr' (did you mean 'learning_rate'?)",
        "'data.wrkers' (did you mean 'workers'?)",
        "'outptu' (did you mean 'output'?)",
    ]


def test_errors_name_the_file(minimal):
    assert refused(minimal, "align.dpo.bta=1").startswith(str(minimal))


def test_mixed_precision_needs_weights_of_float32(minimal):
    assert load_recipe(minimal, ["model.mixed_precision=true"]).model.mixed_precision
    message = refused(minimal, "model.mixed_precision=true", "model.dtype=bfloat16")
    assert "keeps the weights in float32; set model.dtype: float32" in message


def test_what_has_to_be_given(write):
    assert "key 'output' is missing; give it a value" in refused(write("name: x\nmodel: {path: m}\ndata: {}\n"))
    without = yaml.safe_dump({"name": "x", "output": "o", "data": {}, "model": {}})
    assert "set exactly one of model.path and model.tiny" in refused(write(without))


def test_bad_yaml_is_shown_with_its_line(write):
    path = write("name: x\noutput: y\nmodel: {path: [m\ndata: {}\n")
    assert f"{path}, line 4, column 5, key 'model.path': not YAML" in refused(path)


@pytest.mark.parametrize(("text", "kind"), [("", "NoneType"), ("- a\n", "list"), ("words\n", "str")])
def test_a_file_that_is_no_mapping(write, text, kind):
    assert f"a mapping of keys to values, this is {kind}" in refused(write(text))


def test_files_that_cannot_be_read(tmp_path):
    assert "none.yaml: no such file" in refused(tmp_path / "none.yaml")
    assert "cannot be read (Is a directory)" in refused(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: caf\xe9\n".encode("latin-1"))
    assert "not UTF-8" in refused(tmp_path / "latin.yaml")


# --- overrides --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("align.dpo.learning_rate=1e-4", 1e-4),
        ("align.dpo.learning_rate=2E-05", 2e-5),
        ("align.dpo.learning_rate=1.5e-6", 1.5e-6),
        ("align.dpo.batch_size=4", 4),
        ("align.dpo.beta=null", None),
        ("align.dpo.tensorboard=true", True),
        ("data.root=a b/c=d", "a b/c=d"),
        ("data.root=nan", "nan"),
        ("data.root='1e5'", "1e5"),
        ("name='7'", "7"),
        ("sft.epochs=3", 3.0),
        ("seeds=[1, 2]", [1, 2]),
        ("sweep.learning_rates=[1e-5, 0.1]", [1e-5, 0.1]),
        ("align.mdpo.objective=mdpo", "mdpo"),
        ("data.images.test=pictures", "pictures"),
        ("model.lora.rank=8", 8),
    ],
)
def test_set_overrides_any_key(minimal, override, value):
    found = load_recipe(minimal, [override])
    for part in override.split("=")[0].split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert found == value
    assert type(found) is type(value)


def test_an_override_goes_into_a_list_by_its_place():
    values = {"sources": [{"path": "a"}, {"path": "b", "limit": 3}], "steps": ["images"]}
    changed = overridden(values, ["sources.1.path=c", "sources.1.images=d", "steps.0=lint"])
    assert changed == {"sources": [{"path": "a"}, {"path": "c", "limit": 3, "images": "d"}], "steps": ["lint"]}
    assert values["sources"][1] == {"path": "b", "limit": 3}
    for wrong in ("sources.2.path=x", "sources.path=x", "sources.-1.path=x", "steps.1=x"):
        with pytest.raises(TrifacetError, match=r"is no place in a list of \d; give 0 for the first"):
            overridden(values, [wrong])


def test_later_overrides_win_and_siblings_stay(minimal):
    recipe = load_recipe(minimal, ["align.dpo.epochs=2", "align.dpo.epochs=3", "align.dpo.objective.base=mdpo"])
    assert (recipe.align["dpo"].epochs, recipe.align["dpo"].beta) == (3, 0.2)
    assert len(recipe.align["dpo"].resolved_objective().terms) == 3


def test_a_stages_beta_wins_over_the_objectives(minimal):
    assert load_recipe(minimal).align["dpo"].resolved_objective().beta == 0.2
    own = "align.dpo.objective={base: dpo, beta: 0.7}"
    assert load_recipe(minimal, [own]).align["dpo"].resolved_objective().beta == 0.2
    assert load_recipe(minimal, [own, "align.dpo.beta=null"]).align["dpo"].resolved_objective().beta == 0.7


def test_an_alignment_that_is_made_null_is_none(minimal):
    overrides = ["align.mdpo.objective=mdpo", "align.dpo=null"]
    assert load_recipe(minimal, overrides).stages == ["mdpo"]
    assert load_recipe(minimal, ["align.dpo=null", "sft={}"]).stages == ["sft"]


@pytest.mark.parametrize(
    ("weights", "changed"),
    [
        ("{gamma: 0.4}", {"vrpo": 0.4, "crpo": 0.4, "vcpo": 0.4, "mtpo": 0.4}),
        ("{alpha: 0.25, lambda: 2}", {"vpo": 0.25, "cpo": 0.25, "rpo": 2.0}),
        ("{mtpo: 0}", {"mtpo": 0.0}),
        ("{mtpo: 0.3, gamma: 0}", {"vrpo": 0.0, "crpo": 0.0, "vcpo": 0.0, "mtpo": 0.3}),
    ],
)
@pytest.mark.parametrize("objective", ["mcm-dpo", "mcm-dpo-joint", "{base: mcm-dpo, beta: 0.3}"])
def test_terms_are_weighed_by_name_or_as_the_paper_groups_them(minimal, objective, weights, changed):
    named = f"align.dpo.objective={objective}"
    before = load_recipe(minimal, [named]).align["dpo"].resolved_objective()
    after = load_recipe(minimal, [named, f"align.dpo.weights={weights}"]).align["dpo"].resolved_objective()
    assert {term.name: term.weight for term in after.terms} == {
        **{term.name: term.weight for term in before.terms},
        **changed,
    }
    assert after.model_copy(update={"terms": before.terms}) == before
    switched_off = {name for name, weight in changed.items() if not weight}
    assert {term.name for term in after.active} == {term.name for term in before.terms} - switched_off


def test_lora_scales_by_its_rank_and_leaves_the_vision_encoder_alone(minimal):
    model = load_recipe(minimal, ["model.lora.rank=8"]).model
    assert (model.lora.alpha, model.paradigm) == (16, 1)
    model = load_recipe(minimal, ["model.lora={rank: 8, alpha: 8}", "model.paradigm=4"]).model
    assert (model.lora.alpha, model.paradigm) == (8, 4)
    assert load_recipe(minimal).model.paradigm == 4
    again = Recipe.model_validate(yaml.safe_load(dump_recipe(load_recipe(minimal, ["model.lora.rank=8"]))))
    assert again.model == load_recipe(minimal, ["model.lora.rank=8"]).model


# --- extends ----------------------------------------------------------------------------------------------------


def test_a_recipe_extends_another(write):
    write(MINIMAL, "base/parent.yaml")
    child = write(
        "extends: base/parent.yaml\nname: child\nalign: {dpo: {epochs: 2}, mdpo: {objective: mdpo}}\nsft: {}\n"
    )
    recipe = load_recipe(child)
    assert (recipe.name, recipe.output) == ("child", "runs/small")
    assert list(recipe.align) == ["dpo", "mdpo"]
    assert (recipe.align["dpo"].epochs, recipe.align["dpo"].beta) == (2, 0.2)  # mappings merge
    grandchild = write("extends: recipe.yaml\nsft: null\nalign: {dpo: {objective: {base: mdpo}}}\n", "grandchild.yaml")
    recipe = load_recipe(grandchild)
    assert recipe.sft is None  # all else replaces
    assert recipe.align["dpo"].objective == {"base": "mdpo"}
    assert load_recipe(child).sft is not None


def test_a_circle_of_recipes(write):
    write("extends: b.yaml\n", "a.yaml")
    path = write("extends: a.yaml\n", "b.yaml")
    assert "extend each other in a circle; remove one 'extends'" in refused(path)
    assert "circle" in refused(write("extends: self.yaml\n", "self.yaml"))


def test_a_parent_that_is_not_there(write):
    assert "none.yaml: no such file" in refused(write("extends: none.yaml\n"))


def test_keys_for_anchors_are_ignored(write):
    recipe = load_recipe(
        write(
            MINIMAL.replace("align:", "x-common: &common {epochs: 5}\nalign:\n  mdpo: {<<: *common, objective: mdpo}")
        )
    )
    assert recipe.align["mdpo"].epochs == 5
    assert "x-common" not in dump_recipe(recipe)


# --- writing it down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["sft={}", "model.lora={}", "seeds=[3]", "sweep={learning_rates: [1e-5]}", "data.world={}"],
        ["align.dpo.objective={base: mcm-dpo, drop: [vpo], beta: 1e-1}", "data.prompt='é: \"#1\"'", "model.path='1e5'"],
        ["model={tiny: {layers: 2}}", "data.images={test: a}", "align.mfpo={objective: mfpo}"],
    ],
)
def test_a_dumped_recipe_reads_back_the_same(minimal, write, overrides):
    recipe = load_recipe(minimal, overrides)
    again = load_recipe(write(dump_recipe(recipe), "again.yaml"))
    assert again == recipe
    assert dump_recipe(again) == dump_recipe(recipe)
    assert recipe_fingerprint(again) == recipe_fingerprint(recipe)


def test_the_fingerprint_ignores_the_output_folder_alone(minimal):
    fingerprint = recipe_fingerprint(load_recipe(minimal))
    assert recipe_fingerprint(load_recipe(minimal, ["output=elsewhere"])) == fingerprint
    assert recipe_fingerprint(load_recipe(minimal, ["align.dpo.epochs=1.0"])) == fingerprint  # the default, spelled out
    assert recipe_fingerprint(load_recipe(minimal, ["align.dpo.report_to=[wandb]"])) == fingerprint
    assert recipe_fingerprint(load_recipe(minimal, ["generate.top_p=1"])) == fingerprint
    assert recipe_fingerprint(load_recipe(minimal, ["model.attention=auto"])) == fingerprint
    for key in ("weights", "offsets", "changed_tokens"):
        assert recipe_fingerprint(load_recipe(minimal, [f"align.dpo.{key}=null"])) == fingerprint
    own = [f"align.dpo.objective={{base: dpo{beside}}}" for beside in ("", ", beside: false")]
    assert len({recipe_fingerprint(load_recipe(minimal, [one])) for one in own}) == 1
    # runs that were begun before a key was there go on
    assert fingerprint == "b6de755e545f49622d0afe743368fadb3a144d3a470c1e16596d417159080977"
    younger = ("align.dpo.offsets={rpo: 0.1}", "align.dpo.changed_tokens={}", "align.dpo.weights={rpo: 2}")
    for override in (
        "seed=18",
        "name=other",
        "align.dpo.beta=0.3",
        "data.root=x",
        "rejected.image.t=500",
        "generate.top_p=0.9",
        "model.attention=dense",
        *younger,
    ):
        assert recipe_fingerprint(load_recipe(minimal, [override])) != fingerprint


def test_the_knobs_of_the_demos_world_count_where_they_are_turned(minimal):
    """Fingerprints of worlds as they were before there were knobs."""
    plain = {"posts": "4407f040f3e231b8fb7689754676a5b5205fa4ab72fb8887327ca98dd06f772d",
             "things": "9c26a66e02207c1d9987b36d3c2653ca5a4e1a38deae1dddff1de4ec45740bc3"}  # fmt: skip
    for kind, before in plain.items():
        assert recipe_fingerprint(load_recipe(minimal, [f"data.world.kind={kind}"])) == before
    default = "data.world.posts.tempts={colour: 1.0}"
    assert recipe_fingerprint(load_recipe(minimal, [default])) == plain["posts"]
    assert recipe_fingerprint(load_recipe(minimal, ["data.world.posts.tempting=0.1"])) != plain["posts"]


# --- the page of keys -------------------------------------------------------------------------------------------


def test_every_key_is_described():
    keys = list(recipe_keys(Recipe))
    assert not [key.path for key in keys if not key.meaning.strip()]
    assert len({key.path for key in keys}) == len(keys)
    assert {"model.tiny.layers", "align.<name>.objective", "rejected.image.t", "generate.beams"} <= {
        k.path for k in keys
    }


def test_the_keys_are_those_that_a_dump_holds():
    values = {
        "name": "n",
        "output": "o",
        "model": {"path": "m", "lora": {}},
        "data": {"world": {}},
        "sft": {},
        "regions": {"words": {}, "locator": {}},
    }
    stages = {"any": {"changed_tokens": {}, "curriculum": {}}}
    full = Recipe.model_validate({**values, "align": stages, "sweep": {"learning_rates": [1]}, "seeds": [1]})

    def paths(values, prefix=""):
        for key, value in values.items():
            yield f"{prefix}{key}"
            yield from paths(value, f"{prefix}{key}.") if isinstance(value, dict) else ()

    documented = {key.path for key in recipe_keys(Recipe)}
    mappings = {key.path for key in recipe_keys(Recipe) if key.type.startswith("mapping")}  # whose names are values
    dumped = {path.replace("align.any", "align.<name>") for path in paths(full.model_dump(mode="json"))}
    dumped = {path for path in dumped if path.rpartition(".")[0] not in mappings}
    assert dumped - documented == {"align.<name>"}
    assert all(path.startswith("model.tiny.") for path in documented - dumped)
