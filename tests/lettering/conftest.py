"""The real engine, opened once."""

import pytest


@pytest.fixture(scope="session")
def rapid():
    pytest.importorskip("rapidocr", reason="pip install 'trifacet[lettering]'")
    from trifacet.lettering.engines.rapid import Rapid
    from trifacet.lettering.settings import Reading

    return Rapid(Reading())
