"""Answers find their questions, whoever wrote the file; what can't be told apart is refused, never guessed."""

import csv
import dataclasses
import json

import pytest
from toy_benchmark import lines

from trifacet.base.errors import DataError
from trifacet.benchmarks.answer_files import same_question
from trifacet.benchmarks.answers import complete, read_answers
from trifacet.benchmarks.benchmark import Benchmark, Item, Need, Outcome

SUFFIX = "\nAnswer the question using a single word or phrase."
WORDS = [f"thing {number}" for number in range(70)]
PARTS = ("random", "popular", "adversarial")


def benchmark(items, **others):
    return Benchmark("toy", "toy", "none", "CC0", [], "", lambda data: items, lambda a, o: Outcome([]), **others)


def pope_like(size=60) -> list[Item]:
    """As POPE: parts whose questions partly agree, with numbers of their own; a picture is asked about six times."""
    return [
        Item(
            f"{part}/{number + 1}",
            f"Is there a {WORDS[(number * (1 + at) if number % 2 else number) % len(WORDS)]} in the image?",
            f"val/{number // 6:04d}.jpg",
            {"part": part},
        )
        for at, part in enumerate(PARTS)
        for number in range(size)
    ]


ITEMS = pope_like()
ANSWERS = {item.id: f"answer to {item.id}" for item in ITEMS}


def read(tmp_path, content, items=ITEMS, name="answers.jsonl", **others):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else lines(content), encoding="utf-8")
    return read_answers(benchmark(items, **others), items, [path])


@pytest.mark.parametrize("key", ["text", "answer"])
def test_ours_in_any_order(tmp_path, key):
    found = read(tmp_path, [{"id": item.id, key: ANSWERS[item.id]} for item in reversed(ITEMS)])
    assert found.answers == ANSWERS and "by their 'id'" in found.how[0]


def test_numbers_as_ids_are_names(tmp_path):
    """AMBER: [{"id": 1, "response": ...}]."""
    items = [Item(str(number), "Describe this image.", f"AMBER_{number}.jpg") for number in range(1, 6)]
    content = json.dumps([{"id": number, "response": f"r{number}"} for number in range(1, 6)])
    assert read(tmp_path, content, items).answers == {str(number): f"r{number}" for number in range(1, 6)}


def test_captions_by_image_id(tmp_path):
    """CHAIR: {"image_id", "caption"}."""
    items = [Item(str(number), "Describe.", f"COCO_val2014_{number:012d}.jpg") for number in (139, 285, 632)]
    rows = [{"image_id": number, "caption": f"c{number}"} for number in (632, 139, 285)]
    assert read(tmp_path, rows, items).answers == {"139": "c139", "285": "c285", "632": "c632"}


def test_the_benchmarks_own_rows_by_their_fields(tmp_path):
    """HallusionBench: the questions' own JSON with model_prediction; pictures are called alike in several folders."""
    items, rows = [], []
    for category, picture in (("VD", "./VD/illusion/0_1.png"), ("VD", "./VD/math/0_1.png"), ("VS", None)):
        for number in range(2):
            sub = picture.split("/")[2] if picture else "chart"
            extra = {"category": category, "subcategory": sub, "set_id": "0", "question_id": str(number)}
            items.append(Item(f"{category}/{sub}/{number}", "Are they the same?", picture, extra))
            rows.append(extra | {"question": "Are they the same?", "filename": picture, "gt_answer": "1",
                                 "model_prediction": f"says {category} {sub} {number}"})  # fmt: skip
    found = read(tmp_path, json.dumps(list(reversed(rows))), items, name="result.json")
    assert found.answers == {
        item.id: f"says {item.extra['category']} {item.extra['subcategory']} {item.extra['question_id']}"
        for item in items
    }
    assert "by the fields" in found.how[0]


@pytest.mark.parametrize("part", PARTS)
def test_popes_own_form_by_order_in_the_part_that_it_fits(tmp_path, part):
    """POPE: {"question", "answer"} in the order of one of its files."""
    own = [item for item in ITEMS if item.extra["part"] == part]
    found = read(tmp_path, [{"question": item.question, "answer": ANSWERS[item.id]} for item in own])
    assert found.answers == {item.id: ANSWERS[item.id] for item in own} and "by order" in found.how[0]
    with pytest.raises(DataError, match=r"120 of 180 items have no answer"):
        complete(ITEMS, found.answers, partial=False)
    assert len(complete(ITEMS, found.answers, partial=True)) == 60


def test_order_that_disagrees_or_fits_twice_is_refused(tmp_path):
    rows = [{"question": item.question, "answer": "yes"} for item in ITEMS[:60]]
    with pytest.raises(DataError, match=r"row 1: cannot be told apart by order|no item asks"):
        read(tmp_path, rows[1:30] + rows[:1] + rows[30:])
    with pytest.raises(DataError, match=r"row 1: no item asks 'What is this\?'"):
        read(tmp_path, [{"question": "What is this?", "answer": "yes"}, *rows[1:]])
    same = [Item(f"i{number}", "Describe.", None) for number in range(4)]
    with pytest.raises(DataError, match="cannot be told apart"):
        read(tmp_path, [{"question": "Describe.", "answer": "a"}] * 3, same)
    with pytest.raises(DataError, match="do not say which item"):
        read(tmp_path, [{"answer": "a"}] * 4, same)


def lmms_eval_rows(items, part_order=PARTS):
    """As evaluation_tracker.py writes them: no doc, the prompt as input, resps only where a filter changed them."""
    ordered = [item for part in part_order for item in items if item.extra["part"] == part]
    for number, item in enumerate(ordered):
        score = {"question_id": item.id.split("/")[1], "score": 1.0, "prediction": "yes", "ground_truth": "yes"}
        yield {
            "doc_id": number,
            "target": "yes",
            "filtered_resps": [ANSWERS[item.id] if number % 2 else "filtered"],
            "doc_hash": "a" * 64,
            "pope_accuracy": score,
            "pope_f1_score": score,
            "input": item.question + SUFFIX,
        } | ({} if number % 2 else {"resps": [[ANSWERS[item.id]]]})


def test_lmms_eval_by_order_in_blocks_and_its_own_order_of_parts(tmp_path):
    rows = list(lmms_eval_rows(ITEMS, ("adversarial", "popular", "random")))
    shuffled = rows[7:] + rows[:7]  # processes finish in any order: doc_id tells it
    found = read(tmp_path, shuffled, name="20260101_000000_samples_pope.jsonl")
    assert found.answers == ANSWERS and "in 3 blocks" in found.how[0]
    with pytest.raises(DataError, match="field 'doc_id': 3 occurs twice"):
        read(tmp_path, [*rows, rows[3]])


def test_lmms_eval_with_its_documents_by_their_fields(tmp_path):
    items = [Item(f"q{number}", "What is it?", None, {"set_id": str(number)}) for number in range(4)]
    rows = [{"doc_id": number, "doc": {"question": "What is it?", "set_id": str(3 - number)}, "target": "x",
             "arguments": ["What is it?", {"max_new_tokens": 16}], "resps": [[f"a{3 - number}"]],
             "filtered_resps": [f"a{3 - number}"]} for number in range(4)]  # fmt: skip
    assert read(tmp_path, rows, items).answers == {f"q{number}": f"a{number}" for number in range(4)}


def vlmevalkit_rows(items):
    """As VLMEvalKit's POPE: each question about a picture once, with the parts that ask it."""
    rows = {}
    for item in items:
        row = rows.setdefault((item.image, item.question), {"index": len(rows) + 1, "question": item.question,
                              "answer": "Yes", "category": item.extra["part"], "image_path": item.image.split("/")[1],
                              "prediction": f"says {item.image} {item.question}"})  # fmt: skip
        if item.extra["part"] not in row["category"]:
            row["category"] += f",{item.extra['part']}"
    return list(rows.values())


@pytest.mark.parametrize("kind", ["xlsx", "tsv", "json"])
def test_vlmevalkit_by_picture_and_question(tmp_path, kind):
    rows, path = vlmevalkit_rows(ITEMS), tmp_path / f"Model_POPE.{kind}"
    if kind == "xlsx":
        from openpyxl import Workbook

        book = Workbook()
        book.active.append(list(rows[0]))
        for row in rows:
            book.active.append(list(row.values()))
        book.save(path)
    elif kind == "tsv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t", quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text(json.dumps(rows, indent=4, ensure_ascii=False))
    found = read_answers(benchmark(ITEMS), ITEMS, [path])
    assert len(rows) < len(ITEMS) and "by picture and question" in found.how[0]
    assert found.answers == {item.id: f"says {item.image} {item.question}" for item in ITEMS}


def test_vlmevalkits_count_is_no_id_but_its_names_are(tmp_path):
    """AMBER's index counts from 0 where its ids count from 1: all answers would be off by one."""
    items = [Item(str(number), "Describe this image.", None) for number in range(1, 6)]
    counted = [{"index": number, "question": "Describe this image.", "prediction": f"p{number}"} for number in range(5)]
    assert read(tmp_path, counted, items).answers == {str(number + 1): f"p{number}" for number in range(5)}
    with pytest.raises(DataError, match="cannot be told apart"):
        read(tmp_path, counted[1:], items)
    named = [{"index": f"VD_x_1_{number}", "question": "Same?", "prediction": f"p{number}"} for number in (2, 0, 1)]
    items = [Item(f"i{number}", "Same?", None) for number in range(3)]
    found = read(tmp_path, named, items, aliases=lambda item: [f"VD_x_1_{item.id[1:]}"])
    assert found.answers == {"i0": "p0", "i1": "p1", "i2": "p2"}


def test_several_files_together(tmp_path):
    paths = []
    for part in PARTS:
        path = tmp_path / f"{part}.jsonl"
        own = [item for item in ITEMS if item.extra["part"] == part]
        path.write_text(lines({"question": item.question, "answer": ANSWERS[item.id]} for item in own))
        paths.append(path)
    assert read_answers(benchmark(ITEMS), ITEMS, paths).answers == ANSWERS
    with pytest.raises(DataError, match=r"answers 'random/1', .* again"):
        read_answers(benchmark(ITEMS), ITEMS, [*paths, paths[0]])


NEEDS = [Need(f"{part}.json", "", "", part=f"{part}/") for part in PARTS]
SHARING = [  # every other question is asked in all parts, as POPE's whose answer is yes
    Item(f"{part}/{number + 1}", f"Is there a thing {number + number % 2 * 100 * at}?", f"{number // 6:04d}.jpg")
    for at, part in enumerate(PARTS)
    for number in range(60)
]


def of_part(part, **more):
    """Rows that name their picture, as POPE's own with an answer; what the parts share they answer differently."""
    own = [item for item in SHARING if item.id.startswith(part)]
    return [{"image": item.image, "question": item.question, "answer": ANSWERS[item.id], **more} for item in own]


def read_files(tmp_path, files):
    paths = []
    for number, rows in enumerate(files):
        paths.append(tmp_path / f"{number}.jsonl")
        paths[-1].write_text(lines(rows))
    return read_answers(dataclasses.replace(benchmark(ITEMS), needs=NEEDS), SHARING, paths)


def test_rows_that_name_their_picture_answer_one_part(tmp_path):
    """Half of the questions are asked in all parts: those of the others are not answered by random's."""
    found = read_files(tmp_path, [of_part(part) for part in PARTS])
    assert found.answers == ANSWERS and "by picture and question, all of random" in found.how[0]
    alone = read_files(tmp_path, [of_part("popular")[::-1]])
    assert alone.answers == {name: text for name, text in ANSWERS.items() if name.startswith("popular/")}
    some = read_files(tmp_path, [of_part("adversarial")[:3]])
    assert list(some.answers) == ["adversarial/1", "adversarial/2", "adversarial/3"]


def test_parts_one_after_the_other_are_told_by_order_and_picture(tmp_path):
    rows = [row for part in ("adversarial", "random", "popular") for row in of_part(part)]
    assert read_files(tmp_path, [rows]).answers == ANSWERS
    with pytest.raises(DataError, match="answers questions of several parts twice"):
        read_files(tmp_path, [rows[::-1]])
    wrong = [{**row, "image": "0001.jpg" if row["image"] == "0000.jpg" else "0000.jpg"} for row in rows]
    with pytest.raises(DataError, match="no item asks"):
        read_files(tmp_path, [wrong])


def test_rows_that_say_their_part_are_of_it(tmp_path):
    shared = of_part("popular", category="popular")[:1]
    assert read_files(tmp_path, [shared]).answers == {"popular/1": ANSWERS["popular/1"]}
    two = [{**shared[0], "category": "popular,random"}]
    assert set(read_files(tmp_path, [two]).answers) == {"popular/1", "random/1"}
    with pytest.raises(DataError, match="may be of random or of popular or of adversarial, which ask all of this"):
        read_files(tmp_path, [of_part("popular")[:1]])
    other = of_part("popular", category="random")[:2]
    with pytest.raises(DataError, match=r"row 2, field 'category': shows and asks nothing of 'random'"):
        read_files(tmp_path, [other])


def test_a_prompt_of_ones_own_is_refused_only_where_it_is_part_of_the_benchmark(tmp_path):
    items = [Item(str(number), "Describe this image in detail.", f"{number:012d}.jpg") for number in (139, 285)]
    rows = [
        {"question_id": 0, "image_id": number, "prompt": "Brief, please.", "text": f"c{number}"}
        for number in (285, 139)
    ]
    assert read(tmp_path, rows, items, free_prompt=True).answers == {"139": "c139", "285": "c285"}
    with pytest.raises(DataError, match="asks something else"):
        read(tmp_path, rows, items)


@pytest.mark.parametrize("between", ["\n", "", " \n\n"])
def test_objects_over_several_lines_each(tmp_path, between):
    rows = [{"id": item.id, "answer": ANSWERS[item.id], "more": {"a": [1]}} for item in ITEMS]
    pretty = between.join(json.dumps(row, indent=4, ensure_ascii=False) for row in rows)
    assert read(tmp_path, "\n" + pretty).answers == ANSWERS
    with pytest.raises(DataError, match="row 181: broken JSON"):
        read(tmp_path, pretty + '{"id": ')
    with pytest.raises(DataError, match="row 181: is not a JSON object"):
        read(tmp_path, pretty + "\n3")


OURS = [{"id": item.id, "answer": ANSWERS[item.id]} for item in ITEMS]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*OURS, {"id": "random/999", "answer": "x"}], r"row 181, field 'id': 'random/999' is no item of toy"),
        ([*OURS, OURS[4]], r"row 181, field 'id': 'random/5' occurs 2 times"),
        ([{**OURS[0], "question": "Something else?"}, *OURS[1:]], "row 1: is called as item 'random/1' is, but asks"),
        ([{"id": "random/1", "label": "yes"}], "row 1, field 'answer': holds no answer"),
        ([{"id": "random/1", "answer": ["yes"]}], "row 1, field 'answer': is no text"),
        ([], "has no row"),
        ([{"question": "q", "answer": "q"}], "repeats the questions"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, rows)


def test_two_answers_to_one_picture_and_question(tmp_path):
    row = {"image": "0000.jpg", "question": ITEMS[0].question}
    found = read(tmp_path, [row | {"answer": "a"}, row | {"answer": "a"}])
    assert set(found.answers.values()) == {"a"}
    with pytest.raises(DataError, match="row 2: answers item 'random/1' as row 1 does, and differently"):
        read(tmp_path, [row | {"answer": "a"}, row | {"answer": "b"}])


def test_pictures_called_alike_in_two_folders_are_two(tmp_path):
    items = [Item(f"i{number}", "Same?", f"VD/{folder}/0_1.png") for number, folder in enumerate(("math", "map"))]
    rows = [{"filename": f"./{item.image}", "question": "Same?", "model_prediction": item.id} for item in items]
    assert read(tmp_path, rows[::-1], items).answers == {"i0": "i0", "i1": "i1"}
    bare = [row | {"filename": "0_1.png"} for row in rows]
    assert "by order" in read(tmp_path, bare, items).how[0]
    with pytest.raises(DataError, match="cannot be told apart"):
        read(tmp_path, bare[:1], items)


def test_an_empty_cell_is_an_empty_answer(tmp_path):
    text = "id,prediction\n" + "".join(f"{item.id},{'' if item.id == 'random/1' else 'x'}\n" for item in ITEMS)
    assert read(tmp_path, text, name="a.csv").answers["random/1"] == ""
    nan = json.dumps([{"id": item.id, "prediction": float("nan")} for item in ITEMS])
    assert set(read(tmp_path, nan, name="a.json").answers.values()) == {""}


@pytest.mark.parametrize("kind", ["xlsx", "json"])
def test_an_empty_prediction_is_never_the_right_answer_beside_it(tmp_path, kind):
    """A table of VLMEvalKit's has the right answers in a column of their own, which are called answer too."""
    rows = vlmevalkit_rows(ITEMS)
    empty = {number for number in range(len(rows)) if number % 3 == 0}
    for number in empty:
        rows[number]["prediction"] = None
    path = tmp_path / f"Model_POPE.{kind}"
    if kind == "xlsx":
        from openpyxl import Workbook

        book = Workbook()
        book.active.append([None, *rows[0]])  # as saved with a row's number, whose column has no name
        for number, row in enumerate(rows):
            book.active.append([number, *row.values()])
        book.save(path)
    else:
        path.write_text(json.dumps(rows))
    answers = read_answers(benchmark(ITEMS), ITEMS, [path]).answers
    told = {(row["image_path"], row["question"]): row["prediction"] or "" for row in rows}
    assert answers == {item.id: told[item.image.split("/")[1], item.question] for item in ITEMS}
    assert "" in answers.values() and "Yes" not in answers.values()


def test_answers_that_a_toolkit_could_not_obtain_are_told(tmp_path):
    rows = vlmevalkit_rows(ITEMS)
    for row in rows[:3]:
        row["prediction"] = "Failed to obtain answer via API."
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (told,) = read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "a.json"]).how
    assert "3 say 'Failed to obtain answer'" in told


def test_a_row_without_the_files_own_field_is_named(tmp_path):
    rows = [{"id": item.id, "answer": "Yes", "prediction": "No"} for item in ITEMS]
    del rows[4]["prediction"]
    with pytest.raises(DataError, match=r"row 5, field 'prediction': holds no answer; .* as other rows do"):
        read(tmp_path, rows)


def test_numbers_that_are_no_ids_of_ours_give_way_to_picture_and_question(tmp_path):
    """OCRBench's program: the questions' JSON, whose ids count within a data set, with "predict"."""
    items = [Item(str(number + 1), "What is written?", f"set{number % 2}/{number}.png") for number in range(6)]
    rows = [
        {"id": number // 2 + 4, "question": item.question, "image_path": item.image, "predict": f"p{item.id}"}
        for number, item in enumerate(items)
    ]
    assert read(tmp_path, rows[::-1], items).answers == {item.id: f"p{item.id}" for item in items}
    rows[2]["id"] = 99
    assert read(tmp_path, rows, items).answers == {item.id: f"p{item.id}" for item in items}
    del rows[3]["question"]
    with pytest.raises(DataError, match="'99' is no item of toy"):
        read(tmp_path, rows, items)


def test_numbers_that_all_pass_for_ids_of_ours_give_way_to_pictures(tmp_path):
    items = [Item(str(number + 1), "What is written?", f"set/{number}.png") for number in range(6)]
    rows = [
        {"id": 1 + number, "question": item.question, "image_path": item.image, "predict": f"p{item.id}"}
        for number, item in enumerate(items[3:])
    ]
    assert read(tmp_path, rows, items).answers == {item.id: f"p{item.id}" for item in items[3:]}
    own_names = [{**row, "image_path": f"{row['id'] - 1}.jpg"} for row in rows]  # a toolkit's: they say nothing
    assert read(tmp_path, own_names, items).answers == {"1": "p4", "2": "p5", "3": "p6"}
    del rows[0]["question"]
    with pytest.raises(DataError, match=r"row 1: is called as item '1' is, but shows '3.png'"):
        read(tmp_path, rows, items)


def test_a_row_that_asks_the_longer_of_two_questions_answers_that_one(tmp_path):
    items = [Item("1", "Is it red?", "a.png"), Item("2", "Is it red? Why?", "a.png")]
    rows = [{"image": "a.png", "question": item.question, "answer": f"a{item.id}"} for item in items]
    assert read(tmp_path, rows, items).answers == {"1": "a1", "2": "a2"}
    with pytest.raises(DataError, match="no item asks 'Is'"):
        read(tmp_path, [{"image": "a.png", "question": "Is", "answer": "no"}], items)


def test_files_that_are_none(tmp_path):
    for name, content, said in (
        ("a.pkl", "x", "is a pickle"),
        ("a.xlsx", "no workbook", "damaged workbook"),
        ("a.json", "[1]", "is not a JSON object"),
    ):
        with pytest.raises(DataError, match=said):
            read(tmp_path, content, name=name)
    with pytest.raises(DataError, match="no such file"):
        read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "none.xlsx"])


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    from openpyxl import Workbook

    from trifacet.benchmarks import answer_files as foreign

    Workbook().save(tmp_path / "a.xlsx")
    monkeypatch.setattr(foreign, "MAX_UNPACKED", 100)
    with pytest.raises(DataError, match="bytes unpacked"):
        read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "a.xlsx"])


def test_a_workbook_whose_second_row_says_that_it_is_the_billionth_is_refused(tmp_path, monkeypatch):
    from openpyxl import Workbook

    from trifacet.benchmarks import answer_files as foreign

    monkeypatch.setattr(foreign, "MAX_ROWS", 100)
    book = Workbook()
    book.active.append(["id", "answer"])
    book.active["A200"] = "random/1"
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="has more than 100 rows"):
        read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "a.xlsx"])


@pytest.mark.parametrize(
    ("offset", "value", "told"), [(6, 1, "is encrypted"), (8, 99, "compression method is not supported")]
)
def test_a_workbook_that_cannot_be_unpacked_is_one_line(tmp_path, offset, value, told):
    from openpyxl import Workbook

    path = tmp_path / "a.xlsx"
    Workbook().save(path)
    data = bytearray(path.read_bytes())
    for mark, further in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # the parts' own headers, and those at the end
        at = data.find(mark)
        while at >= 0:
            data[at + offset + further] = value
            at = data.find(mark, at + 1)
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"a\.xlsx: damaged workbook .*{told}") as caught:
        read_answers(benchmark(ITEMS), ITEMS, [path])
    assert len(str(caught.value).splitlines()) == 1


def test_a_formula_without_its_value_is_no_answer(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    for row in (["id", "answer"], ["random/1", "Yes"], ["random/2", None], ["random/3", '="Y"&"es"']):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match=r"a\.xlsx, row 4, field 'answer': holds a formula without its value"):
        read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "a.xlsx"])
    book.active["B4"] = "No"
    book.save(tmp_path / "a.xlsx")
    found = read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "a.xlsx"])
    assert found.answers == {"random/1": "Yes", "random/2": "", "random/3": "No"}


def test_cells_that_are_not_there_are_counted_too(tmp_path, monkeypatch):
    from openpyxl import Workbook

    from trifacet.benchmarks import answer_files as foreign

    monkeypatch.setattr(foreign, "MAX_CELLS", 100)
    book = Workbook()
    book.active.append([f"column {number}" for number in range(50)])
    for number in range(2, 5):
        book.active.cell(number, 50, "x")
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="has more than 100 cells"):
        read_answers(benchmark(ITEMS), ITEMS, [tmp_path / "a.xlsx"])


def test_questions_are_the_same_up_to_an_instruction_after_them():
    assert same_question("<image>\nIs there  a cat?" + SUFFIX, "Is there a cat?")
    assert not same_question("is there a cat?", "Is there a cat? Answer yes or no.")
    assert not same_question("Is", "Is there a cat?")
    assert not same_question("Is there a cat?", "Is there a cattle?")
    assert not same_question("", "Is there a cat?")


def test_an_items_alias_may_not_pass_for_anothers_id(tmp_path):
    items = [Item("1", "A?", None), Item("2", "B?", None)]
    found = read(tmp_path, [{"id": "1", "answer": "a"}, {"id": "2", "answer": "b"}], items, aliases=lambda item: ["2"])
    assert found.answers == {"1": "a", "2": "b"}
    assert dataclasses.asdict(found)["answers"] == found.answers


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": "q1", "answer": "x"}, {"id": "q2", "answer": "y"}], "'q1' is no item of toy, .* such as 'random/1'"),
        ([{"id": "random/1", "answer": True}], "row 1, field 'answer': is no text"),
    ],
)
def test_answers_to_another_benchmark_and_values_that_are_no_words(tmp_path, rows, said):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=said):
        read_answers(benchmark(ITEMS), ITEMS, [path])
