"""YAML of recipes: what it means, and what no text of it can do: take long, take much memory, end in a traceback."""

import resource
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trifacet.base.errors import TrifacetError
from trifacet.settings.reading import MAX_BYTES, read_values
from trifacet.settings.yaml_values import as_yaml, read_yaml
from trifacet.training.recipe import load_recipe

SECONDS = 8  # 2 on a machine that does nothing else
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{below}'] * 9)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def read(text):
    return read_yaml(text, "x.yaml")


@pytest.mark.parametrize(
    ("spelt", "value"),
    [
        ("1e-4", 1e-4),
        ("2E5", 2e5),
        ("-1.5e-3", -1.5e-3),
        (".5", 0.5),
        ("3.", 3.0),
        ("50_000_000", 50_000_000),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b101", 5),
        ("-7", -7),
        (".inf", float("inf")),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("Null", None),
        # words, which are something else in YAML 1.1
        ("yes", "yes"),
        ("off", "off"),
        ("2024-02-30", "2024-02-30"),
        ("0000-01-01", "0000-01-01"),
        ("2024-01-01 00:00:00+99:99", "2024-01-01 00:00:00+99:99"),
        ("1:1:1", "1:1:1"),
        ("1:1.5", "1:1.5"),
        ("0x_", "0x_"),
        ("0b_", "0b_"),
        ("0_", "0_"),
        ("._", "._"),
        ("-._1", "-._1"),
        ("017", "017"),
        ("nan", "nan"),
        ("1-2", "1-2"),
        ("'7'", "7"),
        ('"1e5"', "1e5"),
    ],
)
def test_what_a_word_means(spelt, value):
    found = read(f"a: {spelt}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_merges_keep_their_meaning():
    text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], a: 5}\nw: {c: 6, <<: *y}\n"
    assert read(text) == yaml.safe_load(text)
    assert read(text)["z"] == {"a": 5, "b": 2, "c": 4}
    assert read("'<<': 1") == {"<<": 1}
    assert read("? a\n: b\nnull: c\n1: d\n") == {"a": "b", "null": "c", "1": "d"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!binary a", "the tag 'tag:yaml.org,2002:binary' means nothing here"),
        ("b:\n  a: !!float x", "line 2, column 6, key 'b.a': the tag"),
        ("a: !!timestamp", "the tag"),
        ("a: !!python/object:os.system x", "the tag"),
        ("a: !!map {}", "the tag"),
        ("a: " + "[" * 500, "more than 40 lists or mappings within each other"),
        ("a: " + "[" * 500 + "]" * 500, "more than 40"),
        ("seed: " + "9" * 5000, "key 'seed': a number of 5000 characters"),
        ("seed: 0x" + "f" * 5000, "key 'seed': a number of 5002 characters"),
        ("a: &a {<<: *a}", "*a stands inside what it names"),
        ("a: &a [*a]", "*a stands inside what it names"),
        ("a: *b", "*b names nothing before it"),
        ("<<: [1]", "what is merged is a mapping"),
        (BOMB, "more than 20000 values, aliases written out"),
        ("a: [" + "1," * 30_000 + "]", "more than 20000 values"),
        ("? [a]\n: b", "a key is a word"),
        ("? {a: b}\n: c", "a key is a word"),
        ("a: 1\na: 2", "line 2, column 1, key 'a': this key stands here twice"),
        ("a: 1\n---\nb: 1", "a second document"),
        ('a: "x\\0"', "key 'a': holds a NUL or half a character"),
        ('a: "\\ud800"', "holds a NUL or half a character"),
        ("a: \0", "not YAML"),
        ("a: \x1b[31m", "not YAML"),
        ("a: \ud800", "not YAML"),
        ("a: [1", "not YAML"),
        ("a: %", "not YAML"),
    ],
)
def test_what_a_recipe_cannot_say(text, message):
    began = time.process_time()
    with pytest.raises(TrifacetError) as caught:
        read(text)
    assert str(caught.value).startswith("x.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "unit",
    ["- a\n", "[", "? ", "&a ", "*a,", "'", '"\\', "a: {", "%\n", "\n", "|\n", "é", "[a,b],", "{a: b},"],
)  # fmt: skip
def test_the_largest_recipe_is_read_in_bounds_of_time_and_memory(tmp_path, unit):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "x.yaml"
    path.write_bytes(f"- a: [{unit * MAX_BYTES}".encode()[:MAX_BYTES].decode("utf-8", "ignore").encode())
    began = time.process_time()
    with pytest.raises(TrifacetError):
        read_values(path)
    assert time.process_time() - began < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_a_larger_recipe_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(TrifacetError, match=r"x\.yaml: is larger than"):
        read_values(tmp_path / "x.yaml")


@pytest.mark.parametrize("parent", ["/dev/zero", "fifo", ".", "x.yaml", "a" * 300, "loop", "{a: 1}", "[x]", "7"])
def test_what_cannot_be_extended_is_one_line(tmp_path, parent):
    import os

    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "x.yaml").write_text(f"extends: {parent}\n")
    with pytest.raises(TrifacetError) as caught:
        load_recipe(tmp_path / "x.yaml")
    assert "\n" not in str(caught.value)


ODD = ["yes", "no", "1e5", "1e-4", "0o17", "0x1", "017", "2024-01-01", "1:30", "~", "null", ".5", "12e4", "<<", "="]
WORDS = st.text() | st.sampled_from(ODD)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("end", ["\x85", "\u2028", "\u2029", "\n", "\r"])
def test_ends_of_lines_are_kept(end):
    values = {f"{end}a{end}": [f"b {end} c", end]}
    assert read(as_yaml(values)) == values


@given(st.dictionaries(WORDS, VALUES, max_size=2))
def test_what_is_written_reads_back_the_same(values):
    """Or is refused: a NUL, half a character, a number too long."""
    try:
        found = read(as_yaml(values))
    except TrifacetError:
        assert any(sign in repr(values) for sign in ("\\x00", "\\ud", "\\x", "\\u", "e+"))
        return
    assert found == values
    assert repr(found) == repr(values)


@given(st.text("[]{}:,&*!|>'\"%@`#?-<=.~ \n\tab01_xoe+\\", max_size=60))
def test_no_text_is_a_traceback(text):
    try:
        read(text)
    except TrifacetError as error:
        assert "\n" not in str(error)
