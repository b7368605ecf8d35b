"""Texts that grow side by side on shared prompts are those of transformers' own generation, token by token."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_families import MAKERS, load_copy
from transformers import LogitsProcessor, LogitsProcessorList

from trifacet.base.draws import generator
from trifacet.engine.continuing import Decoding, Question, drawn, grown
from trifacet.engine.encode import SampleEncoder
from trifacet.engine.growing import Grove, Prompt
from trifacet.models.decoding import decoding, generate, length_of

LONGEST = 12
POSTS = ["", "a red kite over the harbour", "two dogs and a ball near the old wall, and their friends with them"]


@pytest.fixture(scope="module", params=MAKERS)
def loaded(request, family_folders):
    torch.set_num_threads(1)
    loaded = load_copy(family_folders(request.param))
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():  # fresh weights repeat the last token; larger ones listen to the prompt
        for weight in loaded.model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.2, generator=rng)
    loaded.model.eval()
    return loaded


@pytest.fixture(scope="module")
def encoder(loaded):
    return SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)


@pytest.fixture(scope="module")
def prompts(loaded, encoder):
    """Two pictures with two and one posts, two pictures at once, and a post without any."""
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (2, 3, 3), dtype=np.uint8)).resize(size, Image.Resampling.NEAREST)
        for size in ((40, 30), (64, 70))
    ]
    first, second = (loaded.family.read(picture) for picture in pictures)
    asked = [
        ((first,), POSTS[1]),
        ((second,), POSTS[2]),
        ((first,), POSTS[0]),
        ((second, first), POSTS[1]),
        ((), POSTS[2]),
    ]
    return [Prompt(encoder.prompt_path(None, post, images, reserve=LONGEST)[0], images) for images, post in asked]


def plain(loaded, encoder, prompt, *, beams=1, candidates=1, temperature=0.0, processor=None):
    """The texts of transformers' own generation for one prompt, and whether each ended."""
    family, model = loaded.family, loaded.model
    config = decoding(
        model, encoder.tokenizer, temperature=0.0, longest=LONGEST, ends=[encoder.end_id], reserved=family.reserved_ids,
        beams=beams, candidates=candidates,
    )  # fmt: skip
    ids = torch.from_numpy(prompt.path.tokens_L)[None]
    collated = family.collate(prompt.images)
    with torch.no_grad():
        features = family.features(model, **collated) if collated else []
        output = generate(
            model, config, input_ids=ids, attention_mask=torch.ones_like(ids),
            mm_encoder_outputs=family.encoded(features), **family.told(ids, prompt.images),
            **({"logits_processor": LogitsProcessorList([processor])} if processor else {}),
        )  # fmt: skip
    ends = {*config.eos_token_id, config.pad_token_id}
    rows = [row[len(ids[0]) :].tolist() for row in output]
    return [row[: length_of(row, ends)] for row in rows], config


def how_of(config, **others):
    ends = frozenset(config.eos_token_id)
    return Decoding(LONGEST, ends, tuple(config.suppress_tokens or ()), **others)


def ours(loaded, prompts, how, draws=1, rows=3):
    groups = [
        [Question(number, prompt, {draw: generator("text", number, draw) for draw in range(draws)})]
        for number, prompt in enumerate(prompts)
    ]
    return {
        (answer.key, answer.draw): answer.tokens
        for answer in grown(loaded.model, loaded.family, groups, how, rows=rows)
    }


class Chosen(LogitsProcessor):
    """Leaves the one token that ``drawn`` draws."""

    def __init__(self, how, random):
        self.how, self.random = how, random

    def __call__(self, input_ids, scores):
        tokens = drawn(scores.float(), self.how, [self.random.random()])
        return torch.full_like(scores, -torch.inf).scatter(1, torch.tensor(tokens)[:, None], 0.0)


def test_greedy_texts_are_those_of_transformers(loaded, encoder, prompts):
    expected = [plain(loaded, encoder, prompt) for prompt in prompts]
    found = ours(loaded, prompts, how_of(expected[0][1]))
    assert [found[number, 0] for number in range(len(prompts))] == [texts[0] for texts, _ in expected]
    assert len({tuple(text) for text in found.values()}) > 1


@pytest.mark.parametrize("rows", [1, 4])
def test_beams_are_those_of_transformers(loaded, encoder, prompts, rows):
    expected = [plain(loaded, encoder, prompt, beams=3, candidates=3) for prompt in prompts]
    found = ours(loaded, prompts, how_of(expected[0][1], beams=3, candidates=3), rows=rows)
    for number, (texts, _) in enumerate(expected):
        assert [found[number, draw] for draw in range(3)] == texts


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_drawn_texts_are_those_of_transformers_with_the_same_numbers(loaded, encoder, prompts, top_p):
    _, config = plain(loaded, encoder, prompts[0])
    how = how_of(config, temperature=0.7, top_p=top_p)

    found = ours(loaded, prompts, how, draws=3)
    for number, prompt in enumerate(prompts):
        for draw in range(3):
            texts, _ = plain(loaded, encoder, prompt, processor=Chosen(how, generator("text", number, draw)))
            assert found[number, draw] == texts[0]


def test_a_drawn_text_hangs_on_its_own_numbers_alone(loaded, encoder, prompts):
    _, config = plain(loaded, encoder, prompts[0])
    how = how_of(config, temperature=1.0)

    def all_of(groups, draws, rows):
        asked = [
            [Question(one, prompts[one], {draw: generator("text", one, draw) for draw in draws}) for one in group]
            for group in groups
        ]
        found = grown(loaded.model, loaded.family, asked, how, rows=rows)
        return {(answer.key, answer.draw): answer.tokens for answer in found}

    whole = all_of([[0], [1], [2], [3], [4]], [0, 1, 2, 3], 5)
    assert all_of([[3], [2, 0], [4], [1]], [3, 2, 1, 0], 2) == whole
    part = all_of([[4], [1]], [2], 1)
    assert part == {key: whole[key] for key in part}


def test_a_picture_is_encoded_once_for_all_its_questions_and_texts(loaded, prompts):
    grove = Grove(loaded.model, loaded.family, 2)
    with torch.no_grad():
        (first, second), (other,) = grove.plant([(0, [prompts[0], prompts[2]]), (1, [prompts[1]])])
    assert sorted(grove.pictures.encoded.values()) == [1, 1]
    with torch.no_grad():
        leaves, logits_SV = grove.grow([first[0], first[0], second[0], other[0]], [7, 9, 7, 7])
    assert logits_SV.shape[0] == len(leaves) == 4


def test_questions_may_come_while_others_are_written_each_with_a_way_of_its_own(loaded, encoder, prompts):
    _, config = plain(loaded, encoder, prompts[0])
    ways = [how_of(config), how_of(config, temperature=0.7), how_of(config, beams=2), how_of(config, temperature=1.5)]
    ways = [*ways, Decoding(3, ways[0].ends, ways[0].suppressed)]

    def question(one):
        draws = {0: generator("text", one)} if ways[one].temperature else {}
        return Question(one, prompts[one], draws, ways[one])

    alone = {}
    for one in range(len(prompts)):
        (answer,) = grown(loaded.model, loaded.family, [[question(one)]], ways[one], rows=1)
        alone[one] = answer.tokens
    grows = []

    def coming():
        """Two at once, one more after two tokens and after three, the last when all else is done."""
        yield [question(0)]
        yield [question(1)]
        for one, pause in ((2, 2), (3, 3), (4, 1)):
            for _ in range(pause):
                grows.append(one)
                yield []
            yield [question(one)]

    for rows in (1, 2, 5):
        found = grown(loaded.model, loaded.family, coming(), ways[0], rows=rows)
        assert {answer.key: answer.tokens for answer in found} == alone
    assert grows
