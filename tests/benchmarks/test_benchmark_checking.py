"""Which benchmarks there are, what they need, and whether it is there."""

import json

import pytest
from toy_benchmark import QUESTIONS, make_toy, questions, source_of_page

from trifacet.base.errors import DataError, TrifacetError
from trifacet.benchmarks.registry import find_benchmark, known_benchmarks, load_benchmark


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path)


def test_every_file_of_known_is_a_benchmark_of_its_own_name():
    for name, (benchmark, what, *_) in known_benchmarks().items():
        assert name == benchmark.name == name.lower() and what
        assert benchmark.needs and benchmark.licence and benchmark.paper


def test_a_name_mistyped_is_told(toy):
    file, _ = toy
    with pytest.raises(TrifacetError, match=r"no benchmark 'colors' in .*; did you mean 'colours'"):
        find_benchmark("colors", file)


@pytest.mark.parametrize(
    ("source", "said"),
    [(None, "is no Python file"), ("1/0", "cannot be run .ZeroDivisionError"), ("x = 1", "holds no BENCHMARK")],
)
def test_a_file_that_is_no_benchmark(tmp_path, source, said):
    file = tmp_path / "mine.py"
    if source is not None:
        file.write_text(source)
    with pytest.raises(DataError, match=said):
        load_benchmark(file)


def test_list_and_show_say_what_goes_where(trifacet, toy):
    file, _ = toy
    code, out, _ = trifacet("benchmarks", "list", "--file", file, "--json", "-")
    row = json.loads(out)["benchmarks"][-1]
    assert code == 0 and (row["name"], row["judge"], row["licence"]) == ("colours", "gpt-4-0314", "CC0")
    code, out, _ = trifacet("benchmarks", "show", "colours", "--file", file)
    for told in ("questions.jsonl", "https://example.org/colours", "1.0", "pictures as the questions name them"):
        assert told in out
    assert trifacet("benchmarks")[0] == 0


def test_check_finds_all_in_place(trifacet, toy, photos):
    file, data = toy
    code, out, _ = trifacet("benchmarks", "check", "colours", "--file", file, "--data", data, "--images", photos)
    assert code == 0 and "1.0" in out and "4 of 4" in out and f"{QUESTIONS} items" in out


def test_check_tells_another_release_and_what_is_missing(trifacet, toy, tmp_path, photos):
    file, data = toy
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("0.png", "1.png"):
        (pictures / name).write_bytes((photos / name).read_bytes())
    (pictures / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (data / "questions.jsonl").open("a").write("\n")
    arguments = ["check", "colours", "--file", file, "--data", data, "--images", pictures]
    code, out, _ = trifacet("benchmarks", *arguments, "--json", "-")
    told = json.loads(out)
    assert code == 1 and told["files"][0]["state"] == "other" and told["files"][0]["release"] is None
    assert told["images"]["wanted"] == 4 and told["images"]["usable"] == 2
    assert told["images"]["missing"] == ["3.png"] and told["images"]["unreadable"][0]["image"] == "2.png"
    code, out, _ = trifacet("benchmarks", *arguments)
    assert code == 1 and "another release" in out and "missing: 3.png" in out and "unreadable: 2.png" in out
    assert f"looked for under {pictures}" in out


def test_check_without_the_files(trifacet, toy):
    file, data = toy
    (data / "questions.jsonl").unlink()
    code, out, _ = trifacet("benchmarks", "check", "colours", "--file", file, "--data", data)
    assert code == 1 and "missing; source: https://example.org/colours" in out
    code, _, err = trifacet("benchmarks", "check", "colours", "--file", file, "--data", data / "nowhere")
    assert code == 2 and "is no folder" in err
    code, _, err = trifacet("benchmarks", "score", "colours", "--file", file, "--data", data, "--answers", file)
    assert code == 2 and "questions.jsonl: no such file; get it from https://example.org/colours" in err


def test_a_path_out_of_the_images_folder_is_a_missing_picture(trifacet, tmp_path, photos):
    file, data = make_toy(tmp_path, rows=[questions(1)[0] | {"image": "../0.png"}])
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "0.png").write_bytes((photos / "0.png").read_bytes())
    code, out, _ = trifacet("benchmarks", "check", "colours", "--file", file, "--data", data, "--images", inside)
    assert code == 1 and "missing: ../0.png" in out


def test_prepare_makes_what_a_benchmark_says(trifacet, tmp_path, toy):
    file, data = toy
    code, _, err = trifacet("benchmarks", "prepare", "colours", "--file", file, "--data", data, "--source", data)
    assert code == 2 and "nothing to prepare" in err
    file.write_text(
        source_of_page()
        + "\nimport dataclasses\nfrom trifacet.benchmarks.benchmark import Preparation\n"
        + "make = lambda source, data, options: str((data / 'made').write_bytes(source.read_bytes()))\n"
        + "BENCHMARK = dataclasses.replace(BENCHMARK, prepare=Preparation('of a file', make))\n"
    )
    (tmp_path / "source").write_text("abc")
    arguments = ["prepare", "colours", "--file", file, "--data", data, "--source"]
    code, out, _ = trifacet("benchmarks", *arguments, tmp_path / "source")
    assert code == 0 and out.strip() == "3" and (data / "made").read_text() == "abc"
    assert trifacet("benchmarks", *arguments, tmp_path / "none")[0] == 2
    assert "of a file" in trifacet("benchmarks", "show", "colours", "--file", file)[1]
