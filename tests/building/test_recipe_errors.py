"""What a mistaken build recipe is told: one line with what is wrong and what would be right."""

import pytest
import yaml

from trifacet.base.errors import TrifacetError
from trifacet.building.recipe import load_build_recipe
from trifacet.training.recipe import load_recipe

GOOD = {"sources": [{"path": "posts.csv"}], "steps": ["alt-length"]}
TWO = {name: {"base_url": "http://127.0.0.1:1/v1", "model": name} for name in ("writer", "judge")}


def refused(folder, values, load=load_build_recipe):
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(TrifacetError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": None, "source": GOOD["sources"]}, "unknown key 'source'; did you mean 'sources'?"),
        ({"steps": ["alt-lenght"]}, "unknown step 'alt-lenght'; did you mean 'alt-length'?"),
        ({"steps": [{"alt-length": {"min_word": 3}}]}, "alt-length: unknown key 'min_word'; did you mean 'min_words'?"),
        ({"steps": [{"alt-length": 3}]}, "write parameters by name, as in 'alt-length: {min_words: ...}'"),
        ({"steps": ["static-image"]}, "step 1, 'static-image', needs files: put 'images' before it"),
        ({"steps": ["grammar"]}, "step 1, 'grammar', asks a language model: name one under 'models'"),
        ({"steps": ["grammar"], "models": TWO}, "'model' is one of writer, judge"),
        ({"steps": [{"grammar": {"model": "x"}}], "models": TWO}, "model 'x' is not one of 'models' (writer, judge)"),
    ],
)
def test_a_mistake_is_named_with_its_cure(tmp_path, changes, message):
    values = {key: value for key, value in (GOOD | changes).items() if value is not None}
    told = refused(tmp_path, values)
    assert message in told
    assert told.count("alt-lenght") < 2


def test_each_command_names_the_other_for_a_recipe_of_the_other_kind(tmp_path):
    assert "give it to 'trifacet build'" in refused(tmp_path, GOOD, load_recipe)
    assert "give it to 'trifacet run'" in refused(tmp_path, {"model": {"tiny": {}}, "output": "runs/x"})
