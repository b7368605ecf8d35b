"""Options: every number has bounds, and whatever is given ends in an exit code and a line, never in a traceback."""

import random
import string
from typing import get_args

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import recipe_file

from trifacet.cli import main as command_line


def leaves(command, path=()):
    """The commands that do something, by the words that call them."""
    for name, one in getattr(command, "commands", {}).items():
        yield from leaves(one, (*path, name))
    if path and not getattr(command, "commands", {}):
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(command_line.app)))
NUMBERS = {
    (path, parameter.opts[0]): parameter
    for path, command in COMMANDS.items()
    for parameter in command.params
    if {int, float} & {parameter.type_descriptor.annotation, *get_args(parameter.type_descriptor.annotation)}
}


@pytest.fixture
def trifacet_code(monkeypatch, capfd):
    """Run the command line in this process: its exit code and what it told."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["trifacet", *arguments])
        capfd.readouterr()
        try:
            command_line.main()
        except SystemExit as end:
            return end.code or 0, capfd.readouterr().err
        return 0, capfd.readouterr().err

    return run


def test_every_number_has_bounds():
    assert len(COMMANDS) > 20
    assert len(NUMBERS) > 30
    assert [place for place, kind in NUMBERS.items() if kind.min is None or kind.max is None] == []


@pytest.mark.parametrize(("place", "kind"), NUMBERS.items(), ids=[" ".join((*path, name)) for path, name in NUMBERS])
def test_a_number_out_of_bounds_is_one_line(trifacet_code, place, kind):
    path, option = place
    wrong = [str(kind.max + 1), "nan"]
    for value in wrong + ["1e-40"] * ("temperature" in option):
        refused(trifacet_code, *path, f"{option}={value}")


@pytest.mark.parametrize("value", ["-1", "9" * 30, "9" * 5000, "-1e400", "inf", "x", "", "0x_", "\x1b[31m"])
def test_what_is_no_number_is_one_line(trifacet_code, value):
    for words in ("data show --limit", "compare --level", "describe --temperature"):
        refused(trifacet_code, *words.split(), value)


def test_a_word_that_is_no_choice_is_told_beside_those_that_are(trifacet_code):
    code, told = trifacet_code("score", "a.jsonl", "--references", "b.jsonl", "--profile", "cocoo")
    assert code == 2
    assert told.startswith("error: Invalid value for '--profile': 'cocoo' is not one of 'coco', 'paper'; see ")


def refused(trifacet_code, *words):
    code, told = trifacet_code(*words)
    assert code == 2, words
    assert told.startswith("error: ") and told.count("\n") == 1 and len(told) < 1300, told
    assert "\x1b" not in told


@pytest.mark.parametrize(
    "words",
    ["describe --prompt", "describe --context", "generate --prompt", "evaluate --prompt", "data check --label",
     "data convert --prompt", "probe --name"],
)  # fmt: skip
def test_a_text_of_bytes_that_are_no_utf8_is_refused(trifacet_code, words):
    code, told = trifacet_code(*words.split(), "caf\udce9")
    assert code == 2
    assert words.split()[-1] in told and "is not UTF-8 text" in told


ODD = ["", " ", "-", "--", "\x1b[31m", "\u202e", "\udce9", "a" * 300, "/dev/null", "/", ".", "loop/x", "../" * 99, "~",
       "=", ",", "a=b", "NaN", "-1", "1e400", "[[", "[red]x[/red]", "ｆ", "👩‍👧", "%s", "{}", "http://[", "x.yaml",
       "package.module:name", ":", "recipe.yaml", "rows.jsonl", "folder", "missing/below", "fifo"]  # fmt: skip
# What starts a server or loads a model is tried where it is refused; these would work on.
LASTING = {("review",)}
EXAMPLES = [15, pytest.param(3000, marks=pytest.mark.endurance)]  # each is a whole command


def arguments_of(draw):
    """A command with odd options and odd values, the more of them that exist the more is reached."""
    path = draw(st.sampled_from(sorted(set(COMMANDS) - LASTING)))
    said = list(path)
    options = [one for one in COMMANDS[path].params if one.param_type_name == "option" and one.name != "help"]
    values = st.sampled_from(ODD) | st.text(max_size=8).filter(lambda text: "\0" not in text)
    for parameter in COMMANDS[path].params:
        if parameter.param_type_name == "argument" or parameter.required:
            said += [parameter.opts[-1]] * (parameter.param_type_name == "option") + [draw(values)]
    for parameter in draw(st.lists(st.sampled_from(options), max_size=3)) if options else ():
        said.append(parameter.opts[0])
        if not getattr(parameter, "is_flag", False):
            said.append(draw(values))
    return said


@pytest.fixture
def odd_folder(tmp_path, monkeypatch, world, tiny_folder):
    import os

    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.yaml").write_text("extends: x.yaml\n")
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "b"}\n{"id": 1}\n[]\n')
    recipe_file(tmp_path, tmp_path / "out", world, tmp_path / "no-model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def check(trifacet_code, arguments):
    code, told = trifacet_code(*arguments)
    assert code in (0, 1, 2), (arguments, code, told)
    assert "Traceback" not in told and "unforeseen" not in told, (arguments, told)
    assert "\x1b" not in told and "\u202e" not in told, arguments
    if code == 2:
        assert sum(line.startswith("error:") for line in told.splitlines()) >= 1, (arguments, told)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_odd_options_are_no_traceback(trifacet_code, odd_folder, examples):
    @settings(max_examples=examples)
    @given(st.data())
    def fuzz(data):
        check(trifacet_code, arguments_of(data.draw))

    fuzz()


SECTIONS = ["name", "output", "seed", "seeds", "model.path", "model.tiny", "model.device", "model.threads", "data.root",
            "data.sft", "data.test", "data.format", "data.images", "data.workers", "data.world.sft", "rejected.image.t",
            "rejected.image.strategy", "sft", "sft.max_steps", "align", "align.mcm.objective", "align.mcm.beta",
            "align.mcm.objective.base", "generate.beams", "generate.temperature", "sweep.learning_rates", "extends",
            "sources", "steps", "models", "x", "model", "data", ""]  # fmt: skip
VALUES = [*ODD, "2024-02-30", "!!int x", "yes", "&a [*a]", "{", "'", "{a: 1}", "[1, 2]", "null", "0x_", "9" * 5000,
          '"\\0"', "*a", "-1", "4294967296", "meta", "1e-40", "[[[[", "{base: dpo, drop: [rpo]}", "? [a]"]  # fmt: skip


@pytest.mark.parametrize("examples", EXAMPLES)
def test_odd_recipes_are_no_traceback(trifacet_code, odd_folder, examples):
    @settings(max_examples=examples)
    @given(st.sampled_from(["run", "sft", "align", "build", "rewards"]),
           st.lists(st.tuples(st.sampled_from(SECTIONS), st.sampled_from(VALUES)), min_size=1, max_size=3))  # fmt: skip
    def fuzz(verb, sets):
        options = [part for key, value in sets for part in ("--set", f"{key}={value}")]
        model = ["--model", "no-model"] if verb == "rewards" else []
        check(trifacet_code, [verb, "recipe.yaml", *model, *options])

    fuzz()


@pytest.mark.endurance
def test_thousands_of_odd_options_and_recipe_files_are_no_traceback(trifacet_code, odd_folder):
    """Bytes at random in the recipe itself, in one process."""
    draw = random.Random(19)
    sound = (odd_folder / "recipe.yaml").read_bytes()
    for _ in range(3000):
        changed = bytearray(sound)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(changed))
            new = draw.choice([*VALUES, *string.punctuation, "\n", "  "]).encode("utf-8", "surrogatepass")
            changed[place : place + draw.randint(0, 6)] = new
        (odd_folder / "odd.yaml").write_bytes(bytes(changed))
        check(trifacet_code, [draw.choice(["run", "build", "sft"]), "odd.yaml"])
