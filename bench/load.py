"""A load of HTTP GETs over kept-alive connections on loopback, light enough to share the machine with the server."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What came back: latencies in milliseconds, ascending, of the answers with status 200."""

    seconds: float
    latencies: Sequence[float]
    refused: int

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    said = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if said.get(b"transfer-encoding", b"").strip() == b"chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:
        await reader.readexactly(int(said.get(b"content-length", 0)))
    return int(head[9:12])


async def _connection(url: str, paths: Sequence[str], first: int, step: int, until: float) -> list[tuple[int, float]]:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.hostname.startswith("127.")
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    answers = []
    position = first
    while time.perf_counter() < until:
        path = paths[position % len(paths)]
        position += step
        started = time.perf_counter()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept-Language: zh\r\n\r\n".encode())
        status = await _answer(reader)
        answers.append((status, (time.perf_counter() - started) * 1000))
    writer.close()
    return answers


async def _all(url: str, paths: Sequence[str], connections: int, seconds: float) -> Load:
    started = time.perf_counter()
    until = started + seconds
    done = await asyncio.gather(*(_connection(url, paths, number, connections, until) for number in range(connections)))
    elapsed = time.perf_counter() - started
    answers = [answer for one in done for answer in one]
    good = sorted(ms for status, ms in answers if status == 200)
    return Load(elapsed, good, len(answers) - len(good))


def run(url: str, paths: Sequence[str], *, connections: int = 16, seconds: float = 20) -> Load:
    """Ask `url` for the paths in turn, over so many connections at once, for so long."""
    import uvloop

    return uvloop.run(_all(url, paths, connections, seconds))
