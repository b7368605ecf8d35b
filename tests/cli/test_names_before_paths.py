"""``[NAME=]PATH``: one rule in every command that takes it."""

import re

import pytest

COMMANDS = ("compare", "evaluate", "review")


@pytest.fixture
def twice(tmp_path, monkeypatch, trifacet):
    """A command that is given one argument twice: where it can be read, the error says what the model is called."""
    monkeypatch.chdir(tmp_path)
    for name in ("m.jsonl", "v/m.jsonl", "k=v/m.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"id": "1", "x": 1.0}\n')
    needed = {"compare": (), "evaluate": ("--data", "m.jsonl", "--output", "out"), "review": ("--data", "m.jsonl")}

    def run(command, argument):
        if command == "review":
            pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")
        return trifacet(command, argument, argument, *needed[command])

    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("m.jsonl", "m"),
        ("a=m.jsonl", "a"),
        (" a =m.jsonl", "a"),
        ("k=v/m.jsonl", "m"),  # it exists as it stands, and so does v/m.jsonl
        ("a=k=v/m.jsonl", "a"),
    ],
)
def test_what_exists_as_it_stands_has_no_name_before_it(twice, command, argument, name):
    code, _, err = twice(command, argument)
    assert code == 2 and re.search(rf"models are called '(?:[^']*/)?{name}(\.jsonl)?'", err), err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("argument", ["=m.jsonl", " =m.jsonl", "a=", "a= "])
def test_a_sign_without_a_name_or_a_path_is_told(twice, command, argument):
    code, _, err = twice(command, argument)
    place = "MODEL" if command == "evaluate" else "PATH"
    assert code == 2 and f"{argument!r}: write NAME={place}, or {place} alone" in err, err
