"""A valid small file of every kind that a user may name, and the reader that it belongs to."""
# ruff: noqa: E501 - one kind a line

import base64
import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trifacet.base.errors import DataError


class Kind(NamedTuple):
    """A kind of file: its name, its bytes, what reads it; files that have to lie beside it."""

    name: str
    content: bytes
    read: Callable[[Path], object]
    beside: Mapping[str, bytes] = MappingProxyType({})


def _samples(format):
    from trifacet.data.formats import read_samples

    return lambda path: [read_samples(path, kind, format) for kind in ("preference", "test")]


def _build(**settings):
    from trifacet.building.settings import Source
    from trifacet.building.sources import read_source

    return lambda path: list(read_source(Source(path=str(path), **settings), 0, lambda bad: str(bad.problem)))


def _lint(path):
    from trifacet.lint.linting import LintCounts, LintSettings, lint_documents
    from trifacet.lint.sources import documents

    def told(problem):
        raise problem

    return list(lint_documents(list(documents([path])), LintSettings(), LintCounts(), told))


def _benchmark(name):
    from trifacet.benchmarks.registry import find_benchmark

    benchmark = find_benchmark(name)
    return lambda path: benchmark.read(path.parent)


def _benchmark_with_pictures(name, up=0):
    """Its pictures are kept beside the file; ``up``: so many folders above it the benchmark's begins."""
    from trifacet.benchmarks.registry import find_benchmark

    def read(path):
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = str(path.parent / "cache")
        try:
            find_benchmark(name).read(path.parents[up])
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            os.environ |= {} if before is None else {"XDG_CACHE_HOME": before}

    return read


def _objects(path):
    from trifacet.benchmarks.objects.ground_truth import annotation_files, build_ground_truth

    return build_ground_truth(*annotation_files(path.parent), path.parent / "synonyms.txt")


def _answers(path):
    from trifacet.benchmarks.answers import read_answers
    from trifacet.benchmarks.benchmark import Benchmark, Item, Outcome

    items = [
        Item(f"random/{n}", f"Is there a {what} in the image?", f"{n}.jpg") for n, what in enumerate(("dog", "cat"))
    ]
    return read_answers(
        Benchmark("toy", "", "", "", [], "", lambda data: items, lambda a, o: Outcome([])), items, [path]
    )


def _checked(path):
    from trifacet.data.checking import check_file
    from trifacet.data.shards import written_kind

    return check_file(path, written_kind(path) or "preference").as_dict()


def _compared(path):
    from trifacet.evaluation.entries import read_entries

    return read_entries([str(path)], references=path.parent / "references.jsonl")


def _unpacked(path):
    from trifacet.data.shards import unpack_images

    return list(unpack_images(path.parent, path.parent / "out"))


def _converted(path):
    from trifacet.data.formats import read_samples, write_samples

    samples = read_samples(path, "preference")
    return [write_samples(samples, path.with_name(f"out.{end}"), format, "preference")
            for format, end in (("trifacet", "parquet"), ("trl", "jsonl"))]  # fmt: skip


def _lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _table(delimiter, *rows):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(
        [list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    )
    return text.getvalue().encode()


def _parquet(rows, **settings):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, **settings)
    return file.getvalue()


def _workbook(*rows):
    from openpyxl import Workbook

    book, file = Workbook(), io.BytesIO()
    for row in (list(rows[0]), *(list(row.values()) for row in rows)):
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def _picture():
    file = io.BytesIO()
    Image.new("RGB", (40, 40), "teal").save(file, "PNG")
    return file.getvalue()


def _vectors(path):
    from trifacet.probing.vectors import read_vectors

    return read_vectors(path)


def _vector_bytes():
    from safetensors.numpy import save

    states = np.arange(6, dtype=np.float32).reshape(2, 3)
    return save({"generated": states, "reference": states}, metadata={"model": "m", "ids": '["a", "b"]'})


def _probe(path):
    from trifacet.probing.document import read_document

    return read_document(path)


def _comparison(path):
    from trifacet.base.json_text import read_json
    from trifacet.comparing.reading import read_comparison

    return read_comparison(read_json(path, 1_000_000), path)


def _prompt(path):
    from trifacet.llm.prompts import load_prompt

    return load_prompt("mmhal", path)


def _gate_probes(path):
    from trifacet.evolving.probes import read_probes

    return read_probes(path, path.parent)


def kinds() -> dict[str, Kind]:
    """Every kind of file, by a name."""
    from trifacet.benchmarks.known.mme import SUBTASKS
    from trifacet.data.tables import peek
    from trifacet.describing.wordpress.plan import read_plan
    from trifacet.llm.prompts import load_prompt
    from trifacet.metrics.inputs import read_predictions, read_targets

    pair = {"id": "a", "image": "a.png", "context": "Ein Post ü", "response": "A dog.", "rejected_responses": ["A cat."],
            "rejected_images": ["b.png"], "extra": {"n": 1, "deep": [{"x": [1.5, None, True]}]}}  # fmt: skip
    mcm = {"question": "Describe.\ncontext: A post", "chosen": "A dog.", "rejected": "A cat.", "image_path": "a.png",
           "text": json.dumps({"question": "Describe.\ncontext: A post"})}  # fmt: skip
    user, said = {"role": "user", "content": "Describe.\nContext:\nA post"}, {"role": "assistant", "content": "A dog."}
    parts = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe."}]}]
    trl = {"images": ["a.png"], "prompt": parts, "chosen": [said], "rejected": [said | {"content": "A cat."}]}
    swift = {
        "messages": [user | {"content": "<image>Describe."}, said],
        "images": ["a.png"],
        "rejected_response": "A cat.",
    }
    factory = {"conversations": [{"from": "human", "value": "<image>Describe."}], "images": ["a.png"],
               "chosen": {"from": "gpt", "value": "A dog."}, "rejected": {"from": "gpt", "value": "A cat."}}  # fmt: skip
    info = json.dumps({"d": {"file_name": "d.jsonl", "formatting": "sharegpt", "ranking": True,
                             "columns": {"messages": "conversations", "chosen": "chosen"}, "tags": {"role_tag": "from"}}}).encode()  # fmt: skip
    text = {"key": "img@0", "picture": "a.png", "before": None, "alt": "A dog", "suggestion": ""}
    update = {
        "post": 7,
        "type": "post",
        "title": "A",
        "field": "content",
        "digest": "0" * 64,
        "after": "1" * 64,
        "texts": [text],
    }
    plan = {"kind": "trifacet-wordpress-plan", "version": 1, "site": "https://example.org", "updates": [update]}
    post = {"id": 7, "text": "A post", "alt_text": "A dog.", "image": "a.png", "more": 1.5}
    tweet = {"id_str": "1", "full_text": "Look https://t.co/a", "extended_entities": {"media": [
        {"type": "photo", "media_url_https": "https://x.example/a.jpg", "ext_alt_text": "A dog."}]}}  # fmt: skip
    page = {"data": [{"id": "1", "text": "Look", "attachments": {"media_keys": ["3_1"]}}],
            "includes": {"media": [{"media_key": "3_1", "type": "photo", "url": "https://x.example/a.jpg", "alt_text": "A"}]}}  # fmt: skip
    answers = [{"id": f"random/{n}", "question": f"Is there a {what} in the image?", "image": f"{n}.jpg", "answer": "Yes"}
               for n, what in enumerate(("dog", "cat"))]  # fmt: skip
    lmms = [{"doc_id": n, "doc": {"question": row["question"], "image": row["image"]}, "input": row["question"],
             "resps": [["Yes"]], "filtered_resps": ["Yes"]} for n, row in enumerate(answers)]  # fmt: skip
    coco = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "A dog."}]}
    instances = {"categories": [{"id": 1, "name": "dog"}], "annotations": [{"image_id": 1, "category_id": 1}]}
    synonyms, objects = b"dog, puppy\ncat, kitty\n", b'{"139": ["dog"], "285": ["cat"]}'
    references = {"references.jsonl": _lines({"id": "a", "texts": ["A dog runs."]}, {"id": "b", "text": "A cat."})}
    shard = [
        {
            "id": "a",
            "image": "x/a.png",
            "context": "p",
            "response": "A dog.",
            "extra": '{"n": [1]}',
            "image_bytes": _picture(),
        }
    ]
    page_html = b'<!doctype html><p>Post<figure><img src="a.png" alt="A dog runs"><figcaption>Dog</figcaption></figure><a href="#"><svg role="img"><title>x</title></svg></a>'
    hallusion = {"category": "VD", "subcategory": "chart", "set_id": "0", "figure_id": "1", "question_id": "0", "visual_input": "1",
                 "gt_answer": "1", "question": "Is it?", "gt_answer_details": "Yes.", "filename": "./VD/a.png"}  # fmt: skip
    amber = {"annotations.json": json.dumps([{"id": 1, "type": "generative", "truth": ["dog"], "hallu": ["cat"]}]).encode(),
             "relation.json": b'{"dog": ["puppy"], "cat": []}', "safe_words.txt": b"dog\n",
             "query/query_all.json": b'[{"id": 1, "image": "a.jpg", "query": "Describe."}]'}  # fmt: skip
    wild = {"context.jsonl": _lines({"image": "a.jpg", "caption": ["A dog."]}),
            "answers_gpt4.jsonl": _lines({"question_id": 1, "text": "A dog."}),
            "questions.jsonl": _lines({"question_id": 1, "image": "a.jpg", "text": "What?", "category": "conv"})}  # fmt: skip
    mmhal = [{"question_type": "attribute", "image_id": "a", "image_src": "https://x.example/a.jpg", "image_content": ["dog"],
              "question_topic": "animal", "question": "What?", "gt_answer": "A dog.", "model_answer": ""}]  # fmt: skip
    ocr = [
        {
            "type": "Regular Text Recognition",
            "dataset_name": "IIIT5K",
            "answers": ["dog"],
            "question": "What?",
            "image_path": "a.jpg",
        }
    ]
    textvqa = {"data": [{"question_id": 1, "question": "What?", "image_id": "a", "answers": ["dog"] * 10}]}
    vet = {"v1_0": {"imagename": "a.png", "question": "What?", "answer": "A dog", "capability": ["ocr", "rec"]}}
    star = {"index": 0, "question": "Which?", "answer": "A", "category": "math", "l2_category": "geometry"}
    mme = {
        f"eval_tool/Your_Results/{name}.txt": b"a.jpg\tIs it a dog?\tYes\na.jpg\tIs it a cat?\tNo\n"
        for name in SUBTASKS
    }
    told = {"profile": "coco", "metric": "BLEU", "better": "higher", "units": 2,
            "values": {name: {"value": 0.5, "interval": [0.1, 0.9], "unofficial": ""} for name in "AB"}}  # fmt: skip
    comparison = {"models": ["B"], "baseline": "A", "metrics": [told], "notes": ["n"], "settings": {
        "draws": 10, "level": 0.95, "seed": 1, "interval": "bca", "pairs": "baseline", "correction": "holm"}, "differences": []}  # fmt: skip
    probe = {"model": "m", "data": "d", "samples": 1, "text": "generated", "seed": 1, "per_sample": [
        {"id": "a", "generated": "x", "reference": None, "attention": None, "noised": {}}]}  # fmt: skip
    prompt = load_prompt("mmhal").text.encode()

    def part(files, name):
        return files[name], {other: content for other, content in files.items() if other != name}

    found = {
        "samples.jsonl": Kind("d.jsonl", _lines(pair, {**pair, "id": "b"}), _samples("auto")),
        "samples.json": Kind("d.json", json.dumps([pair, {**pair, "id": "b"}], indent=1).encode(), _converted),
        "samples.parquet": Kind("d.parquet", _parquet([{**pair, "extra": '{"n": 1}'}]), _samples("trifacet")),
        "checked": Kind("d.jsonl", _lines(pair, {**pair, "id": "b"}), _checked, {"a.png": _picture()}),
        "mcm-dpo": Kind("d.json", json.dumps([mcm]).encode(), _samples("mcm-dpo")),
        "trl": Kind("d.jsonl", _lines(trl), _samples("trl")),
        "ms-swift": Kind("d.jsonl", _lines(swift), _samples("ms-swift")),
        "llama-factory": Kind("d.jsonl", _lines(factory), _samples("llama-factory"), {"dataset_info.json": info}),
        "dataset_info": Kind("dataset_info.json", info, lambda path: _samples("auto")(path.with_name("d.jsonl")), {"d.jsonl": _lines(factory)}),
        "shard": Kind("d.parquet", _parquet(shard), _unpacked),
        "posts.jsonl": Kind("d.jsonl", _lines(post, {**post, "id": 8}), _build()),
        "posts.json": Kind("d.json", json.dumps([post]).encode(), _build()),
        "posts.csv": Kind("d.csv", _table(",", post, post), _build()),
        "posts.tsv.gz": Kind("d.tsv.gz", gzip.compress(_table("\t", post), mtime=0), _build(format="table")),
        "posts.parquet": Kind("d.parquet", _parquet([post, post], compression="snappy"), _build()),
        "tweets": Kind("d.jsonl", _lines(tweet), _build()),
        "pages": Kind("d.json", json.dumps([page]).encode(), _build(format="twitter")),
        "peeked": Kind("d.csv", _table(",", post), peek),
        "predictions": Kind("d.jsonl", _lines({"id": "a", "text": "A dog."}, {"id": "b", "text": ""}), read_predictions),
        "results": Kind("d.json", json.dumps([{"image_id": 1, "caption": "A dog."}]).encode(), read_predictions),
        "annotations": Kind("d.json", json.dumps(coco, indent=1).encode(), read_targets),
        "references": Kind("d.jsonl", references["references.jsonl"], read_targets),
        "compared.texts": Kind("d.jsonl", _lines({"id": "a", "text": "A dog."}, {"id": "b", "text": "A cat."}), _compared, references),
        "compared.numbers": Kind("d.jsonl", _lines({"id": "a", "m": 0.5, "n": 3}, {"id": "b", "m": 1, "n": None}), _compared, references),
        "answers.jsonl": Kind("d.jsonl", _lines(*answers), _answers),
        "answers.tsv": Kind("d.tsv", _table("\t", *answers), _answers),
        "answers.xlsx": Kind("d.xlsx", _workbook(*answers), _answers),
        "lmms-eval": Kind("d.jsonl", _lines(*lmms), _answers),
        "comparison": Kind("d.json", json.dumps(comparison).encode(), _comparison),
        "vectors": Kind("d.safetensors", _vector_bytes(), _vectors),
        "probe": Kind("d.json", json.dumps(probe).encode(), _probe),
        "prompt": Kind("d.txt", prompt, _prompt),
        "wordpress.plan": Kind("d.json", json.dumps(plan).encode(), read_plan),
        "gate.probes": Kind("d.jsonl", _lines({"id": "p", "reference": "A dog", "answer": "A cat", "label": False, "image": "a.png"}), _gate_probes, {"a.png": _picture()}),
        "lint.jsonl": Kind("d.jsonl", _lines({"alt": "A dog", "context": "p"}), _lint),
        "lint.json": Kind("d.json", json.dumps([pair]).encode(), _lint),
        "lint.csv": Kind("d.csv", _table(";", {"alt": "A dog", "image": "a.png"}), _lint),
        "lint.parquet": Kind("d.parquet", _parquet([{"alt": "A dog"}]), _lint),
        "lint.html": Kind("d.html", page_html, _lint),
        "lint.md": Kind("d.md", b"# T\n\n![A dog](a.png 'x') [![](b.png)](c) <img src=a alt='b'>\n\n```\n![](x)\n```\n", _lint),
        "lint.txt": Kind("d.txt", b"A dog\nA cat\n", _lint),
        "pope": Kind("coco_pope_random.json", _lines({"question_id": 1, "image": "a.jpg", "text": "Is it?", "label": "yes"}), _benchmark("pope")),
        "chair.objects": Kind("objects.json", objects, _benchmark("chair"), {"synonyms.txt": synonyms}),
        "chair.images": Kind("images.txt", b"COCO_val2014_000000000139.jpg\n", _benchmark("chair"), {"synonyms.txt": synonyms, "objects.json": objects}),
        "chair.synonyms": Kind("synonyms.txt", synonyms, _benchmark("chair"), {"objects.json": objects}),
        "coco.instances": Kind("instances_a.json", json.dumps(instances).encode(), _objects, {"captions_a.json": json.dumps(coco).encode(), "synonyms.txt": synonyms}),
        "coco.captions": Kind("captions_a.json", json.dumps(coco).encode(), _objects, {"instances_a.json": json.dumps(instances).encode(), "synonyms.txt": synonyms}),
        "hallusionbench": Kind("HallusionBench.json", json.dumps([hallusion]).encode(), _benchmark("hallusionbench")),
        "mmhal": Kind("mmhal-bench_answer_template.json", json.dumps(mmhal).encode(), _benchmark("mmhal")),
        "ocrbench": Kind("OCRBench.json", json.dumps(ocr).encode(), _benchmark("ocrbench")),
        "textvqa": Kind("TextVQA_0.5.1_val.json", json.dumps(textvqa).encode(), _benchmark("textvqa")),
        "mm-vet": Kind("mm-vet.json", json.dumps(vet).encode(), _benchmark("mm-vet")),
        "mmstar": Kind("MMStar.tsv", _table("\t", {**star, "image": base64.b64encode(_picture()).decode()}), _benchmark_with_pictures("mmstar")),
        "mmstar.parquet": Kind("mmstar.parquet", _parquet([{**star, "image": {"bytes": _picture(), "path": "a.jpg"}}]), _benchmark_with_pictures("mmstar")),
        "object-halbench": Kind("obj_halbench_300_with_image.jsonl", _lines({"image_id": 139, "question": "What?"}), _benchmark("object-halbench"), {"synonyms_refine.txt": synonyms, "objects.json": objects}),
    }  # fmt: skip
    found |= {f"amber.{name}": Kind(name, content, _benchmark("amber"), others)
              for name in amber for content, others in [part(amber, name)] if "/" not in name}  # fmt: skip
    first = "eval_tool/Your_Results/existence.txt"
    found["mme"] = Kind(first, part(mme, first)[0], _benchmark_with_pictures("mme", up=2), part(mme, first)[1])
    found |= {f"llava-bench.{name}": Kind(name, content, _benchmark("llava-bench"), others)
              for name in wild for content, others in [part(wild, name)]}  # fmt: skip
    return found


def verdict(kind: Kind, content: bytes, folder: Path) -> DataError | None:
    """Write the file and those beside it into an empty folder, and read it; what is refused is given back."""
    for name, data in {**kind.beside, kind.name: content}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    try:
        kind.read(folder / kind.name)
    except DataError as error:
        return error
    return None
