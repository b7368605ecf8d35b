"""The share of clean texts is that of texts in which the rules find nothing."""

import numpy as np
import pytest

from trifacet.lint import lint_text
from trifacet.metrics.lint import clean_measures

GOOD = "A brown dog jumps over a puddle in the park."


def test_shares_are_those_of_the_rules():
    texts = {"a": GOOD, "b": "photo", "c": "A dog.", "d": "A red bicycle leans against a wall."}
    contexts = {"a": "My dog", "d": "A red bicycle leans against a wall!"}
    clean, sound = clean_measures(texts, contexts)
    findings = {name: lint_text(text, context=contexts.get(name)) for name, text in texts.items()}
    assert clean.name == "lint_clean" and clean.value == 100 * np.mean([not one for one in findings.values()]) == 25
    assert sound.name == "lint_no_error" and sound.value == 75
    assert dict(zip(clean.units, clean.of_units(), strict=True)) == {"a": 100, "b": 0, "c": 0, "d": 0}
    assert clean_measures(texts)[0].value == 50
    assert clean_measures(texts, ignore=["very-short"])[0].value == 75


def test_a_model_that_says_the_same_of_every_image_is_seen():
    same = dict.fromkeys("abcde", GOOD)
    assert [measure.value for measure in clean_measures(same)] == [0, 100]
    assert clean_measures(same, max_images=5)[0].value == pytest.approx(100)


def test_no_texts_give_no_share():
    assert np.isnan(clean_measures({})[0].value)
