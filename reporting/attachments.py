"""Files that reporters send: which are taken, what they would have betrayed, and a copy of each without it.

    examine([("photo.jpg", data)])  # [Examined(name, media_type, data, cleaned, betrayed, refusal)]

What takes a file apart runs in a process of its own (`reporting.examining`) with limits of memory and time; it gets the
content through a pipe, so nothing touches a disk. A file that ends that process is refused, and the others go on.
"""

import json
import os
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import structlog

from portal.kit.errors import PortalError
from record.codes import Labels

AT_ONCE = 2
"""Children that work at once in a process."""
SECONDS = 45.0
"""How long one file may take."""
MOST_BYTES = 15_000_000
MOST_BYTES_OF_A_RECORDING = 50_000_000
LONGEST_NAME = 120

ENDINGS = (
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".pdf", ".docx", ".xlsx", ".txt", ".csv", ".mp4", ".mov", ".m4a", ".mp3",
    ".wav",
)  # fmt: skip
ALLOWED = ENDINGS
"""What a form's file field offers."""
_RECORDINGS = (".mp4", ".mov", ".m4a", ".mp3", ".wav")

BETRAYED: Labels = {
    "place": ("拍摄地点", "Where it was taken"),
    "taken": ("拍摄或创建时间", "When it was made"),
    "device": ("设备型号", "With which device"),
    "serial": ("设备序列号", "The device's serial number"),
    "author": ("作者或公司名称", "Names of people or companies"),
    "software": ("所用软件", "With which program"),
    "thumbnail": ("原始画面的缩略图", "A small picture of the original, before it was cut"),
    "comment": ("隐藏的文字", "Hidden words"),
    "history": ("修改历史", "How it was edited"),
    "attached": ("内嵌的其他文件或脚本", "Files or programs inside it"),
    "appended": ("文件末尾附加的数据", "Data behind its end"),
}
"""What a file may tell beside what it shows."""


class ExaminersBusy(PortalError):
    status = 503
    slug = "attachment-busy"
    title = "Many files are being looked at just now."
    remedy = "Send it again in a minute, or without the files; you can add them later behind your receipt."


class FileEmpty(PortalError):
    status = 422
    slug = "attachment-empty"
    title = "This file is empty."
    remedy = "Choose it again; perhaps it was still being saved."


class FileTooLarge(PortalError):
    status = 413
    slug = "attachment-too-large"
    title = "This file is too large."
    remedy = "Photos and documents may have 15 MB, video and sound 50 MB. Send a smaller copy, or a part of it."


class FileNameRefused(PortalError):
    status = 422
    slug = "attachment-name"
    title = "Files with this ending are not taken."
    remedy = (
        "Send photos as JPEG or PNG, documents as PDF, .docx, .xlsx or .txt, video as MP4, sound as MP3, M4A or WAV."
    )


class FileTypeRefused(PortalError):
    status = 415
    slug = "attachment-type"
    title = "This kind of file is not taken."
    remedy = (
        "Send photos as JPEG or PNG, documents as PDF, .docx, .xlsx or .txt, video as MP4, sound as MP3, M4A or WAV."
    )


class FileDisguised(PortalError):
    status = 422
    slug = "attachment-disguised"
    title = "This file is two things at once: something else is hidden in it."
    remedy = "Open it, save it again under a new name or take a screenshot of it, and send that."


class FileLocked(PortalError):
    status = 422
    slug = "attachment-locked"
    title = "This file is protected by a password."
    remedy = "Save a copy without the password and send that."


class FileWithPrograms(PortalError):
    status = 422
    slug = "attachment-with-programs"
    title = "This document holds macros, programs, or content that it fetches from elsewhere."
    remedy = "Save it as PDF and send that."


class FileUnpacksTooFar(PortalError):
    status = 422
    slug = "attachment-unpacks-too-far"
    title = "Unpacked, this file would be far larger than it looks."
    remedy = "Save it as PDF, or send a part of it."


class TooManyPixels(PortalError):
    status = 422
    slug = "attachment-too-many-pixels"
    title = "This picture has too many pixels."
    remedy = "Send it in a smaller size: 60 megapixels are the most, of a moving picture in all frames together."


class FileUnreadable(PortalError):
    status = 422
    slug = "attachment-unreadable"
    title = "This file is damaged, or cannot be read safely."
    remedy = "Open it and save it again, or take a screenshot of it, and send that."


_REFUSALS: dict[str, type[PortalError]] = {
    each.slug: each
    for each in (
        FileEmpty, FileTooLarge, FileNameRefused, FileTypeRefused, FileDisguised, FileLocked, FileWithPrograms,
        FileUnpacksTooFar, TooManyPixels, FileUnreadable,
    )
}  # fmt: skip

log = structlog.get_logger()
_working = threading.BoundedSemaphore(AT_ONCE)
_in_line = threading.BoundedSemaphore(AT_ONCE + 1)
"""One form may wait for its turn; more would take the threads that everybody else is served by."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about one file."""

    name: str
    """As the sender calls it, without what cannot be shown."""
    media_type: str = ""
    """By its content."""
    data: bytes = field(default=b"", repr=False)
    cleaned: bytes | None = field(default=None, repr=False)
    """A copy without anything that it does not show."""
    betrayed: Sequence[tuple[str, str]] = ()
    """Codes of BETRAYED, each with what the file says there."""
    refusal: PortalError | None = None


def examine(files: Sequence[tuple[str, bytes]]) -> list[Examined]:
    """Look at files one by one. A refused one has a `refusal`, and nothing else of it counts. Raises ExaminersBusy."""
    if not files:
        return []
    if not _in_line.acquire(blocking=False):
        raise ExaminersBusy
    try:
        with _working:
            return _one_by_one(files)
    finally:
        _in_line.release()


def _one_by_one(files: Sequence[tuple[str, bytes]]) -> list[Examined]:
    found: list[Examined] = []
    child: _Child | None = None
    try:
        for sent_name, data in files:
            name = shown_name(sent_name)
            refusal = _at_first_sight(name, data)
            if refusal is not None:
                found.append(Examined(name, refusal=refusal))
                continue
            child = child or _Child()
            answer = child.ask(name, data)
            if answer is None:  # the file ended the child, or took too long
                log.warning("attachment.ended_its_child")
                child.close()
                child = None
                found.append(Examined(name, refusal=FileUnreadable()))
            else:
                found.append(_examined(name, data, *answer))
    finally:
        if child is not None:
            child.close()
    return found


_UNSHOWN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def shown_name(sent: str) -> str:
    """A file's name without folders and without characters that hide what it is."""
    last = unicodedata.normalize("NFC", sent).replace("\\", "/").rsplit("/", 1)[-1]
    name = _UNSHOWN.sub("", last).strip(" .") or "file"
    stem, dot, ending = name.rpartition(".")
    return (
        name if len(name) <= LONGEST_NAME else f"{stem[: LONGEST_NAME - len(ending) - 1]}{dot}{ending}"[:LONGEST_NAME]
    )


_NEVER = frozenset(
    (
        "ade", "app", "apk", "bat", "bin", "cmd", "com", "cpl", "dll", "dmg", "docm", "dotm", "exe", "gadget",
        "hta", "htm", "html", "img", "inf", "iso", "jar", "js", "jse", "lnk", "mht", "mhtml", "msi", "msp", "php",
        "pif", "pl", "potm", "ppam", "pptm", "ps1", "py", "rar", "reg", "scf", "scr", "sh", "svg", "svgz", "swf",
        "sys", "tar", "vbe", "vbs", "wsf", "xhtml", "xlam", "xlsb", "xlsm", "xltm", "xml", "xsl", "zip", "7z",
        "gz", "bz2", "xz",
    )
)  # fmt: skip


def _at_first_sight(name: str, data: bytes) -> PortalError | None:
    if not data:
        return FileEmpty()
    parts = name.lower().split(".")[1:]
    if any(part.strip() in _NEVER for part in parts):
        return FileNameRefused()
    if f".{parts[-1] if parts else ''}" not in ENDINGS:
        return FileNameRefused()
    if len(data) > (MOST_BYTES_OF_A_RECORDING if name.lower().endswith(_RECORDINGS) else MOST_BYTES):
        return FileTooLarge()
    return None


def _examined(name: str, data: bytes, said: dict[str, Any], cleaned: bytes | None) -> Examined:
    if "refused" in said:
        return Examined(name, refusal=_REFUSALS.get(said["refused"], FileUnreadable)())
    if len(data) > MOST_BYTES and not said["media_type"].startswith(("video/", "audio/")):
        return Examined(name, refusal=FileTooLarge())
    betrayed = tuple((str(code), str(value)[:200]) for code, value in said["betrayed"] if code in BETRAYED)
    return Examined(name, said["media_type"], data, cleaned, betrayed)


class _Child:
    """A process that takes files apart, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", "from reporting.examining import main; main()"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"}, cwd=Path("/"), close_fds=True,
        )  # fmt: skip

    def ask(self, name: str, data: bytes) -> tuple[dict[str, Any], bytes | None] | None:
        """What the child says of a file, and its cleaned copy; None when there is no child any more."""
        timer = threading.Timer(SECONDS, self._process.kill)
        timer.start()
        try:
            to, back = self._process.stdin, self._process.stdout
            if to is None or back is None:
                return None
            to.write(json.dumps({"name": name, "bytes": len(data)}).encode() + b"\n")
            to.write(data)
            to.flush()
            return _answer(back)
        except (OSError, ValueError):
            return None
        finally:
            timer.cancel()

    def close(self) -> None:
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def _answer(back: IO[bytes]) -> tuple[dict[str, Any], bytes | None] | None:
    line = back.readline(100_000)
    if not line:
        return None
    said: dict[str, Any] = json.loads(line)
    size = said.get("bytes")
    if size is None:
        return said, None
    cleaned = back.read(size)
    return (said, cleaned) if len(cleaned) == size else None
