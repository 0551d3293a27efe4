"""The server itself: HTTP in, the API's objects out."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.api_server.batches import Batches
from tests.api_server.chat import Speaker, complete
from tests.api_server.faults import Faults
from tests.api_server.objects import ApiError, State, page
from tests.api_server.tuning import Train, Tuning

_STATUS = {"429": 429, "500": 500, "503": 503, "401": 401}


class ApiServer:
    """A running server; use as a context manager.

    Args:
        folder: Where files and adapters are kept.
        speaker: Who answers chats; None where none are asked.
        train: Trains a stage; None makes models without training.
        hold: Seconds that jobs and batches take at the least.

    Attributes:
        watch: Called with "before" and "after" what each request does, and the request.
    """

    def __init__(
        self, folder: Path, *, speaker: Speaker | None = None, train: Train | None = None, hold: float = 0.0,
        port: int = 0,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self.state, self.faults, self.speaker = State(folder), Faults(), speaker
        self.watch: Callable[[str, str], None] = lambda side, request: None
        self.tuning = Tuning(self.state, train, hold=hold)
        self.batches = Batches(self.state, self.chat, hold=hold)
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        """What OPENAI_BASE_URL is set to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> ApiServer:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def serve(self) -> None:
        """Serve in this thread until it is interrupted."""
        self._http.serve_forever()

    def chat(self, body: Any) -> dict[str, Any]:
        """One chat completion."""
        if self.speaker is None:
            raise ApiError(503, "no model is loaded", kind="server_error")
        return complete(self.state, self.speaker, body)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, raw: bytes, kind: str) -> Any:
        """The API's answer to one request; bytes for a file's content."""
        state, parts = self.state, path.strip("/").split("/")[1:]
        match method, *parts:
            case "POST", "files":
                fields = _form(raw, kind)
                data, name = fields["file"]
                return state.add_file(data, name, fields["purpose"][0].decode())
            case "GET", "files":
                found = [f for f in state.files.values() if query.get("purpose", f["purpose"]) == f["purpose"]]
                return page(found, {"limit": "10000", **query})
            case "GET", "files", name, "content":
                return state.content(name)
            case "GET", "files", name:
                state.content(name)
                return state.files[name]
            case "DELETE", "files", name:
                state.content(name)
                del state.files[name]
                return {"id": name, "object": "file", "deleted": True}
            case "POST", "fine_tuning", "jobs":
                return self.tuning.create(body)
            case "GET", "fine_tuning", "jobs":
                wanted = {k[9:-1]: v for k, v in query.items() if k.startswith("metadata[")}
                jobs = [j for j in state.jobs.values() if wanted.items() <= j["metadata"].items()]
                return page(jobs, query)
            case "GET", "fine_tuning", "jobs", name:
                return self.tuning.job(name)
            case "POST", "fine_tuning", "jobs", name, "cancel":
                return self.tuning.cancel(name)
            case "GET", "fine_tuning", "jobs", name, "events":
                self.tuning.job(name)
                return page(state.events[name], query)
            case "GET", "models":
                return {"object": "list", "data": [_model(m) for m in state.models]}
            case "GET", "models", name:
                return _model(state.model(name).id)
            case "POST", "chat", "completions":
                return self.chat(body)
            case "POST", "batches":
                return self.batches.create(body)
            case "GET", "batches":
                return page(list(state.batches.values()), query)
            case "GET", "batches", name:
                return self.batches.batch(name)
            case "GET", "_state":
                return state.summary()
        raise ApiError(404, f"Invalid URL ({method} {path})", code="unknown_url")


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "local"}


def _form(raw: bytes, kind: str) -> dict[str, tuple[bytes, str]]:
    """The fields of a multipart form: content and file name."""
    whole = b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw
    message = email.message_from_bytes(whole, policy=email.policy.HTTP)
    found = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(name)] = (content, part.get_filename() or "")
    return found


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

        def handle(self) -> None:
            with suppress(ConnectionError):  # a client that was killed
                super().handle()

        def do_GET(self) -> None:
            self._serve("GET")

        def do_POST(self) -> None:
            self._serve("POST")

        def do_DELETE(self) -> None:
            self._serve("DELETE")

        def _serve(self, method: str) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            request = f"{method} {url.path}"
            if not url.path.endswith("/_state"):
                server.state.requests.append(request)
            server.watch("before", request)
            fault = server.faults.at(request)
            if fault and fault[0] == "cut":
                self._cut()
                return
            if fault and fault[0] in _STATUS:
                error = ApiError(_STATUS[fault[0]], "a fault on demand", code="fault", kind="server_error")
                self._reply(error.status, error.body, retry_after=fault[1])
                return
            if fault and fault[0] == "slow":
                time.sleep(fault[1])
            status, body = self._answered(method, url.path, dict(parse_qsl(url.query)), raw)
            server.watch("after", request)
            if fault and fault[0] == "lost":
                self._cut()
                return
            self._reply(status, body)

        def _answered(self, method: str, path: str, query: dict[str, str], raw: bytes) -> tuple[int, Any]:
            kind = self.headers.get("Content-Type") or ""
            try:
                if self.headers.get("Authorization") != f"Bearer {server.state.key}":
                    raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
                body = json.loads(raw) if raw and kind.startswith("application/json") else None
                return 200, server.answer(method, path, query, body, raw, kind)
            except ApiError as error:
                return error.status, error.body

        def _reply(self, status: int, body: Any, *, retry_after: float | None = None) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/octet-stream" if body is content else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(server.state.now())))
            if retry_after is not None:
                self.send_header("Retry-After", str(retry_after))
            self.end_headers()
            self.wfile.write(content)

        def _cut(self) -> None:
            self.close_connection = True
            with suppress(OSError):  # it may be cut already
                self.connection.shutdown(socket.SHUT_RDWR)

    return Handler
