"""Whose a build's folder is: what is refused by name, and what a kill while it is cleared leaves."""

import os
import shutil
import signal
import sys

import pytest
from small_builds import made, posts, write_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building import output
from trifacet.building.build import run_build
from trifacet.building.folder import claimed
from trifacet.building.recipe import load_build_recipe


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    recipe = load_build_recipe(write_recipe(folder, folder / "out", posts(20), [{"alt-length": {}}]))
    run_build(recipe, workers=1)
    return recipe


def test_the_first_key_that_differs_is_named_with_both_values(built):
    path = built.folder.parent / "recipe.yaml"
    with (
        pytest.raises(TrifacetError, match=r"^seed 17 there, 18 now: .* holds the build of another recipe"),
        claimed(load_build_recipe(path, ["seed=18"])),
    ):
        pytest.fail("claimed")
    path.write_text(path.read_text().replace("alt-length: {}", "alt-length: {min_words: 9}"))
    with pytest.raises(TrifacetError, match=r"^steps\.1\.parameters\.min_words 5 there, 9 now"):
        run_build(load_build_recipe(path), workers=1)


def test_a_build_killed_while_it_is_cleared_never_passes_for_finished(built, tmp_path):
    whole, kills, left = made(built.folder), 0, None
    while left != 0:
        recipe = built.model_copy(update={"output": str(tmp_path / str(kills))})
        shutil.copytree(built.folder, recipe.folder)
        child = os.fork()
        if not child:
            _clear(recipe, kills)
        left = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert left in (0, -signal.SIGKILL)
        assert output.finished(recipe.folder) is None or made(recipe.folder) == whole
        kills += 1
        if kills % 5 == 0:
            run_build(recipe, workers=1)
            assert made(recipe.folder) == whole
    assert kills > 8


def _clear(recipe, number):
    """Clear, and be killed at the ``number``-th time that something is removed or renamed."""
    seen = iter(range(number))

    def hook(event, _):
        if event in ("os.remove", "os.rmdir", "os.rename") and next(seen, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    with claimed(recipe, overwrite=True):
        os._exit(0)
