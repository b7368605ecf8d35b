"""Whatever stands in a file that a user names, its reader reads it, or refuses it in one line that names the file.

It does so within seconds and some hundred megabytes, and no library says a word on its own.
"""

import random
import resource
import time
import warnings

import pytest
from damaging import damaged
from hostile_files import kinds, verdict

from trifacet.base.errors import TrifacetError

KINDS = kinds()
SECONDS, MEGABYTES = 10, 1000


@pytest.mark.parametrize("name", KINDS)
def test_the_files_that_are_damaged_below_can_be_read(name, tmp_path):
    assert verdict(KINDS[name], KINDS[name].content, tmp_path) is None


def attack(folder, seed, count):
    """Damage files, one kind after the other, and hand each to its reader."""
    names, rng = sorted(KINDS), random.Random(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = 0
    for number in range(count):
        kind = KINDS[names[number % len(names)]]
        told = f"{names[number % len(names)]}, file {number} of seed {seed}"
        content = damaged(kind.content, rng)
        place = folder / str(number)
        place.mkdir()
        began = time.process_time()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                error = verdict(kind, content, place)
            except TrifacetError as other:
                error = other
            except BaseException as other:
                raise AssertionError(f"{told}: {type(other).__name__}: {other}: {content[:500]!r}") from other
        assert time.process_time() - began < SECONDS, told
        assert not [one for one in said if not issubclass(one.category, DeprecationWarning | ResourceWarning)], (
            told,
            said,
        )
        if error is not None:
            refused += 1
            assert str(place) in str(error), f"{told}: names no file: {error}"
            assert len(str(error).splitlines()) == 1, f"{told}: {error!r}"
            assert len(str(error)) < 1500 + 2 * len(str(place)), f"{told}: {str(error)[:3000]}"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEGABYTES, f"{grown} MB more than before"
    return refused / count


def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path, capfd):
    assert 0.3 < attack(tmp_path, seed=19, count=6 * len(KINDS)) < 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.endurance
@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_damaged_files(tmp_path, capfd, seed):
    assert 0.3 < attack(tmp_path, seed, count=1000) < 1
    assert capfd.readouterr() == ("", "")
