"""A study that is run once, and what others of its store find there."""

import pytest
from small_studies import study_values, write_study

from trifacet.studies.settings import load_study
from trifacet.studies.study import run_study


@pytest.fixture(scope="session")
def small(tmp_path_factory, unscored_world, tiny_folder):
    """A study on files with one seed, run to its end; its file is written anew by ``again``."""
    folder = tmp_path_factory.mktemp("study")

    def again(changes=None):
        values = study_values(folder / "out", unscored_world, tiny_folder, {"seeds": [1], **(changes or {})})
        return load_study(str(write_study(folder, values)))

    loaded = again()
    return loaded, run_study(loaded), again
