"""Errors are one line: what is wrong is named once, with the right cure."""

import errno
import sqlite3

import pytest

from trifacet.base.errors import DataError, TrifacetError, cure_of, of_sample
from trifacet.base.files import append_durably, write_atomically
from trifacet.preferences.rejected.samples import image_donors


def test_a_sample_is_named_once():
    with pytest.raises(TrifacetError) as caught:
        image_donors(["a.png"], 0, seed=0, sample_id="p0")
    assert str(caught.value).startswith("sample 'p0': no other sample")
    assert str(of_sample("p0", caught.value)) == str(caught.value)
    assert str(of_sample("p0", TrifacetError("is bad"))) == "sample 'p0': is bad"
    damaged = of_sample("p0", DataError("is damaged", fix="mend it", file="x.png"), "image")
    assert str(damaged) == "field 'image': sample 'p0': is damaged; mend it"
    assert str(of_sample("p0", damaged, "image")) == str(damaged)


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(errno.ENOSPC, "x"), "free some space"),
        (OSError(errno.EDQUOT, "x"), "free some space"),
        (sqlite3.OperationalError("database or disk is full"), "free some space"),
        (OSError("I/O error: No space left on device (os error 28)"), "free some space"),  # of safetensors
        (OSError(errno.EMFILE, "x"), "let fewer work at the same time, or allow more open files (ulimit -n)"),
        (OSError(errno.ENAMETOOLONG, "x"), "use a shorter name"),
        (OSError(errno.EACCES, "x"), "choose another path"),
        (sqlite3.OperationalError("unable to open database file"), "choose another path"),
    ],
)
def test_the_cure_is_that_of_the_error(error, cure):
    assert cure_of(error) == cure


def test_a_file_that_cannot_be_written_for_want_of_handles_needs_no_space(tmp_path, monkeypatch):
    def none_left(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("pathlib.Path.open", none_left)
    monkeypatch.setattr("pathlib.Path.write_text", none_left)
    for write in (lambda path: write_atomically(path, "x"), lambda path: append_durably(path, b"x")):
        with pytest.raises(TrifacetError, match="Too many open files; let fewer work at the same time"):
            write(tmp_path / "x")
