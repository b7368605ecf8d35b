"""METEOR 1.5 is the Java program's, of a set too; and the program is ended whatever it does."""

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from trifacet.base.errors import TrifacetError
from trifacet.metrics import meteor_jar
from trifacet.metrics.coco import Tokenized
from trifacet.metrics.meteor_jar import meteor, meteor_measure

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
TWO = Tokenized(("1", "2"), [["a", "dog"], []], [[["a", "dog"], ["dogs"]], [["a", "cat"]]])

needs_data = pytest.mark.skipif(not (DATA / "meteor").is_dir(), reason="no ../shared/data/meteor")


@needs_data
def test_the_score_from_statistics_is_the_programs_per_caption_and_for_the_set():
    full = json.loads(gzip.decompress((DATA / "meteor" / "meteor_jar_variants_fakecap.json.gz").read_bytes()))["full"]
    sums = np.array([[float(value) for value in line.split()] for line in full["stats"]])
    assert meteor(sums) == pytest.approx(100 * np.array(full["per"]), abs=1e-9)
    assert meteor(sums.sum(axis=0)) == pytest.approx(100 * full["corpus"], abs=1e-9)
    assert meteor(np.zeros(23)) == 0


def program(tmp_path, code):
    """A stand-in for Java: started with the same arguments, it does what ``code`` says."""
    file = tmp_path / "java"
    file.write_text(f"#!{sys.executable}\nimport sys, time\n{code}\n")
    file.chmod(0o755)
    return {"java": str(file), "jar": tmp_path / "meteor.jar"}


def test_captions_are_asked_in_the_programs_own_lines(tmp_path):
    """The program itself, which takes ten seconds to start, is asked by `make parity`."""
    found = Tokenized(("1", "2"), [["a", "dog"], []], [[["a", "|||", "dog"], ["dogs"]], [["a", "cat"]]])
    code = """
seen = open(__file__ + ".seen", "w")
for line in sys.stdin:
    print(line, end="", file=seen, flush=True)
    print("2 2 1 1 1 1 1 1" + " 0" * 12 + " 1 2 2", flush=True)
"""
    measure = meteor_measure(found, **program(tmp_path, code))
    lines = (tmp_path / "java.seen").read_text().splitlines()
    assert lines == ["SCORE ||| a dog ||| dogs ||| a dog", "SCORE ||| a cat ||| "]
    assert measure.units == ("1", "2")
    assert measure.of_units().tolist() == pytest.approx([100, 100])


def test_a_caption_that_equals_its_reference_adds_no_chunk_to_the_set(tmp_path):
    """The statistics and the sets' scores are those of the program (METEOR 1.5, SCORE and EVAL)."""
    same = "3 3 1 1 2 2 1 1" + " 0" * 12 + " 1 3 3"  # a dog runs, twice
    other = "6 5 3 3 2 2 3 3" + " 0" * 12 + " 5 5 5"  # the cat sits on a mat, a cat on the mat
    code = f"for line in sys.stdin: print({same!r} if 'dog' in line else {other!r}, flush=True)"
    dog, cat = ["a", "dog", "runs"], ["the", "cat", "sits", "on", "a", "mat"]
    mixed = meteor_measure(Tokenized(("1", "2"), [dog, cat], [[dog], [cat]]), **program(tmp_path, code))
    assert mixed.of_units() == pytest.approx([100, 38.095238095238093])
    assert mixed.value == pytest.approx(44.141591644223804)
    alike = meteor_measure(Tokenized(("1", "2"), [dog, dog], [[dog], [dog]]), **program(tmp_path, code))
    assert alike.value == pytest.approx(100)


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("sys.exit(1)", "failed"),
        ("input(); print('Error: no')", "answered 'Error: no'"),
        ("input(); print('1 2 3', flush=True); time.sleep(60)", "answered '1 2 3'"),
        ("print(*range(23), flush=True)", "failed"),
        ("input(); print('x ' * 23)", "answered"),
    ],
)
def test_a_program_that_fails_is_ended_and_said(code, named, tmp_path):
    start = time.monotonic()
    with pytest.raises(TrifacetError, match=named):
        meteor_measure(TWO, **program(tmp_path, code))
    assert time.monotonic() - start < 30


def test_a_program_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(meteor_jar, "START_SECONDS", 0.3)
    monkeypatch.setattr(meteor_jar, "CAPTION_SECONDS", 0.0)
    with pytest.raises(TrifacetError, match="did not answer within"):
        meteor_measure(TWO, **program(tmp_path, "time.sleep(60)"))


def test_without_java_or_jar_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(meteor_jar.shutil, "which", lambda name: None)
    with pytest.raises(TrifacetError, match="apt-get install default-jre"):
        meteor_measure(TWO)
    with pytest.raises(TrifacetError, match="cannot be started"):
        meteor_measure(TWO, java=str(tmp_path / "none"), jar=tmp_path / "meteor.jar")
    monkeypatch.setattr(meteor_jar, "find_jar", lambda: None)
    with pytest.raises(TrifacetError, match="pip install pycocoevalcap"):
        meteor_measure(TWO, java="java")
