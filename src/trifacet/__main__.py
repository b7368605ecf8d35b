"""``python -m trifacet`` is ``trifacet``: what launchers such as torchrun take. Invariant: nothing but the call."""

from trifacet.cli.main import command

command()
