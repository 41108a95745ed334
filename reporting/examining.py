"""The process that takes files apart: it reads them from a pipe and answers on another.

For each file one line of JSON comes in (`name`, `bytes`) and then its content; out goes one line (`media_type`,
`betrayed`, `bytes`; or `refused`) and then the cleaned copy. It imports nothing of the portal, opens no file, and has
little memory and time: whatever a file does here, it does to nobody else.
"""

import io
import json
import resource
import sys
import zipfile

MEMORY_BYTES = 1_400_000_000
CPU_SECONDS = 120


class Refused(Exception):
    """A file that is not taken; its argument is the slug of a refusal in `reporting.attachments`."""


class Found:
    """What a file is, would have betrayed, and its copy without that."""

    def __init__(self, media_type: str, cleaned: bytes, betrayed: list[tuple[str, str]]) -> None:
        self.media_type = media_type
        self.cleaned = cleaned
        self.betrayed = betrayed


_PICTURES = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP", "image/gif": "GIF"}


def look(name: str, data: bytes) -> Found:
    """What one file is. Raises Refused."""
    kind = _kind_of(data)
    if kind in _PICTURES:
        from reporting import pictures

        _refuse_second_nature(data)
        return Found(kind, *pictures.cleaned(data, _PICTURES[kind]))
    if kind == "application/pdf":
        from reporting import documents

        _refuse_second_nature(data)
        return Found(kind, *documents.cleaned_pdf(data))
    if kind == "application/zip":
        from reporting import documents

        return Found(*documents.cleaned_office(data))
    if kind in ("video/mp4", "video/quicktime", "audio/mp4", "audio/mpeg", "audio/wav"):
        from reporting import recordings

        _refuse_second_nature(data)
        return Found(kind, *recordings.cleaned(data, kind))
    return Found("text/plain", *_text(name, data))


def _kind_of(data: bytes) -> str:
    """Its media type by its first bytes; empty for what might be text. Raises Refused for what is never taken."""
    import filetype

    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif"):
            raise Refused("attachment-type")
        return {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}.get(brand, "video/mp4")
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "audio/wav"
    if data[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        locked = "EncryptedPackage".encode("utf-16-le") in data
        raise Refused("attachment-locked" if locked else "attachment-type")
    if data[:5] == b"%PDF-":
        return "application/pdf"
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "application/zip"
    guessed = filetype.guess(data[:8_192])
    if guessed is None:
        return ""
    mime = str(guessed.mime)
    if mime not in _PICTURES and mime != "audio/mpeg":
        raise Refused("attachment-type")
    return mime


_STRANGERS = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08\x08")


def _refuse_second_nature(data: bytes) -> None:
    """Raises Refused for what other programs would take for something else (a polyglot)."""
    if zipfile.is_zipfile(io.BytesIO(data)) or any(sign in data for sign in _STRANGERS[:2]):
        raise Refused("attachment-disguised")
    if data[:5] != b"%PDF-" and b"%PDF-" in data[:2_048]:
        raise Refused("attachment-disguised")
    lowered = data[:2_048].lower()
    if any(sign in lowered for sign in (b"<html", b"<script", b"<svg", b"<?php")):
        raise Refused("attachment-disguised")


def appended_is_dangerous(tail: bytes) -> bool:
    """Whether what stands behind the end of a file is a file of its own that somebody might run or open."""
    start = tail.lstrip(b"\x00\r\n\t ")[:2_000].lower()
    signs = (b"mz", b"pk\x03\x04", b"\x7felf", b"#!", b"%pdf-", b"<html", b"<!doctype", b"<script", b"<svg", b"<?php")
    return start.startswith(signs) or any(sign in start for sign in (b"<script", b"<?php"))


_CODE = ("<!doctype", "<html", "<script", "<svg", "<?php", "<?xml", "{\\rtf", "#!", "mime-version:", "@echo off")


def _text(name: str, data: bytes) -> tuple[bytes, list[tuple[str, str]]]:
    if not name.lower().endswith((".txt", ".csv")):
        raise Refused("attachment-unreadable")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise Refused("attachment-type")
    if any(ord(char) < 32 and char not in "\t\r\n\x0c" for char in text[:200_000]):
        raise Refused("attachment-type")
    start = text[:4_000].lower()
    if start.lstrip().startswith(_CODE) or "<script" in start or "x5o!p%@ap" in start:
        raise Refused("attachment-disguised")
    return text.encode(), []


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answer for one file after the other until there are no more."""
    _limit()
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    while line := reader.readline(100_000):
        asked = json.loads(line)
        data = reader.read(asked["bytes"])
        cleaned = None
        try:
            found = look(asked["name"], data)
            cleaned = found.cleaned
            said = {"media_type": found.media_type, "betrayed": found.betrayed, "bytes": len(cleaned)}
        except Refused as refusal:
            said = {"refused": str(refusal)}
        except MemoryError:
            said = {"refused": "attachment-unpacks-too-far"}
        except Exception:  # whatever a parser makes of a hostile file
            said = {"refused": "attachment-unreadable"}
        writer.write(json.dumps(said).encode() + b"\n" + (cleaned or b""))
        writer.flush()
