"""Sending an export to a hub, by ``huggingface_hub``.

Invariant: what no program has verified, or what has changed since, is not sent unless that is asked; no token is told.
"""

from __future__ import annotations

import re

from trifacet.base.errors import TrifacetError, first_line
from trifacet.models.checkpoint import quiet
from trifacet.publishing.folder import ExportFolder

_TOKEN = re.compile(r"hf_\w+|(?<=Bearer )\S+")


def upload(export: ExportFolder, repository: str, *, private: bool) -> str:
    """Put the files of an export into a model repository of the hub (``HF_ENDPOINT``), made if need be.

    Args:
        export: finished.
        repository: ``OWNER/NAME``.
        private: make a new repository private.

    Returns:
        its address.

    Raises:
        TrifacetError: a file has changed, or the hub refuses or cannot be reached; what it says, without tokens.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils import disable_progress_bars

    export.refuse_changed()
    disable_progress_bars()
    hub = HfApi()
    try:
        with quiet():
            address = hub.create_repo(repository, private=private, exist_ok=True)
            hub.upload_folder(
                repo_id=repository, folder_path=export.path, allow_patterns=export.files,
                commit_message="Exported by Trifacet",
            )  # fmt: skip
    except Exception as error:  # whatever the client and the network make of it
        said = first_line(error)
        for secret in filter(None, [get_token()]):
            said = said.replace(secret, "***")
        raise TrifacetError(f"{repository}: the hub at {hub.endpoint} says: {_TOKEN.sub('***', said)}") from None
    return str(address)
