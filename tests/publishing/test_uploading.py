"""Uploads by the real client, to a server of this file on loopback that speaks what that client asks of a hub."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from trifacet.publishing.exporting import Export, export
from trifacet.publishing.folder import MARK

TOKEN = "hf_thisMustNotBeSeenAnywhere"
REPOSITORY = "someone/kites"


class Hub(BaseHTTPRequestHandler):
    """A repository: made, asked what goes where, given large files one by one and the others in a commit."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub = self.server
        hub.tokens.add(self.headers.get("Authorization"))
        if hub.refusing:
            self.answer(403, {"error": f"forbidden for {self.headers.get('Authorization')}"})
        elif self.path == "/api/repos/create":
            hub.created.append(json.loads(body))
            self.answer(200, {"url": f"{hub.address}/{REPOSITORY}", "id": REPOSITORY, "name": REPOSITORY})
        elif self.path == "/api/validate-yaml":  # of the card
            front = json.loads(body)["content"].split("---\n")[1]
            assert yaml.safe_load(front)["library_name"] == "transformers"
            self.answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = ["lfs" if file["path"].endswith(".safetensors") else "regular" for file in files]
            told = [
                {"path": f["path"], "uploadMode": m, "shouldIgnore": False} for f, m in zip(files, modes, strict=True)
            ]
            self.answer(200, {"files": told})
        elif self.path == f"/{REPOSITORY}.git/info/lfs/objects/batch":
            objects = json.loads(body)["objects"]
            told = [
                {**one, "actions": {"upload": {"href": f"{hub.address}/objects/{one['oid']}", "header": {}}}}
                for one in objects
            ]
            self.answer(200, {"transfer": "basic", "objects": told})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                told = json.loads(line)
                if told["key"] == "file":
                    hub.files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
                if told["key"] == "lfsFile":
                    hub.files[told["value"]["path"]] = hub.objects[told["value"]["oid"]]
            self.answer(
                200, {"commitOid": "0" * 40, "commitUrl": f"{hub.address}/{REPOSITORY}/commit/0", "success": True}
            )
        else:
            self.answer(404, {"error": self.path})

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == f"/objects/{hashlib.sha256(data).hexdigest()}"
        self.server.objects[self.path.rpartition("/")[2]] = data
        self.answer(200, {})

    def do_GET(self):
        if self.path.startswith(f"/api/models/{REPOSITORY}/"):
            self.answer(200, [])  # its tree
        elif self.path.startswith(f"/api/models/{REPOSITORY}"):
            self.answer(200, {"id": REPOSITORY, "sha": "0" * 40, "siblings": [], "private": False, "tags": []})
        else:
            self.answer(404, {"error": self.path})

    def answer(self, code, told):
        data = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.address = f"http://127.0.0.1:{server.server_port}"
        server.created, server.files, server.objects, server.tokens, server.refusing = [], {}, {}, set(), False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def uploaded(hub, family_folders, tmp_path):
    """The command in a process of its own, which reads the hub's address as it starts."""

    def run(*options, folder="made"):
        model = family_folders("llava")
        command = [sys.executable, "-m", "trifacet", "export", str(model), "--to", "hub-folder", *options]
        command += ["--output", str(tmp_path / folder), "--upload", REPOSITORY]
        env = {**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env={**env, "HF_HUB_OFFLINE": "0", "COLUMNS": "300"}
        )
        assert TOKEN not in done.stdout + done.stderr
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes()
        return done.returncode, done.stdout, done.stderr

    return run


def is_private(created):
    """As this release of the client says it, and as earlier ones did."""
    return bool(created.get("private")) or created.get("visibility") == "private"


def test_what_is_verified_arrives_whole_and_nothing_else(hub, uploaded, tmp_path):
    code, out, err = uploaded("--check")
    assert code == 0 and "verified" in out and f"uploaded to {hub.address}/{REPOSITORY}" in err, err
    made = tmp_path / "made"
    there = {path.name: path.read_bytes() for path in made.iterdir() if path.name not in {MARK, ".lock"}}
    assert hub.files == there and "model.safetensors" in there and "README.md" in there
    assert len(hub.objects) == 1 and hub.tokens == {f"Bearer {TOKEN}"}
    assert [(one["name"], one["organization"], is_private(one)) for one in hub.created] == [("kites", "someone", True)]


def test_what_nothing_has_verified_is_not_sent_unless_asked(hub, uploaded, tmp_path, family_folders):
    export(Export(str(family_folders("llava")), "hub-folder", tmp_path / "made"))
    code, _, err = uploaded()
    assert code == 2 and "nothing has verified it" in err and hub.created == [] and err.count("\n") == 1
    code, _, err = uploaded("--unverified", "--public")
    assert code == 0 and "README.md" in hub.files and not is_private(hub.created[0]), err


def test_what_has_changed_or_is_refused_is_one_line(hub, uploaded, tmp_path):
    hub.refusing = True
    code, _, err = uploaded("--unverified")
    assert code == 2 and re.match(rf"error: {REPOSITORY}: the hub at http://127.0.0.1:\d+ says: ", err), err
    assert err.count("\n") == 1 and hub.tokens == {f"Bearer {TOKEN}"}
    hub.refusing = False
    (tmp_path / "made" / "README.md").write_text("another")
    code, _, err = uploaded("--unverified")
    assert code == 2 and "README.md" in err and "since it was exported" in err and hub.created == [], err
