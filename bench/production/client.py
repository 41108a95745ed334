"""HTTP/1.1 over kept-alive connections on loopback, light enough to share the machine with the server."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

LONGEST_ANSWER_SECONDS = 30.0


class Cut(Exception):
    """No answer came: the connection was refused, closed or silent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how many milliseconds its last byte did."""

    status: int
    headers: dict[str, str]
    body: bytes
    ms: float


@dataclass(slots=True)
class Client:
    """Any number of requests at once, each on a connection of its own while it is under way."""

    port: int
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Raises Cut."""
        head = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body)), **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        started = time.perf_counter()
        writer = None
        try:
            async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
                reader, writer = await self._connection()
                writer.write("\r\n".join(lines).encode() + body)
                status, answered, content = await _read(reader, method)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            if writer is not None:
                writer.close()
            raise Cut(type(error).__name__) from error
        self._idle.append((reader, writer))
        return Answer(status, answered, content, (time.perf_counter() - started) * 1000)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port, limit=2**22)

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            with contextlib.suppress(RuntimeError):
                self._idle.pop()[1].close()


async def _read(reader: asyncio.StreamReader, method: str) -> tuple[int, dict[str, str], bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    if method == "HEAD" or status in (204, 304):
        return status, headers, b""
    if headers.get("transfer-encoding") == "chunked":
        parts = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return status, headers, b"".join(parts)
    return status, headers, await reader.readexactly(int(headers.get("content-length", 0)))
