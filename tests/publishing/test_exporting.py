"""Every family is exported as a hub folder and as an adapter, and loaded anew by the programs that these are for."""

import json
import shutil

import pytest
import torch
from full_disk import files_up_to
from safetensors import safe_open
from tiny_adapters import adapt, base_of, edit
from tiny_families import MAKERS, load_copy
from transformers import AutoImageProcessor, AutoModelForImageTextToText

from trifacet.base.claims import Claim
from trifacet.base.errors import TrifacetError
from trifacet.base.seals import sealed
from trifacet.models.loading import load_model
from trifacet.publishing import exporting
from trifacet.publishing.checking import Check
from trifacet.publishing.exporting import Export, export
from trifacet.publishing.folder import MARK, claimed
from trifacet.publishing.hub_folder import TOKENIZER

# what the hub's checkpoints of a family call their parts
HUB_NAMES = {
    "llava": ("language_model.model.layers.", "vision_tower.vision_model.encoder.", "multi_modal_projector.linear_1."),
    "llava_next": ("language_model.model.layers.", "vision_tower.vision_model.encoder.", "image_newline"),
    "qwen2_vl": ("model.layers.", "visual.blocks.", "visual.merger."),
    "qwen2_5_vl": ("model.layers.", "visual.blocks.", "visual.merger."),
    "qwen3_vl": ("model.language_model.layers.", "model.visual.blocks.", "model.visual.deepstack_merger_list."),
    "idefics3": ("model.text_model.layers.", "model.vision_model.encoder.", "model.connector.modality_projection."),
    "smolvlm": ("model.text_model.layers.", "model.vision_model.encoder.", "model.connector.modality_projection."),
    "internvl": ("language_model.model.layers.", "vision_tower.encoder.layer.", "multi_modal_projector.layer_norm."),
    "gemma3": ("language_model.model.layers.", "vision_tower.vision_model.encoder.", "multi_modal_projector.mm_input_"),
}


def families(*quick):
    """All families; those that ``make endurance`` alone looks at are marked: each loads transformers anew."""
    return [pytest.param(one, marks=() if one in quick else pytest.mark.endurance) for one in MAKERS]


@pytest.fixture
def family(request, family_folders):
    return family_folders(request.param)


def adapter_of(folder, place):
    """An adapter on a family's language model and vision encoder, with a module that was trained whole."""
    base = load_copy(folder).model
    layers = [name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear)]
    chosen = [name for name in layers if name.endswith((".q_proj", ".qkv", ".fc1", ".linear_fc1", ".down_proj"))]
    adapt(base, place, target_modules=chosen, modules_to_save=["lm_head"])
    edit(place, lambda told: told.update(base_model_name_or_path=str(folder)))
    (place / "trifacet.json").write_text('{"image_tiles": "any"}')
    return place


def verdicts(checks):
    return {one.program: one.verdict for one in checks}


def names_in(folder):
    found = []
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as held:
            found += list(held.keys())
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", families("llava", "internvl"), indirect=True)
def test_an_adapter_becomes_a_hub_folder_that_says_the_same(family, tmp_path):
    adapter = adapter_of(family, tmp_path / "adapter")
    made, checks, _ = export(Export(str(adapter), "hub-folder", tmp_path / "made", shard="1GB"), check=True)
    assert verdicts(checks) == {"transformers": "verified", "merged as unmerged": "verified"}
    assert checks[0].figures["largest_difference"] <= 1e-5 and checks[0].figures["tokens"] > 100

    names = names_in(made)
    assert [start for start in HUB_NAMES[family.name] if not any(name.startswith(start) for name in names)] == []
    assert not any("lora" in name or "base_layer" in name for name in names)
    config = json.loads((made / "config.json").read_text())
    assert config["architectures"] == json.loads((family / "config.json").read_text())["architectures"]
    if family.name in ("idefics3", "smolvlm"):
        assert config["text_config"]["architectures"] == ["VLlama3ForCausalLM"]
    for name in TOKENIZER:
        assert (made / name).exists() == (family / name).exists()
        assert not (made / name).exists() or (made / name).read_bytes() == (family / name).read_bytes()
    beside, within = (json.loads((made / f"{name}_config.json").read_text()) for name in ("preprocessor", "processor"))
    assert beside["image_processor_type"] == within["image_processor"]["image_processor_type"]
    assert {path.suffix for path in made.iterdir()} <= {".safetensors", ".json", ".jinja", ".md", ""}
    for path in made.glob("*.json"):
        assert path.name == MARK or str(tmp_path) not in path.read_text()
    assert load_model(made).family.name == family.name  # Trifacet too


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", families("qwen2_5_vl"), indirect=True)
def test_an_adapter_is_read_by_peft_alone_and_says_the_same(family, tmp_path):
    adapter = adapter_of(family, tmp_path / "adapter")
    made, checks, _ = export(Export(str(adapter), "adapter", tmp_path / "made", base="someone/base"), check=True)
    assert verdicts(checks) == {"peft": "verified", "merged as unmerged": "verified"}
    assert json.loads((made / "adapter_config.json").read_text())["base_model_name_or_path"] == "someone/base"
    assert (made / "adapter_model.safetensors").read_bytes() == (adapter / "adapter_model.safetensors").read_bytes()
    assert "base_model: someone/base" in (made / "README.md").read_text()


def test_what_says_something_else_is_not_verified(family_folders, tmp_path, monkeypatch):
    """The files are changed behind the check's back: other weights, then weights of another shape."""
    folder = family_folders("qwen2_vl")
    checked = exporting.check_plainly
    for change, verdict in (("moved", "converts only"), ("cut", "not supported"), ("", "verified")):

        def spoilt(place, *arguments, change=change):
            model = AutoModelForImageTextToText.from_pretrained(place)
            with torch.no_grad():
                if change == "moved":
                    model.lm_head.weight[0] += 1
                if change == "cut":
                    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight[:-1].clone())
            model.save_pretrained(place)
            return checked(place, *arguments)

        monkeypatch.setattr(exporting, "check_plainly", spoilt)
        _, checks, _ = export(Export(str(folder), "hub-folder", tmp_path / (change or "same")), check=True)
        assert verdicts(checks) == {"transformers": verdict}, checks


def test_weights_are_rounded_once_and_cut_into_shards(family_folders, tmp_path):
    folder = family_folders("llava")
    made, checks, _ = export(
        Export(str(folder), "hub-folder", tmp_path / "made", dtype="bfloat16", shard="100KB"), check=True
    )
    assert verdicts(checks) == {"transformers": "verified"}
    assert len(list(made.glob("model-*.safetensors"))) > 1 and (made / "model.safetensors.index.json").exists()
    assert json.loads((made / "config.json").read_text())["dtype"] == "bfloat16"
    plain, before = (AutoModelForImageTextToText.from_pretrained(one).state_dict() for one in (made, folder))
    assert all(torch.equal(plain[name], weight.bfloat16()) for name, weight in before.items())
    again, _, _ = export(Export(str(made), "hub-folder", tmp_path / "again"))
    assert json.loads((again / "config.json").read_text())["dtype"] == "bfloat16"  # as the weights lie there


def test_older_loaders_find_the_image_processor(family_folders, tmp_path):
    made, _, _ = export(Export(str(family_folders("qwen2_vl")), "hub-folder", tmp_path / "made"))
    (made / "processor_config.json").unlink()
    kept = AutoImageProcessor.from_pretrained(made)
    assert kept.size == load_copy(family_folders("qwen2_vl")).processor.image_processor.size


def killed(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_export_leaves_nothing_and_is_begun_anew(family_folders, tmp_path, monkeypatch):
    asked = Export(str(family_folders("llava")), "hub-folder", tmp_path / "made")
    with monkeypatch.context() as patched:
        patched.setattr(exporting, "card", killed)  # the last that is written
        with pytest.raises(KeyboardInterrupt):
            export(asked)
    assert {path.name for path in (tmp_path / "made").iterdir()} == {MARK, ".lock"}
    assert json.loads((tmp_path / "made" / MARK).read_text())["finished"] is None
    (tmp_path / "made" / ".making").mkdir()  # as a kill leaves it
    (tmp_path / "made" / ".making" / "config.json").write_text("{}")
    made, _, _ = export(asked)
    assert load_model(made) and not (made / ".making").exists()


def test_what_was_not_finished_is_no_export_and_goes(family_folders, tmp_path, monkeypatch):
    """A kill when files have taken their places: another export may begin there, and none of them stays."""
    with monkeypatch.context() as patched:
        patched.setattr(Claim, "seal", killed)
        with pytest.raises(KeyboardInterrupt):
            export(Export(str(family_folders("llava")), "hub-folder", tmp_path / "made", shard="100KB"))
    assert list((tmp_path / "made").glob("model-*.safetensors"))
    made, _, _ = export(Export(str(family_folders("gemma3")), "hub-folder", tmp_path / "made"))
    assert [path.name for path in made.glob("*.safetensors")] == ["model.safetensors"]
    assert not (made / "model.safetensors.index.json").exists() and load_model(made).family.name == "gemma3"


def test_an_export_is_not_made_twice_nor_over_other_files(family_folders, tmp_path):
    asked = Export(str(family_folders("llava")), "hub-folder", tmp_path / "made")
    made, _, _ = export(asked)
    before = {path.name: path.stat().st_mtime_ns for path in made.glob("*.safetensors")}
    export(asked)
    assert before == {path.name: path.stat().st_mtime_ns for path in made.glob("*.safetensors")}
    other = Export(str(family_folders("gemma3")), "hub-folder", made)
    with pytest.raises(TrifacetError, match="holds another export"):
        export(other)
    export(other, overwrite=True)
    assert json.loads((made / "config.json").read_text())["model_type"] == "gemma3"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(TrifacetError, match="own is not empty and holds no"):
        export(Export(str(family_folders("llava")), "hub-folder", tmp_path / "own"))
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["../own", "..", 5])
def test_a_folder_from_elsewhere_has_nothing_removed_but_an_exports_files(tmp_path, name):
    """A mark can be made by anyone: what it names is looked at before it is cleared."""
    (tmp_path / "own").mkdir()
    (tmp_path / "made").mkdir()
    facts = {"asked": {}, "finished": None, "clearing": True, "placed": [name]}
    (tmp_path / "made" / MARK).write_text(json.dumps(sealed(facts)))
    with pytest.raises(TrifacetError, match="no export's"), claimed(tmp_path / "made", {}, overwrite=True):
        pass
    assert (tmp_path / "own").is_dir() and (tmp_path / "made" / MARK).is_file()


def test_a_full_disk_is_one_line(family_folders, tmp_path, trifacet):
    folder = family_folders("llava")
    with files_up_to(100_000):
        code, _, told = trifacet("export", folder, "--to", "hub-folder", "--output", tmp_path / "made")
    assert code == 2 and told.count("\n") == 1 and "free some space" in told, told
    assert not list((tmp_path / "made").glob("*.safetensors")) and not (tmp_path / "made" / ".making").exists()
    code, out, _ = trifacet("export", folder, "--to", "hub-folder", "--output", tmp_path / "made")
    assert code == 0 and "made" in out


@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_is_refused_with_what_can(family_folders, tmp_path, trifacet):
    folder = family_folders("llava")
    code, _, told = trifacet("export", folder, "--to", "adapter", "--output", tmp_path / "made")
    assert (code, told) == (2, f"error: {folder}: is a whole model and no adapter; use --to hub-folder\n")
    code, _, told = trifacet("export", folder, "--to", "gguf", "--output", tmp_path / "made")
    assert code == 2 and "pip download" in told and told.count("\n") == 1
    code, _, told = trifacet("export", tmp_path / "none" / "x", "--to", "hub-folder", "--output", tmp_path / "made")
    assert code == 2 and told.count("\n") == 1
    first = adapter_of(folder, tmp_path / "first")
    second = adapt(base_of(folder), tmp_path / "second", target_modules=["q_proj"])
    assert second
    edit(tmp_path / "second", lambda told: told.update(base_model_name_or_path=str(first)))
    code, _, told = trifacet("export", tmp_path / "second", "--to", "adapter", "--output", tmp_path / "made")
    assert code == 2 and "stands on another adapter" in told
    _, checks, _ = export(Export(str(tmp_path / "second"), "hub-folder", tmp_path / "both"), check=True)
    assert set(verdicts(checks).values()) == {"verified"}


CONVERTER = """
import sys
from pathlib import Path
print("doing", *sys.argv[1:])
if "--mmproj" in sys.argv and {fails}:
    sys.exit("ValueError: Unsupported model type: some_model")
Path(sys.argv[sys.argv.index("--outfile") + 1]).write_bytes(b"GGUF" + str(sys.argv).encode())
"""


def test_a_converter_that_gives_up_leaves_nothing(family_folders, tmp_path, trifacet):
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text(CONVERTER.format(fails=True))
    options = ("--to", "gguf", "--converter", script, "--output", tmp_path / "made", "--check")
    code, _, told = trifacet("export", family_folders("llava"), *options)
    assert code == 2 and told == (
        "error: not supported: convert_hf_to_gguf.py does not convert the vision encoder (ValueError: Unsupported "
        "model type: some_model)\n"
    )
    assert {path.name for path in (tmp_path / "made").iterdir()} == {MARK, ".lock"}
    script.write_text(CONVERTER.format(fails=False))
    code, out, _ = trifacet("export", family_folders("llava"), *options)
    files = {path.name for path in (tmp_path / "made").iterdir()}
    assert {"llava.gguf", "mmproj-llava.gguf", "README.md", "trifacet.json"} <= files
    assert not any(name.endswith(".safetensors") for name in files)
    assert code == 1 and ("converts only" in out or "not supported" in out)  # these are no models


def test_a_converter_is_told_no_secret(family_folders, tmp_path, monkeypatch):
    """It writes its environment, and what lies in its home, into what it makes."""
    home = tmp_path / "home"
    (home / ".cache" / "huggingface").mkdir(parents=True)
    (home / ".cache" / "huggingface" / "token").write_text("hf_ofTheHome")
    for name, value in (("HOME", str(home)), ("HF_TOKEN", "hf_secret"), ("HUGGING_FACE_HUB_TOKEN", "hf_secret"),
                        ("AWS_SECRET_ACCESS_KEY", "aws-secret"), ("TRIFACET_SERVE_TOKEN", "serve-secret")):  # fmt: skip
        monkeypatch.setenv(name, value)
    script = tmp_path / "convert_hf_to_gguf.py"
    script.write_text(
        "import os, sys\nfrom pathlib import Path\nimport huggingface_hub, torch\n"
        "told = [str(dict(os.environ)), str(huggingface_hub.get_token())]\n"
        "(Path.home() / '.left').write_text('by a library')\n"
        "Path(sys.argv[sys.argv.index('--outfile') + 1]).write_text(' '.join(told))\n"
    )
    made, _, _ = export(Export(str(family_folders("llava")), "gguf", tmp_path / "made", converter=script))
    said = (made / "llava.gguf").read_text()
    assert "HF_HUB_OFFLINE" in said and "None" in said and str(home) not in said
    assert "secret" not in said and "hf_ofTheHome" not in said
    assert not (made / "converted").exists() and not (home / ".left").exists()


LINKED = ("merges.txt", "added_tokens.json", "tokenizer.model", "chat_template.jinja", "generation_config.json")


@pytest.mark.parametrize("name", LINKED)
def test_a_link_out_of_the_model_is_no_file_of_it(family_folders, tmp_path, trifacet, name):
    """It could name anything of the machine, which an upload would show: refused, and nothing is written."""
    secret = tmp_path / "secret"
    secret.write_text('{"auths": "secret"}')
    model = tmp_path / "model"
    shutil.copytree(family_folders("llava"), model, ignore=shutil.ignore_patterns("complete.json"))
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to(secret)
    code, _, told = trifacet("export", model, "--to", "hub-folder", "--output", tmp_path / "made")
    assert code == 2 and f"{name}: is a link out of the model's folder" in " ".join(told.split()), told
    assert not (tmp_path / "made").exists()


def test_links_within_a_model_and_within_a_hubs_cache_are_its_files(family_folders, tmp_path):
    home = tmp_path / "hub" / "models--someone--kites"
    (home / "blobs").mkdir(parents=True)
    snapshot = home / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for path in family_folders("llava").iterdir():
        if path.name != "complete.json":
            shutil.copyfile(path, home / "blobs" / f"x{path.name}")
            (snapshot / path.name).symlink_to(f"../../blobs/x{path.name}")
    made, _, _ = export(Export(str(snapshot), "hub-folder", tmp_path / "made"))
    assert (made / "tokenizer.json").read_bytes() == (family_folders("llava") / "tokenizer.json").read_bytes()
    assert not any(path.is_symlink() for path in made.iterdir())

    other = tmp_path / "hub" / "models--else--where" / "blobs"
    other.mkdir(parents=True)
    (other / "y").write_text("{}")
    (snapshot / "added_tokens.json").symlink_to("../../../models--else--where/blobs/y")
    with pytest.raises(TrifacetError, match="link out of the model"):  # another model's
        export(Export(str(snapshot), "hub-folder", tmp_path / "again"))

    plain = tmp_path / "plain"
    shutil.copytree(family_folders("llava"), plain, ignore=shutil.ignore_patterns("complete.json"))
    (plain / "kept").mkdir()
    (plain / "tokenizer.json").replace(plain / "kept" / "tokenizer.json")
    (plain / "tokenizer.json").symlink_to("kept/tokenizer.json")
    (tmp_path / "weights").mkdir()
    (plain / "model.safetensors").replace(tmp_path / "weights" / "model.safetensors")
    (plain / "model.safetensors").symlink_to(tmp_path / "weights" / "model.safetensors")
    made, _, _ = export(Export(str(plain), "hub-folder", tmp_path / "within"))
    assert (made / "tokenizer.json").is_file() and not (made / "tokenizer.json").is_symlink()
    (tmp_path / "linked").symlink_to(plain, target_is_directory=True)  # the folder's own name may be a link
    export(Export(str(tmp_path / "linked"), "hub-folder", tmp_path / "whole"))


def test_a_check_is_told_as_json_and_by_the_exit_code(family_folders, tmp_path, trifacet, monkeypatch):
    options = ("--to", "hub-folder", "--output", tmp_path / "made", "--json", "-")
    code, out, _ = trifacet("export", family_folders("llava"), *options)
    assert code == 0 and json.loads(out)["checks"] == []
    monkeypatch.setattr(exporting, "check_plainly", lambda *_: Check("transformers", "converts only", "why"))
    code, out, _ = trifacet("export", family_folders("llava"), *options, "--check")
    assert code == 1 and json.loads(out)["checks"] == [
        {"program": "transformers", "verdict": "converts only", "why": "why"}
    ]
