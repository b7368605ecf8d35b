"""Pictures as a request carries them."""

import base64


def data_url(path):
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
