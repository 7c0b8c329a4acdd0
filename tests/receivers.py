"""A real HTTP server that webhooks are sent to, and what it does with them."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Headers = dict[str, str]


@dataclass
class Call:
    """One request as it came in, and when (real time)."""

    path: str
    headers: Headers
    body: str
    at: float


@dataclass
class Receiver:
    """Answers 200, or what `answers` says of a path: a status, a list of them, or a function."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    headers: Headers = field(default_factory=dict)
    at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most_at_once: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, path: str) -> list[Call]:
        return [one for one in self.calls if one.path == path]

    def answer(self, path: str) -> int:
        said = self.answers.get(path, 200)
        if isinstance(said, list):
            return int(said.pop(0) if len(said) > 1 else said[0])
        return int(said() if callable(said) else said)

    @contextlib.contextmanager
    def counted(self, path: str) -> Iterator[None]:
        with self.lock:
            self.at_once[path] += 1
            self.most_at_once[path] = max(self.most_at_once[path], self.at_once[path])
        try:
            yield
        finally:
            with self.lock:
                self.at_once[path] -= 1


def _handler(receiver: Receiver) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.calls.append(Call(self.path, headers, body, time.time()))
            with receiver.counted(self.path):
                status = receiver.answer(self.path)
            # Whoever asked may have gone.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of this machine."""
    receiver = Receiver()
    with _Server(("127.0.0.1", 0), _handler(receiver)) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join(10)
