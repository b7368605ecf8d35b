"""The known benchmarks through the commands, with their own questions: official numbers from answers in every form."""

import csv
import gzip
import json
from pathlib import Path

import pytest
from PIL import Image
from toy_benchmark import judge_file, lines

from trifacet.benchmarks.answers import read_answers
from trifacet.benchmarks.registry import find_benchmark
from trifacet.demo.endpoint_server import ScriptedEndpoint

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
PARTS = ("adversarial", "popular", "random")


def shared(name):
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"no official data at {folder}")
    return folder


@pytest.fixture(scope="module")
def pope():
    """POPE's folder, its items, and its simulated answers by item id."""
    folder = shared("pope")
    items = find_benchmark("pope").read(folder)
    said = {}
    for part in PARTS:
        with gzip.open(folder / f"simulated_answers_{part}.jsonl.gz", "rt") as file:
            own = [item for item in items if item.id.startswith(f"{part}/")]
            said |= {item.id: json.loads(line)["answer"] for item, line in zip(own, file, strict=True)}
    return folder, items, said


def official(folder):
    """Part -> (the four counts, accuracy), as POPE's own program printed them."""
    printed = json.loads((folder / "official_evaluate_stdout.json").read_text())
    read = {}
    for part, text in printed.items():
        counts, accuracy = text.splitlines()[1:3]
        read[part] = list(map(int, counts.split())), float(accuracy.split()[1])
    return read


def test_popes_own_answers_give_its_own_numbers(trifacet, pope):
    folder, _, _ = pope
    files = [word for part in PARTS for word in ("--answers", folder / f"simulated_answers_{part}.jsonl.gz")]
    code, out, _ = trifacet("benchmarks", "score", "pope", "--data", folder, *files, "--json", "-")
    told = json.loads(out)
    assert code == 0 and told["official"] and told["items"] == 9000
    for part, (counts, accuracy) in official(folder).items():
        assert [told["counts"][f"{part}/{name}"] for name in ("tp", "fp", "tn", "fn")] == counts
        assert told["metrics"][f"{part}/accuracy"]["value"] == accuracy


def test_lmms_evals_samples_of_pope_are_matched_in_their_order(pope, tmp_path):
    _, items, said = pope
    ordered = [item for part in PARTS for item in items if item.id.startswith(f"{part}/")]
    rows = [
        {"doc_id": number, "target": item.extra["label"], "filtered_resps": [said[item.id]], "doc_hash": "0",
         "pope_accuracy": {"question_id": item.id.split("/")[1]},
         "input": f"{item.question}\nAnswer the question using a single word or phrase."}
        for number, item in enumerate(ordered)
    ]  # fmt: skip
    path = tmp_path / "20260101_000000_samples_pope.jsonl"
    path.write_text(lines(rows))
    assert read_answers(find_benchmark("pope"), items, [path]).answers == said


def test_vlmevalkits_pope_asks_each_question_about_a_picture_once(pope, tmp_path):
    _, items, _ = pope
    rows = {}
    for item in items:
        rows.setdefault((item.image, item.question), []).append(item.id.split("/")[0])
    assert len(rows) == 5127, "as many as VLMEvalKit's file has"
    path = tmp_path / "Model_POPE.tsv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerow(["index", "question", "answer", "category", "image_path", "prediction"])
        for number, ((image, question), parts) in enumerate(rows.items()):
            writer.writerow([number, question, "Yes", ",".join(parts), image, f"{image} {question}"])
    found = read_answers(find_benchmark("pope"), items, [path])
    assert found.answers == {item.id: f"{item.image} {item.question}" for item in items}


def test_a_model_runs_on_pope(trifacet, pope, tmp_path, tiny_folder):
    folder, items, _ = pope
    images = tmp_path / "val2014"
    images.mkdir()
    for name in {item.image for item in items[:7]}:
        Image.new("RGB", (40, 30), "red").save(images / name)
    command = ["benchmarks", "run", "pope", "--data", folder, "--images", images, "--model", tiny_folder]
    command += ["--output", tmp_path / "result", "--limit", 7, "--max-new-tokens", 4, "--json", "-"]
    code, out, _ = trifacet(*command)
    told = json.loads(out)
    assert code == 0 and told["items"] == 7 and told["of"] == 9000 and not told["official"]
    assert sum(told["counts"].values()) == 7


def test_hallusionbenchs_own_file_and_vlmevalkits_names(trifacet, tmp_path):
    folder = shared("hallusionbench")
    benchmark = find_benchmark("hallusionbench")
    items = benchmark.read(folder)
    rows = json.loads((folder / "HallusionBench.json").read_text())
    answers = {item.id: f"Yes, {item.id}" for item in items}
    filled = [row | {"model_prediction": answers[item.id]} for row, item in zip(rows, items, strict=True)]
    own = tmp_path / "HallusionBench_result.json"
    own.write_text(json.dumps(filled[::-1]))
    assert read_answers(benchmark, items, [own]).answers == answers
    named = tmp_path / "Model_HallusionBench.json"
    shown = [(row, item) for row, item in zip(rows, items, strict=True) if item.image]
    keys = ("category", "subcategory", "visual_input", "set_id", "figure_id", "question_id")
    named.write_text(
        json.dumps(
            [
                {"index": "_".join(row[key] for key in keys), "question": row["question"], "answer": "Yes",
                 "category": row["category"], "l2-category": row["subcategory"], "prediction": answers[item.id]}
                for row, item in shown
            ]
        )
    )  # fmt: skip
    assert read_answers(benchmark, items, [named]).answers == {item.id: answers[item.id] for _, item in shown}
    samples = tmp_path / "20260101_000000_samples_hallusion_bench_image.jsonl"  # lmms-eval asks these alone too
    samples.write_text(
        lines(
            {"doc_id": number, "input": row["question"], "filtered_resps": [answers[item.id]]}
            for number, (row, item) in enumerate(shown)
        )
    )
    found = read_answers(benchmark, items, [samples])
    assert found.answers == {item.id: answers[item.id] for _, item in shown} and "by order" in found.how[0]
    command = ["benchmarks", "score", "hallusionbench", "--data", folder, "--answers", own]
    assert "needs a judge (the original took gpt-4)" in trifacet(*command)[2]
    code, out, _ = trifacet(*command, "--set", "matching=words", "--json", "-")
    told = json.loads(out)
    assert code == 0 and told["items"] == 1129 and told["judge"] is None and not told["official"]


def test_ambers_responses_by_their_numbers():
    folder = shared("amber")
    benchmark = find_benchmark("amber")
    items = benchmark.read(folder / "data")
    found = read_answers(benchmark, items, [folder / "amber_synth_responses.json"])
    assert len(found.answers) == len(items) and "by their 'id'" in found.how[0]


def test_mmhal_is_judged_from_its_own_template(trifacet, tmp_path):
    folder = shared("mmhal")
    rows = json.loads((folder / "mmhal-bench_answer_template.json").read_text())
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps([row | {"model_answer": f"answer {number}"} for number, row in enumerate(rows)]))

    def judge(messages):
        text = messages[-1]["content"]
        return "no idea" if '"answer 5"' in text else json.dumps({"reason": "so", "rating": 4})

    with ScriptedEndpoint(judge, model="gpt-4-0314") as endpoint:
        path = judge_file(tmp_path, endpoint, reparse=1)
        command = ["benchmarks", "score", "mmhal", "--data", folder, "--answers", answers, "--judge", path]
        code, out, _ = trifacet(*command, "--json", "-")
    told = json.loads(out)
    assert code == 0 and told["metrics"]["score"]["value"] == 4.0 and told["judge"]["unparsed"] == 1
    assert told["counts"]["rated"] == 95 and "1 of 96 answers have no verdict" in told["metrics"]["score"]["reason"]
