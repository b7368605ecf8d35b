"""Exactness is shown of the way that large batches take, in which feed-forward networks keep their products alone."""

import pytest

from trifacet.engine import scoring


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch):
    monkeypatch.setattr(scoring, "WIDE_AT_ONCE", 0)
