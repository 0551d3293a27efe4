"""As much of the Hugging Face Hub's HTTP as push and pull use, in memory, for one repository at a time."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "c" * 40


class Hub:
    """What was asked, and what lies in each repository: `kind/USER/NAME` -> file -> bytes."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_POST(self) -> None:
        """Repositories are made, uploads announced and committed."""
        parts, body = self._begin(), self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts[1:3] == ["repos", "create"]:
            asked = json.loads(body)
            name = (
                f"{asked.get('type') or 'model'}s/{asked.get('organization') or 'user'}/{asked['name'].split('/')[-1]}"
            )
            there = name in self.hub.files
            self.hub.files.setdefault(name, {})
            self.hub.private.setdefault(name, asked.get("private") or asked.get("visibility") == "private")
            self._json({"url": f"{self.hub.url}/{name.removeprefix('models/')}"}, 409 if there else 200)
        elif parts[-2] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif parts[-2] == "commit":
            lines = [json.loads(line) for line in body.splitlines()]
            into = self.hub.files["/".join(parts[1:4])]
            for line in lines:
                if line["key"] == "file":
                    into[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._json({"commitUrl": f"{self.hub.url}/{parts[2]}/{parts[3]}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self._json({})

    def do_HEAD(self) -> None:
        """A file's facts."""
        self._file(self._begin(), send=False)

    def do_GET(self) -> None:
        """Facts of a repository, its tree, or a file."""
        parts = self._begin()
        if parts[0] != "api":
            return self._file(parts, send=True)
        name = "/".join(parts[1:4])
        if name not in self.hub.files:
            return self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        files = self.hub.files[name]
        if "tree" in parts:
            return self._json([
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in files.items()
            ])  # fmt: skip
        facts = {"id": f"{parts[2]}/{parts[3]}", "sha": COMMIT, "private": self.hub.private[name]}
        return self._json({**facts, "siblings": [{"rfilename": path} for path in files]})

    def _begin(self) -> list[str]:
        path = unquote(self.path.split("?")[0])
        self.hub.asked.append(f"{self.command} {path}")
        self.hub.tokens.add(self.headers.get("Authorization"))
        return path.strip("/").split("/")

    def _file(self, parts: list[str], *, send: bool) -> None:
        kind, parts = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
        data = self.hub.files.get("/".join([kind, *parts[:2]]), {}).get("/".join(parts[4:]))
        if data is None:
            return self._json({"error": "not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        self.send_response(200)
        for name, value in {
            "X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"', "Content-Length": str(len(data)),
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if send:
            self.wfile.write(data)
        return None

    def _json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub on this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
