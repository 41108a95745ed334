"""Video and sound: what they carry beside what is seen and heard, and a copy without it. Nothing is encoded anew."""

import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from reporting.examining import Refused, appended_is_dangerous

MOST_BOXES = 100_000
DEEPEST = 8

Betrayed = list[tuple[str, str]]


def cleaned(data: bytes, kind: str) -> tuple[bytes, Betrayed]:
    """A copy without metadata, and what it would have told. Raises Refused."""
    if kind == "audio/mpeg":
        return _mp3(data)
    if kind == "audio/wav":
        return _wav(data)
    return _mp4(data)


# ---- MP4, MOV, M4A (ISO/IEC 14496-12) -------------------------------------------------------------------------------

_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"edts", b"moof", b"traf", b"mvex")
_METADATA = (b"udta", b"meta", b"uuid", b"XMP_", b"ilst", b"keys", b"free", b"skip", b"gps ", b"GPS ")
_OUTERMOST = (b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"styp", b"wide", b"pdin")
"""What stands on its own in a film; anything else there is somebody's addition."""
_TIMED = (b"mvhd", b"tkhd", b"mdhd")
_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_FETCHED = re.compile(rb"[a-z]{3,6}://|\\\\\\\\[a-z]", re.IGNORECASE)
_NMEA = re.compile(rb"\$G[PNLAB](?:RMC|GGA|GLL),[ -~]{5,120}")
"""Sentences of a satellite receiver, as dashboard cameras write them between the pictures."""
_PLACE = re.compile(rb"[+-]\d{2}\.\d{2,6}[+-]\d{3}\.\d{2,6}")


def _mp4(data: bytes) -> tuple[bytes, Betrayed]:
    """Boxes with metadata become free space of the same size, so that no offset moves; times become nought."""
    out = bytearray(data)
    betrayed: dict[str, str] = {}
    added = {start for kind, start, *_ in _boxes(data, 0, len(data), DEEPEST) if kind not in _OUTERMOST}
    for seen, (kind, start, body, end) in enumerate(_boxes(data, 0, len(data), 0)):
        if seen > MOST_BOXES:
            raise Refused("attachment-unpacks-too-far")
        if kind == b"dref" and _FETCHED.search(data[body:end]):
            raise Refused("attachment-with-programs")
        if kind in _METADATA or start in added or (kind == b"trak" and _is_of_metadata(data[body:end])):
            _note(betrayed, data[body:end])
            out[start + 4 : start + 8] = b"free"
            out[body:end] = bytes(end - body)
        elif kind in _TIMED:
            wide = data[body] == 1
            made = int.from_bytes(data[body + 4 : body + (12 if wide else 8)])
            if made:
                day = _EPOCH + timedelta(seconds=made) if made < 2**33 else None
                betrayed.setdefault("taken", day.strftime("%Y-%m-%d %H:%M") if day else "")
            out[body + 4 : body + (20 if wide else 12)] = bytes(16 if wide else 8)
    for sentence in _NMEA.finditer(data):
        betrayed.setdefault("place", "")
        out[sentence.start() : sentence.end()] = bytes(len(sentence.group()))
    kinds = {kind for kind, *_ in _boxes(data, 0, len(data), DEEPEST)}
    if not kinds & {b"moov", b"moof"}:
        raise Refused("attachment-unreadable")
    return bytes(out), sorted(betrayed.items())


def _boxes(data: bytes, at: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the content, end of each box, outer ones first; boxes within metadata are left out."""
    while at < end:
        if end - at < 8:
            raise Refused("attachment-unreadable")
        size, kind = struct.unpack(">L4s", data[at : at + 8])
        body = at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16]), at + 16
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            raise Refused("attachment-unreadable")
        yield kind, at, body, at + size
        if kind in _HOLDERS and depth < DEEPEST and not (kind == b"trak" and _is_of_metadata(data[body : at + size])):
            yield from _boxes(data, body, at + size, depth + 1)
        at += size


def _is_of_metadata(track: bytes) -> bool:
    """Whether a track holds neither picture nor sound: telephones write where they are into such ones."""
    found = track.find(b"hdlr")
    return found >= 0 and track[found + 12 : found + 16] in (b"meta", b"mdta")


def _note(betrayed: dict[str, str], metadata: bytes) -> None:
    if place := _PLACE.search(metadata):
        betrayed["place"] = place.group().decode()
    for mark in (b"\xa9mak", b"\xa9mod", b"com.apple.quicktime.make", b"com.apple.quicktime.model", b"com.android"):
        if mark in metadata:
            betrayed["device"] = ""
    if b"\xa9nam" in metadata or b"\xa9ART" in metadata or b"\xa9cmt" in metadata:
        betrayed.setdefault("comment", "")
    if metadata.strip(b"\x00"):
        betrayed.setdefault("software", "")


# ---- MP3 ------------------------------------------------------------------------------------------------------------


def _mp3(data: bytes) -> tuple[bytes, Betrayed]:
    start, end = 0, len(data)
    told = False
    while data[start : start + 3] == b"ID3" and end - start > 10:
        size = 0
        for byte in data[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start, told = start + 10 + size, True
    if data[end - 128 : end - 125] == b"TAG":
        end, told = end - 128, True
    tagged = data.rfind(b"APETAGEX", max(start, end - 200_000), end)
    if tagged >= 0:
        first = data.find(b"APETAGEX", max(start, tagged - 200_000), end)
        end, told = first, True
    while start < end and data[start] == 0:
        start += 1
    if end - start < 100 or data[start] != 0xFF or data[start + 1] & 0xE0 != 0xE0:
        raise Refused("attachment-unreadable")
    if appended_is_dangerous(data[-4_096:].rpartition(b"\x00\x00\x00\x00")[2]):
        raise Refused("attachment-disguised")
    return data[start:end], [("comment", "")] if told else []


# ---- WAV ------------------------------------------------------------------------------------------------------------


def _wav(data: bytes) -> tuple[bytes, Betrayed]:
    at, end = 12, min(len(data), 8 + struct.unpack("<L", data[4:8])[0])
    if appended_is_dangerous(data[end:]):
        raise Refused("attachment-disguised")
    kept, told, kinds = bytearray(), False, set()
    while at + 8 <= end:
        kind, size = struct.unpack("<4sL", data[at : at + 8])
        whole = 8 + size + size % 2
        if kind in (b"fmt ", b"data", b"fact"):
            kept += data[at : at + whole]
            kinds.add(kind)
        else:
            told = True
        at += whole
    if not {b"fmt ", b"data"} <= kinds:
        raise Refused("attachment-unreadable")
    return b"RIFF" + struct.pack("<L", len(kept) + 4) + b"WAVE" + bytes(kept), [("comment", "")] if told else []
