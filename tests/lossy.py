"""A line that loses requests on the way there, and answers on the way back."""

import contextlib
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Line:
    """What happens on the line: all of it lost (`down`), or a share before and after."""

    def __init__(self, target: str, lost: float, seed: int) -> None:
        self.down, self.lost, self.chance = False, lost, random.Random(seed)
        self.before = self.after = self.through = 0
        self.http = httpx.Client(base_url=target, timeout=30)
        self.lock = threading.Lock()
        self.url = ""

    def loses(self) -> bool:
        with self.lock:
            return self.down or self.chance.random() < self.lost


def _handler(line: Line) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if line.loses():
                line.before += 1
                self._hang_up()
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
            answer = line.http.request(self.command, self.path, content=body, headers=headers)
            if line.loses():
                line.after += 1
                self._hang_up()
                return
            line.through += 1
            self.send_response_only(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in HOP | {"content-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = _pass  # noqa: N815

        def _hang_up(self) -> None:
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200


@contextlib.contextmanager
def lossy(target: str, lost: float = 0.2, seed: int = 7) -> Iterator[Line]:
    line = Line(target, lost, seed)
    server = _Server(("127.0.0.1", 0), _handler(line))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield line
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
        line.http.close()
