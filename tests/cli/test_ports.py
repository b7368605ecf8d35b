"""Commands that listen have a port each, and say what to do where it is in use."""

import socket

import pytest
import typer

from trifacet.base.errors import TrifacetError
from trifacet.cli.main import app
from trifacet.web.server import bind


def ports(command, name=""):
    """The default of ``--port``, by command."""
    if hasattr(command, "commands"):
        return {key: port for sub, one in command.commands.items() for key, port in ports(one, f"{name} {sub}").items()}
    return {name.strip(): one.default for one in command.params if "--port" in one.opts}


def test_no_two_commands_listen_at_one_port():
    found = ports(typer.main.get_command(app))
    assert {"review", "alt review", "serve"} <= found.keys()
    assert len(set(found.values())) == len(found) and all(1024 < port < 65536 for port in found.values()), found


def test_a_port_in_use_is_one_line_that_names_the_option():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(TrifacetError) as error:
            bind("127.0.0.1", port)
    assert str(error.value) == (
        f"port {port} of 127.0.0.1 is in use; end what listens there, or name another by --port (0: a free one)"
    )
