"""Answers, spoilt pictures, feedback and revisions: what each depends on, and what a kill costs."""

import json
import multiprocessing
import os
import re
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from trifacet.base import journal
from trifacet.base.errors import TrifacetError
from trifacet.base.journal import Journal
from trifacet.data.writing import Written
from trifacet.demo.endpoint_server import ScriptedEndpoint, last_text, request_images
from trifacet.evolving.cast import Cast
from trifacet.evolving.parts import Part
from trifacet.evolving.records import Answer, as_row
from trifacet.evolving.revising import feedback_words, revise
from trifacet.evolving.sampling import first_half, loops, marked, problem_of, sample_answers
from trifacet.evolving.spoiling import turns
from trifacet.evolving.telling import listening
from trifacet.llm.prompts import quote
from trifacet.preferences.rejected.strategy import ImageStrategy

EVERY = {"normal": 3, "contrastive": 6, "strategies": ["crop", "diffusion", "dropout-ntp"]}


class Own(ImageStrategy):
    """A strategy of one's own with a name that answers have."""

    name = "revised"


def done(samples, recipe, folder, *, size=10, number=1, cast=None):
    """All steps of a round in parts of a size: answers with revised ones, and feedback, by sample."""
    found = {}
    cast = cast or Cast(recipe)
    for start in range(0, len(samples), size):
        part = Part(folder, start // size, number)
        some = samples[start : start + size]
        answers = sample_answers(some, cast, recipe, part)
        new, feedback = revise(some, answers, cast, recipe, part)
        for sample in some:
            mine = [one for one in (*answers, *new) if one.sample == sample.id]
            assert [one.answer for one in mine] == list(range(len(mine)))
            found[sample.id] = mine, [one for one in feedback if one.sample == sample.id]
    return found


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def recipe(evolve_recipe):
    return evolve_recipe(sampling=EVERY, revision={"answers": 2, "feedbacks": 2, "reference_from": 2})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rounds") / "whole"


@pytest.fixture(scope="module")
def whole(recipe, questions, folder):
    return done(questions, recipe, folder)


def test_answers_are_numbered_by_origin(whole, recipe):
    for answers, feedback in whole.values():
        origins = [one.origin for one in answers]
        assert origins[:9] == ["normal"] * 3 + ["crop", "diffusion", "dropout-ntp"] * 2
        assert origins[9:] == ["revised"] * len(origins[9:])
        assert [one.revised for one in feedback if one.revised is not None] == list(range(9, len(answers)))
        assert not any(one.saw_reference for one in feedback)
    texts = [one.text for answers, _ in whole.values() for one in answers if one.problem is None]
    assert len(set(texts)) > 12  # the tiny model has much to say


def test_neither_parts_nor_other_samples_nor_their_order_matter(whole, recipe, questions, tmp_path):
    assert done(questions, recipe, tmp_path / "parts", size=1) == whole
    assert done(questions[::-1], recipe, tmp_path / "backwards") == whole
    wider = recipe.model_copy(
        update={"roles": recipe.roles.model_copy(update={
            "generator": recipe.roles.generator.model_copy(update={"batch_size": 7}),
            "reviser": recipe.roles.reviser.model_copy(update={"batch_size": 1})})}
    )  # fmt: skip
    assert done(questions, wider, tmp_path / "batches") == whole


def test_more_answers_leave_the_others_as_they_are(whole, evolve_recipe, questions, tmp_path):
    more = EVERY | {"normal": 4, "contrastive": 8}
    found = done(questions, evolve_recipe(sampling=more, revision={"answers": 0}), tmp_path / "more")
    for name, (answers, _) in whole.items():
        by_number = [one for one in found[name][0] if one.origin == "normal"][:3]
        assert [one.text for one in by_number] == [one.text for one in answers[:3]]
        spoilt = {one.text for one in found[name][0] if one.origin == "crop"}
        assert {one.text for one in answers if one.origin == "crop"} <= spoilt


def test_another_round_and_another_seed_draw_other_texts(whole, recipe, questions, tmp_path):
    second = done(questions, recipe, tmp_path / "second", number=2)
    other = done(questions, recipe.model_copy(update={"seed": 6}), tmp_path / "seed")
    for name in whole:
        texts = [{one.text for one in found[name][0]} for found in (whole, second, other)]
        assert len(texts[0] & texts[1]) < 4 and len(texts[0] & texts[2]) < 4
    assert all(one.saw_reference for _, feedback in second.values() for one in feedback)


def test_killed_at_any_moment_the_folder_has_the_same_bytes_in_the_end(
    whole, recipe, questions, folder, tmp_path, monkeypatch
):
    """Each row that is kept may be the last one: a kill is an error there that nobody expects."""
    append, cast = Journal.append, Cast(recipe)
    left = kills = 0

    class KilledError(BaseException):
        pass

    def dying(self, rows):
        nonlocal left
        for row in rows:
            if left == 0:
                raise KilledError
            append(self, [row])
            left -= 1

    monkeypatch.setattr(Journal, "append", dying)
    for every in (5, 17):
        while True:
            left = every
            try:
                assert done(questions, recipe, tmp_path / str(every), cast=cast) == whole
                break
            except KilledError:
                kills += 1
        assert files_of(tmp_path / str(every)) == files_of(folder)
    assert kills > 15


def _killed(samples, recipe, folder, row):
    torch.set_num_threads(1)
    real, kept = journal.append_durably, 0

    def dying(path, lines):
        nonlocal kept
        kept += 1
        real(path, lines[: len(lines) // 2] if kept == row else lines)
        if kept == row:
            os.kill(os.getpid(), signal.SIGKILL)

    journal.append_durably = dying
    done(samples, recipe, folder)


def test_a_process_that_is_killed_goes_on(whole, recipe, questions, folder, tmp_path):
    """SIGKILL, sent by the process to itself in the middle of a row: nothing is tidied up."""
    codes = []
    for row in (3, 20, 1000):
        process = multiprocessing.get_context("fork").Process(
            target=_killed, args=(questions, recipe, tmp_path / "killed", row)
        )
        process.start()
        process.join(120)
        codes.append(process.exitcode)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert files_of(tmp_path / "killed") == files_of(folder)


def test_an_endpoint_is_asked_each_question_once(evolve_recipe, endpoint_file, questions):
    def says(request):
        return f"{request['seed'] % 100_000} {last_text(request['messages'])[-30:]}"

    with ScriptedEndpoint(says, whole=True) as endpoint:
        role = {"endpoint": endpoint_file(endpoint), "temperature": 0.7, "max_new_tokens": 40}
        recipe = evolve_recipe(roles={"generator": role, "reviser": role})
        folder = recipe.folder / "round-1"
        first = done(questions, recipe, folder, size=2)
        asked = endpoint.calls.received
        assert endpoint.calls.twice == 0 and asked == endpoint.calls.delivered == 4 * (3 + 2 + 2 + 2)
        before = files_of(folder)
        assert done(questions, recipe, folder, size=2) == first
        shutil.rmtree(folder)  # books alone are left
        assert done(questions, recipe, folder, size=2) == first
        assert endpoint.calls.received == asked
        assert files_of(folder) == before


def test_the_generator_sees_spoilt_pictures_and_the_reviser_the_clean_one(
    evolve_recipe, endpoint_file, questions, shown, tmp_path
):
    seen = {}

    def says(messages):
        text = last_text(messages)
        seen.setdefault(text, []).append((request_images(messages), messages))
        return f"{len(seen)} {len(seen[text])}"

    with ScriptedEndpoint(says) as endpoint:
        role = {"endpoint": endpoint_file(endpoint, image_side=500), "temperature": 0.7, "max_new_tokens": 40}
        sampling = {"normal": 1, "contrastive": 2, "strategies": ["small-crop", "rotation"]}
        recipe = evolve_recipe(
            sampling=sampling, revision={"answers": 2, "reference_from": 1}, roles={"generator": role, "reviser": role}
        )
        done(questions, recipe, tmp_path / "round-1")
    clean = {}
    for one in questions:
        clean[one.prompt] = [Image.open(shown / name) for name in one.pictures]
    asked_of_generator = 0
    for text, calls in seen.items():
        (sample,) = [one for one in questions if one.prompt in text]
        if text.startswith("Instruction:"):
            assert all(alike(pictures, clean[sample.prompt]) for pictures, _ in calls)
            assert (f'Reference: "{sample.references[0]}"' in text) == ("Remarks:" not in text)
            assert ("Post:" in text) == bool(sample.context)
            assert all(messages[0]["role"] == "system" for _, messages in calls)
        else:
            asked_of_generator += len(calls)
            assert sample.references[0] not in text
            assert [alike(pictures[:1], clean[sample.prompt][:1]) for pictures, _ in calls].count(True) == 1
            assert all(alike(pictures[1:], clean[sample.prompt][1:]) for pictures, _ in calls)
    assert asked_of_generator == 3 * len(questions)


def alike(some, others):
    """Whether the pictures are the same, but for what JPEG makes of them on their way."""
    pairs = [[np.asarray(one.convert("L"), float) for one in pair] for pair in zip(some, others, strict=True)]
    return all(one.shape == other.shape and np.abs(one - other).mean() < 8 for one, other in pairs)


def test_spoilt_pictures_are_written_once_and_named_by_what_they_show(whole, recipe, questions, folder):
    rows = [json.loads(line) for line in (folder / "spoilt" / "00000.jsonl").read_text().splitlines()]
    assert [(row["sample"], row["strategy"], row["version"]) for row in rows] == [
        (sample.id, *turn)
        for sample in questions
        for turn in [("crop", 1), ("diffusion", 1), ("crop", 2), ("diffusion", 2)]
    ]
    assert len({row["picture"] for row in rows}) == len(rows)
    times = {path: path.stat().st_mtime_ns for path in (folder / "pictures").rglob("*") if path.is_file()}
    assert len(times) == len(rows) + 1  # and a picture that is shown beside one
    gone = next(path for path in times if path.suffix == ".png")
    gone.unlink()
    assert done(questions, recipe, folder) == whole
    assert gone.is_file() and all(path.stat().st_mtime_ns == time for path, time in times.items() if path != gone)


def test_half_an_answer_goes_on_without_the_picture(whole):
    for answers, _ in whole.values():
        for one in answers:
            if one.origin == "dropout-ntp" and one.problem is None:
                parent = answers[one.parent]
                assert parent.origin == "normal" and parent.problem is None
                assert one.text.startswith(first_half(parent.text)) and one.text != parent.text


def test_the_reference_is_shown_to_the_generator_for_the_ablation_alone(
    evolve_recipe, endpoint_file, questions, tmp_path
):
    asked = []

    def says(messages):
        asked.append(last_text(messages))
        return str(len(asked))

    with ScriptedEndpoint(says) as endpoint:
        role = {"endpoint": endpoint_file(endpoint), "temperature": 0.7}
        for reference in (False, True):
            asked.clear()
            recipe = evolve_recipe(
                sampling={"normal": 1, "contrastive": 0, "reference": reference}, revision={"answers": 0},
                roles={"generator": role},
            )  # fmt: skip
            done(questions, recipe, tmp_path / str(reference))
            told = [any(f'"{one.references[0]}"' in text for text in asked) for one in questions]
            assert told == [reference] * len(questions)


def test_words_of_feedback_are_those_that_were_asked(recipe, questions, whole):
    with Cast(recipe) as cast:
        words = feedback_words(questions[1], cast, recipe)
        answer = whole["q1"][0][0]
        system, without = words(answer, False)
        _, with_it = words(answer, True)
    assert system.startswith("You review an answer")
    assert f"Answer: {quote(answer.text)}" in without and "Reference" not in without
    assert with_it.replace('Reference: "Ada flies 1 kites"\n', "") == without


def test_pictures_are_needed_for_spoilt_ones(recipe, questions, tmp_path):
    blind = questions[0].model_copy(update={"image": None})
    (answers, _), *_ = done([blind], recipe, tmp_path / "blind").values()
    assert [one.problem for one in answers[3:9]] == ["no picture"] * 6
    assert all(one.text for one in answers[:3])


def test_every_strategy_has_what_it_needs_or_is_refused_by_name(evolve_recipe, endpoint_file, questions, tmp_path):
    def sampling(*names, **others):
        return {"normal": 2, "contrastive": len(names), "strategies": list(names), **others}

    for name, changes, said in [
        ("region-blur", {}, "region-blur changes the key regions"),
        ("region-words", {"regions": {}}, "region-words replaces words"),
    ]:
        with pytest.raises(TrifacetError, match=said):
            Cast(evolve_recipe(sampling=sampling(name), **changes))
    with pytest.raises(TrifacetError, match="Own is called 'revised', as other answers"):
        Cast(evolve_recipe(sampling=sampling(f"{__name__}:Own")))
    with pytest.raises(TrifacetError, match="dropout-ntp continues normal answers"):
        Cast(evolve_recipe(sampling=sampling("dropout-ntp", normal=0)))
    with pytest.raises(TrifacetError, match="names none"):
        Cast(evolve_recipe(sampling={"strategies": []}))
    with ScriptedEndpoint(last_text) as endpoint:
        role = {"endpoint": endpoint_file(endpoint)}
        with pytest.raises(TrifacetError, match="dropout-ntp begins the generator's answer"):
            Cast(evolve_recipe(sampling=sampling("crop", "dropout-ntp"), roles={"generator": role}))
        with pytest.raises(TrifacetError, match=r"sampling.top_p: endpoints are not told"):
            Cast(evolve_recipe(sampling={"top_p": 0.9}, roles={"generator": role}))
        assert endpoint.calls.received == 0


def test_regions_and_other_samples_pictures_spoil_too(evolve_recipe, questions, shown, tmp_path):
    box = {"label": "kite", "box": [2, 3, 12, 20]}
    located = [one.model_copy(update={"extra": {"regions": [box]}}) for one in questions[:2]]
    strategies = ["region-black", "randomness"]
    sampling = {"normal": 1, "contrastive": 2, "strategies": strategies}
    recipe = evolve_recipe(sampling=sampling, revision={"answers": 0}, regions={})
    done(located, recipe, tmp_path / "round-1")
    rows = [json.loads(line) for line in (tmp_path / "round-1/spoilt/00000.jsonl").read_text().splitlines()]
    for row in rows:
        with Image.open(tmp_path / "round-1/pictures" / row["picture"]) as picture:
            spoilt = np.asarray(picture).astype(int)
        with Image.open(shown / f"{row['sample'][1]}.png") as picture:
            clean = np.asarray(picture).astype(int)
        changed = np.abs(spoilt - clean).sum(-1) > 0
        if row["strategy"] == "region-black":
            assert changed[3:20, 2:12].any() and not changed[:, 14:].any() and not changed[22:].any()
        else:
            assert changed.mean() > 0.5


@pytest.mark.parametrize(
    ("text", "expected"),
    [("the dog and " * 4, True), ("A dog is seen. " + "It is a dog. " * 4, True), ("a" * 40, True), ("a" * 39, False),
     ("a red dog, a blue dog, a green dog", False), ("ha ha ha ha", False), ("狗" * 45, True),
     ("The dog and\nThe  dog and the dog and the dog an", True), ("the dog and " * 4 + "a cat that sleeps", False),
     ("", False), ("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16", False)],
)  # fmt: skip
def test_a_phrase_that_is_repeated_to_the_end_is_a_loop(text, expected):
    assert loops(text) == expected
    tail = re.sub(r"\s+", " ", text.strip()).casefold()
    naive = any(
        all(tail[-place] == tail[-place - period] for place in range(1, length - period + 1))
        for period in range(1, len(tail) // 3 + 1)
        for length in range(max(40, 3 * period), len(tail) + 1)
    )
    assert naive == expected


def test_what_is_wrong_with_a_text():
    def problem(text, **others):
        return problem_of(Written("a", text, 1, 1, **others))

    assert problem("A dog.") is None and problem("") == "empty" and problem("A do", ended=False) == "cut off"
    assert problem("A dog. " * 9, ended=False) == problem("A dog. " * 9) == "looping"
    assert problem("A do", ended=False, problem="cut off") == "cut off"
    assert problem("", problem="rejected by the endpoint (400)") == "rejected by the endpoint (400)"
    assert problem("I can't", problem="refused") == "refused"


def test_equal_texts_are_duplicates_of_the_first_sound_one():
    answers = [Answer("s", 0, "normal", "A dog", problem="cut off"), Answer("s", 1, "normal", "A  dog"),
               Answer("s", 2, "crop", "A dog"), Answer("s", 3, "crop", "a dog")]  # fmt: skip
    assert [one.problem for one in marked(answers)] == ["cut off", None, "duplicate", None]
    assert [one.problem for one in marked([replace(answers[1], answer=4)], answers[2:])] == ["duplicate"]


def test_turns_and_halves():
    assert turns(["a", "b"], 3) == [("a", 1, 2), ("b", 1, 1), ("a", 2, 2)]
    assert [first_half(text) for text in ("A red  dog sits", "A red dog", "Yes", "")] == ["A red", "A", "", ""]


def test_answers_are_on_the_disk_as_rows(whole, folder):
    rows = Journal(folder / "answers" / "00000.jsonl").rows
    assert rows == [as_row(one) for answers, _ in whole.values() for one in answers]
    rows = Journal(folder / "feedback" / "00000.jsonl").rows
    assert rows == [as_row(one) for _, feedback in whole.values() for one in feedback]


@pytest.mark.parametrize("on_bad_row", ["skip", "stop"])
def test_a_picture_of_another_sample_that_cannot_be_used_is_passed_over_like_its_sample(
    evolve_recipe, questions, shown, tmp_path, on_bad_row
):
    root = shutil.copytree(shown, tmp_path / "shown")
    (root / "2.png").write_bytes(b"no picture")
    recipe = evolve_recipe(
        data={"root": str(root), "on_bad_row": on_bad_row},
        sampling={"normal": 0, "contrastive": 3, "strategies": ["randomness"]},
    )
    part = Part(tmp_path / "round-1", 0, 1)
    wanted, fine = turns(["randomness"], 3), [questions[0], questions[1], questions[3]]
    with Cast(recipe) as cast:
        if on_bad_row == "stop":
            with pytest.raises(TrifacetError, match=r"2\.png"):
                cast.spoiling.pictures(fine, wanted, part)
            return
        names = cast.spoiling.pictures(fine, wanted, part)
        alone = [cast.spoiling.pictures([one], wanted, Part(tmp_path / one.id, 0, 1))[0] for one in reversed(fine)]
    assert names == alone[::-1], "who is passed over does not depend on what was looked at before"
    assert all(len(set(some)) == 2 for some in names[:2])


def test_progress_says_whose_texts_are_waited_for(evolve_recipe, questions, tmp_path):
    said = set()
    with listening(lambda steps: said.update(map(str, steps))), Cast(evolve_recipe()) as cast:
        part = Part(tmp_path / "round-1", 0, 1)
        answers = sample_answers(questions[:2], cast, cast.recipe, part)
        revise(questions[:2], answers, cast, cast.recipe, part)
    roles = {words.partition(": ")[2].partition(" ")[0]: words.partition(": ")[0] for words in said if ": " in words}
    assert roles.items() >= {"normal": "generator", "contrastive": "generator", "feedback": "reviser"}.items()
    assert all(": " in words for words in said)
