"""A small OpenAI-compatible server of ours: known log-probabilities, and faults on demand."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# A fault takes the number of the request (from 0) and says what happens instead of an answer:
# (status, headers), "cut" for a connection that ends in the middle, or None for an answer.
Fault = Callable[[int], tuple[int, dict[str, str]] | str | None]


class FakeServer(ThreadingHTTPServer):
    """Answers every prompt with the log-probabilities in `listed`, by token id or, for chats, by text.

    Attributes:
        exact: Log-probabilities of tokens asked for by id; None where that extension is not known, "refuse" where
            it is refused.
        seen: The bodies of the requests that were answered.
        sent: Path and headers of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.listed: dict[int | str, float] = {}
        self.exact: dict[int, float] | str | None = None
        self.models: list[dict[str, Any]] = [{"id": "identity_em/base", "max_model_len": 512}]
        self.key: str | None = None
        self.fault: Fault = lambda number: None
        self.text = "Answer: B"
        self.seen: list[dict[str, Any]] = []
        self.sent: list[tuple[str, dict[str, str]]] = []
        self.asked = 0
        self.statuses: Counter[int] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in these tests; that is no news."""

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body["model"] not in {model["id"] for model in self.models}:
            return 404, {"error": {"message": "no such model", "type": "NotFoundError"}}
        if "logprob_token_ids" in body and self.exact == "refuse":
            return 400, {"error": {"message": f"unknown field; the prompt was {body['prompt']}"}}
        self.seen.append(body)
        return 200, self._chat(body) if path.endswith("/chat/completions") else self._completion(body)

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        logprobs = None
        if "logprobs" in body:
            ids = body.get("logprob_token_ids", [])
            listed = {i: self.exact[i] for i in ids} if isinstance(self.exact, dict) else self.listed
            logprobs = {"top_logprobs": [{f"token_id:{i}": log for i, log in listed.items()}], "tokens": ["?"]}
        choice = {"text": self.text, "logprobs": logprobs, "finish_reason": "stop"}
        choices = [{**choice, "index": index} for index in range(body["n"])]
        return {"id": "c", "object": "text_completion", "created": 0, "model": body["model"], "choices": choices}

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        top = [{"token": text, "logprob": log, "bytes": None} for text, log in self.listed.items()]
        logprobs = {"content": [{**top[0], "top_logprobs": top}]} if body.get("logprobs") else None
        message = {"role": "assistant", "content": self.text}
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
        choices = [{**choice, "index": index} for index in range(body["n"])]
        return {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"], "choices": choices}


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._refused():
            return
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"object": "model", **m} for m in self.server.models]})
        elif self.path == "/version":
            self._send(200, {"version": "0.0-fake"})
        else:
            self._send(404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        with self.server.lock:
            number, self.server.asked = self.server.asked, self.server.asked + 1
            fault = self.server.fault(number)
        match fault:
            case None:
                self._send(*self.server.answer(self.path, body))
            case "cut":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
                self.close_connection = True
            case (int() as status, dict() as headers):
                self._send(status, {"error": {"message": f"you sent {body}"}}, headers)

    def _refused(self) -> bool:
        self.server.sent.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.server.key is None or self.headers.get("Authorization") == f"Bearer {self.server.key}":
            return False
        self._send(401, {"error": {"message": f"bad key {self.headers.get('Authorization')}"}})
        return True

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.server.statuses[status] += 1
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def running() -> Iterator[FakeServer]:
    """A server in a thread of this process."""
    with FakeServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
