"""A small HTTP/1.1 client that costs little: requests are bytes, answers are counted."""

import asyncio
import time
from collections.abc import Callable, Sequence


async def throughput(port: int, makers: Sequence[Callable[[], bytes]], seconds: float) -> float:
    """Requests a second, over a keep-alive connection for each maker of requests.

    Raises RuntimeError for an answer that is no success.
    """
    until = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_client(port, make, until) for make in makers))
    return sum(counts) / seconds


async def _client(port: int, make: Callable[[], bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    try:
        while time.perf_counter() < until:
            writer.write(make())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 2"):
                raise RuntimeError((head + body).decode()[:600])
            count += 1
    finally:
        writer.close()
    return count


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
