"""Photos and drawings: what they carry beside their pixels, and a copy of the pixels alone."""

import io
import re
import struct
from typing import Any

from PIL import Image, ImageOps, ImageSequence
from PIL.ExifTags import GPS, IFD, Base

from reporting.examining import Refused, appended_is_dangerous

MOST_PIXELS = 60_000_000
MOST_FRAMES = 300

Image.MAX_IMAGE_PIXELS = None  # sizes are looked at below, before anything is decoded

Betrayed = list[tuple[str, str]]


def cleaned(data: bytes, kind: str) -> tuple[bytes, Betrayed]:
    """A copy without anything but pixels, and what the picture would have told. Raises Refused."""
    tail = _behind_the_end(data, kind)
    if appended_is_dangerous(tail):
        raise Refused("attachment-disguised")
    with Image.open(io.BytesIO(data), formats=[kind]) as picture:
        frames = getattr(picture, "n_frames", 1)
        if picture.width * picture.height * frames > MOST_PIXELS or frames > MOST_FRAMES:
            raise Refused("attachment-too-many-pixels")
        betrayed = _betrayed(picture, data)
        if tail.strip(b"\x00\r\n"):
            betrayed.append(("appended", f"{len(tail)} B"))
        return (_moving(picture, kind) if frames > 1 else _still(picture, kind)), betrayed


def _still(picture: Image.Image, kind: str) -> bytes:
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    mode = "RGB" if kind == "JPEG" and upright.mode not in ("L", "RGB") else upright.mode
    if mode in ("P", "PA", "LA", "CMYK", "I;16", "I", "F", "1") and kind != "JPEG":
        mode = "RGBA" if "A" in mode or "transparency" in upright.info else "RGB"
    if upright.mode == "CMYK":
        mode = "RGB"
    plain = upright.convert(mode)
    plain.info = {}
    out = io.BytesIO()
    options: dict[str, Any] = {"quality": 92} if kind in ("JPEG", "WEBP") else {}
    plain.save(out, kind, **options)
    return out.getvalue()


def _moving(picture: Image.Image, kind: str) -> bytes:
    frames, durations = [], []
    for frame in ImageSequence.Iterator(picture):
        durations.append(int(frame.info.get("duration", 100)))
        plain = frame.convert("RGBA")
        plain.info = {}
        frames.append(plain)
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return out.getvalue()


# ---- what it tells --------------------------------------------------------------------------------------------------


def _betrayed(picture: Image.Image, data: bytes) -> Betrayed:
    found: Betrayed = []
    exif = picture.getexif()
    detail = {**exif, **exif.get_ifd(IFD.Exif)}
    if place := _place(exif.get_ifd(IFD.GPSInfo)):
        found.append(("place", place))
    for code, tags in (
        ("taken", (Base.DateTimeOriginal, Base.DateTimeDigitized, Base.DateTime)),
        ("device", (Base.Make, Base.Model, Base.LensModel)),
        ("serial", (Base.BodySerialNumber, Base.LensSerialNumber, Base.CameraSerialNumber)),
        ("author", (Base.Artist, Base.CameraOwnerName, Base.Copyright, Base.XPAuthor)),
        ("software", (Base.Software, Base.HostComputer)),
        ("comment", (Base.UserComment, Base.ImageDescription, Base.XPComment, Base.XPTitle, Base.XPSubject)),
    ):
        said = " ".join(dict.fromkeys(filter(None, (_words(detail.get(tag)) for tag in tags))))
        if said:
            found.append((code, said))
    if exif.get_ifd(IFD.IFD1):
        found.append(("thumbnail", ""))
    if detail.get(Base.MakerNote) and not any(code == "device" for code, _ in found):
        found.append(("device", ""))
    return found + _other_blocks(picture, data)


def _other_blocks(picture: Image.Image, data: bytes) -> Betrayed:
    found: Betrayed = []
    xmp = picture.info.get("xmp") or (data if b"<x:xmpmeta" in data[:200_000] else b"")
    if xmp:
        found.append(("history", ""))
    if picture.info.get("photoshop"):
        found.append(("author", ""))
    said = [_words(picture.info.get("comment"))]
    said += [f"{name}: {value}" for name, value in getattr(picture, "text", {}).items() if "xmp" not in name.lower()]
    words = " ".join(filter(None, said))
    if words:
        found.append(("comment", words))
    return found


def _words(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.removeprefix(b"ASCII\x00\x00\x00").removeprefix(b"UNICODE\x00")
        encoding = "utf-16-le" if value[1:2] == b"\x00" else "utf-8"
        value = value.decode(encoding, "replace")
    text = "" if value is None else str(value)
    return re.sub(r"[\x00-\x1f\x7f\ufffd]+", " ", text).strip()


def _place(gps: dict[int, Any]) -> str:
    try:
        latitude = _degrees(gps[GPS.GPSLatitude]) * (-1 if gps.get(GPS.GPSLatitudeRef) == "S" else 1)
        longitude = _degrees(gps[GPS.GPSLongitude]) * (-1 if gps.get(GPS.GPSLongitudeRef) == "W" else 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return "GPS" if gps else ""
    return f"{latitude:.5f}, {longitude:.5f}"


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600


# ---- where it ends --------------------------------------------------------------------------------------------------


def _behind_the_end(data: bytes, kind: str) -> bytes:
    if kind == "JPEG":
        end = data.rfind(b"\xff\xd9")
        return data[end + 2 :] if end >= 0 else b""
    if kind == "PNG":
        return data[_png_end(data) :]
    if kind == "GIF":
        end = data.rfind(b"\x00\x3b")
        return data[end + 2 :] if end >= 0 else b""
    return data[8 + struct.unpack("<L", data[4:8])[0] :]


def _png_end(data: bytes) -> int:
    at = 8
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4])
        if kind == b"IEND":
            return at
    return len(data)


# ---- pictures inside of documents -----------------------------------------------------------------------------------


def without_segments(jpeg: bytes) -> bytes:
    """A JPEG without its application and comment segments, its picture untouched; as it is where it is none."""
    if jpeg[:2] != b"\xff\xd8":
        return jpeg
    out, at = bytearray(b"\xff\xd8"), 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        marker = jpeg[at + 1]
        (size,) = struct.unpack(">H", jpeg[at + 2 : at + 4])
        if not (0xE1 <= marker <= 0xEF and marker != 0xEE) and marker != 0xFE:
            out += jpeg[at : at + 2 + size]
        at += 2 + size
    return bytes(out + jpeg[at:])


def without_texts(png: bytes) -> bytes:
    """A PNG without its texts, times and EXIF, its picture untouched; as it is where it is none."""
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        return png
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        (size,) = struct.unpack(">L", png[at : at + 4])
        if png[at + 4 : at + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf"):
            out += png[at : at + 12 + size]
        if png[at + 4 : at + 8] == b"IEND":
            break
        at += 12 + size
    return bytes(out)
