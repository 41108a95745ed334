"""PDF, Word and Excel files: what they carry beside their pages, and a copy without it."""

import io
import re
import zipfile
import zlib
from typing import Any

import pikepdf
from pikepdf import Dictionary, Name, Pdf

from reporting.examining import Refused
from reporting.pictures import without_segments, without_texts

MOST_PAGES = 1_000
MOST_OBJECTS = 200_000
MOST_UNPACKED = 300_000_000
MOST_PARTS = 3_000
MOST_RATIO = 300
DEEPEST = 100

Betrayed = list[tuple[str, str]]

# ---- PDF ------------------------------------------------------------------------------------------------------------


def cleaned_pdf(data: bytes) -> tuple[bytes, Betrayed]:
    """A copy without metadata, scripts, actions and attachments. Raises Refused."""
    try:
        with Pdf.open(io.BytesIO(data)) as pdf:
            if pdf.is_encrypted:
                raise Refused("attachment-locked")
            if len(pdf.pages) > MOST_PAGES or len(pdf.objects) > MOST_OBJECTS:
                raise Refused("attachment-unpacks-too-far")
            if not len(pdf.pages):
                raise Refused("attachment-unreadable")
            _measure(pdf)
            betrayed = _told_by(pdf, data)
            _strip(pdf)
            out = io.BytesIO()
            pdf.save(out, static_id=True, fix_metadata_version=False)
            return out.getvalue(), betrayed
    except pikepdf.PasswordError as error:
        raise Refused("attachment-locked") from error
    except pikepdf.PdfError as error:
        raise Refused("attachment-unreadable") from error


def _measure(pdf: Pdf) -> None:
    """Raises Refused when its streams unpack to more than MOST_UNPACKED bytes together."""
    left = MOST_UNPACKED
    for one in pdf.objects:
        if not isinstance(one, pikepdf.Stream):
            continue
        filters = one.get(Name.Filter)
        names = [str(each) for each in filters] if isinstance(filters, pikepdf.Array) else [str(filters)]
        if names[0] != "/FlateDecode":
            continue
        content = one.read_raw_bytes()
        for name in names:
            if name != "/FlateDecode":
                break
            unpacking = zlib.decompressobj()
            try:
                content = unpacking.decompress(content, left + 1)
            except zlib.error:
                break
            if len(content) > left:
                raise Refused("attachment-unpacks-too-far")
        left -= len(content)


def _told_by(pdf: Pdf, data: bytes) -> Betrayed:
    found: Betrayed = []
    info = pdf.docinfo
    for code, names in (
        ("author", ("/Author", "/Company", "/Manager")),
        ("software", ("/Creator", "/Producer")),
        ("taken", ("/CreationDate", "/ModDate")),
        ("comment", ("/Title", "/Subject", "/Keywords")),
    ):
        said = " ".join(str(info[name]) for name in names if name in info and str(info[name]).strip())
        if said:
            found.append((code, said))
    names_of = pdf.Root.get(Name.Names, Dictionary())
    active = [Name.OpenAction in pdf.Root, Name.AA in pdf.Root, Name.JavaScript in names_of]
    if any(active) or Name.EmbeddedFiles in names_of:
        found.append(("attached", ""))
    if Name.Metadata in pdf.Root or data.count(b"%%EOF") > 1:
        found.append(("history", ""))
    return found


_OF_THE_ROOT = ("/Metadata", "/OpenAction", "/AA", "/AcroForm", "/PieceInfo", "/Collection", "/URI", "/Perms", "/AF")
_EVERYWHERE = ("/Metadata", "/PieceInfo", "/AA", "/LastModified", "/AF")
_UNWANTED = ("/FileAttachment", "/RichMedia", "/Screen", "/Movie", "/Sound", "/3D", "/Widget")


def _strip(pdf: Pdf) -> None:
    for key in list(pdf.trailer.keys()):
        if key == "/Info":
            del pdf.trailer[key]
    for name in _OF_THE_ROOT:
        if name in pdf.Root:
            del pdf.Root[name]
    if Name.Names in pdf.Root:
        for name in ("/JavaScript", "/EmbeddedFiles"):
            if name in pdf.Root.Names:
                del pdf.Root.Names[name]
    for one in pdf.objects:
        _strip_within(one, 0)
    for page in pdf.pages:
        if Name.Annots in page.obj:
            kept = [each for each in _items(page.obj.Annots) if str(each.get(Name.Subtype, "")) not in _UNWANTED]
            page.obj.Annots = pikepdf.Array(kept)


def _strip_within(one: Any, depth: int) -> None:
    """An object, and what lies directly within it; what it only points to is an object of its own."""
    if depth > DEEPEST:
        raise Refused("attachment-unreadable")
    if isinstance(one, Dictionary | pikepdf.Stream):
        _strip_object(one)
        within = [value for _, value in one.items()]
    elif isinstance(one, pikepdf.Array):
        within = list(one)
    else:
        return
    for value in within:
        if isinstance(value, Dictionary | pikepdf.Array) and not value.is_indirect:
            _strip_within(value, depth + 1)


def _items(array: Any) -> list[Any]:
    return [each for each in array if isinstance(each, Dictionary)] if isinstance(array, pikepdf.Array) else []


def _strip_object(one: Any) -> None:
    for name in _EVERYWHERE:
        if name in one:
            del one[name]
    if str(one.get(Name.Type, "")) == "/Annot" or (Name.Subtype in one and Name.Rect in one):
        for name in ("/A", "/T", "/FS", "/CreationDate", "/M", "/RC"):
            if name in one:
                del one[name]
    if str(one.get(Name.S, "")) in ("/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/GoToR", "/GoToE"):
        for name in list(one.keys()):
            del one[name]
    if isinstance(one, pikepdf.Stream) and str(one.get(Name.Filter, "")) == "/DCTDecode":
        content = one.read_raw_bytes()
        plain = without_segments(content)
        if plain != content:
            one.write(plain, filter=Name.DCTDecode)


# ---- Word and Excel -------------------------------------------------------------------------------------------------

_KINDS = {
    "word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/workbook.xml": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_PROPERTIES = {
    "docProps/core.xml": b'<?xml version="1.0" encoding="UTF-8"?><cp:coreProperties xmlns:cp="http://schemas.'
    b'openxmlformats.org/package/2006/metadata/core-properties"/>',
    "docProps/app.xml": b'<?xml version="1.0" encoding="UTF-8"?><Properties xmlns="http://schemas.openxmlformats.org/'
    b'officeDocument/2006/extended-properties"/>',
    "docProps/custom.xml": b'<?xml version="1.0" encoding="UTF-8"?><Properties xmlns="http://schemas.openxmlformats.org/'
    b'officeDocument/2006/custom-properties"/>',
}
_NAMES = re.compile(
    rb'((?:w|w14|w15|w16cid|x15|xr|x18tc|p188):(?:author|initials|userId|providerId|displayName))="[^"]*"'
)
_PLAIN_NAMES = re.compile(rb'\b(userName|lastModifiedBy|displayName|userId|providerId)="[^"]*"')
_AUTHORS = re.compile(rb"<((?:\w+:)?author)>[^<]*</(?:\w+:)?author>")
_FOLDER = re.compile(rb'<x15ac:absPath[^>]*\burl="[^"]*"[^>]*/>')
_DATES = re.compile(rb'\b(w:date|w16du:dateUtc|dT)="[^"]*"')
_PLACES = re.compile(rb'\b(descr|title)="[^"]*[\\/](?:Users|home|Documents)[\\/][^"]*"')
_OUTSIDE = re.compile(rb'<Relationship\b[^>]*TargetMode="External"[^>]*>')
_DDE = re.compile(rb"\bDDE(?:AUTO)?\b|<ddeLink", re.IGNORECASE)


def cleaned_office(data: bytes) -> tuple[str, bytes, Betrayed]:
    """Media type, a copy without metadata, and what it would have told. Raises Refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = _parts(packed, len(data))
            kind = next((_KINDS[name] for name in parts if name in _KINDS), None)
            if kind is None or "[Content_Types].xml" not in parts:
                raise Refused("attachment-type")
            _refuse_programs(parts)
            return kind, *_repacked(parts)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise Refused("attachment-locked" if "password" in str(error) else "attachment-unreadable") from error


def _parts(packed: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    entries = packed.infolist()
    if any(one.filename.startswith(("/", "\\")) or ".." in one.filename.split("/") for one in entries):
        raise Refused("attachment-disguised")
    if entries and min(one.header_offset for one in entries) > 0:  # something stands before the first part
        raise Refused("attachment-disguised")
    if len(entries) > MOST_PARTS or len({one.filename.lower() for one in entries}) < len(entries):
        raise Refused("attachment-unpacks-too-far")
    if sum(one.file_size for one in entries) > MOST_UNPACKED:
        raise Refused("attachment-unpacks-too-far")
    if sum(one.compress_size for one in entries) > size:  # parts that lie over each other
        raise Refused("attachment-unpacks-too-far")
    found: dict[str, bytes] = {}
    left = MOST_UNPACKED
    for one in entries:
        if one.flag_bits & 1:
            raise Refused("attachment-locked")
        if one.file_size > 1_000_000 and one.file_size > MOST_RATIO * max(one.compress_size, 1):
            raise Refused("attachment-unpacks-too-far")
        with packed.open(one) as part:
            content = part.read(min(one.file_size, left) + 1)
        left -= len(content)
        if len(content) > one.file_size or left < 0:
            raise Refused("attachment-unpacks-too-far")
        found[one.filename] = content
    return found


def _refuse_programs(parts: dict[str, bytes]) -> None:
    for name, content in parts.items():
        lowered = name.lower()
        if "vbaproject" in lowered or "activex" in lowered or lowered.endswith((".exe", ".bin", ".js", ".vbs")):
            if "printersettings" in lowered:
                continue
            raise Refused("attachment-with-programs")
        if "/embeddings/" in lowered or "/externallinks/" in lowered or b"macroEnabled" in content[:20_000]:
            raise Refused("attachment-with-programs")
        if lowered.endswith((".xml", ".rels", ".vml")):
            if b"<!DOCTYPE" in content[:2_000] or b"<!ENTITY" in content:
                raise Refused("attachment-unpacks-too-far")
            if lowered.endswith(".rels") and any(b"/hyperlink" not in each for each in _OUTSIDE.findall(content)):
                raise Refused("attachment-with-programs")
            if lowered.startswith("word/") and _DDE.search(_instructions(content)):
                raise Refused("attachment-with-programs")
            if b"altChunk" in content or b"/aFChunk" in content or b"<ddeLink" in content or b"cmd|" in content.lower():
                raise Refused("attachment-with-programs")


def _instructions(content: bytes) -> bytes:
    """The fields of a Word document, however they are cut into pieces."""
    pieces = re.findall(rb"<w:instrText[^>]*>([^<]*)<", content)
    return b"".join(pieces) + b" " + b" ".join(re.findall(rb'w:instr="([^"]*)"', content))


def _repacked(parts: dict[str, bytes]) -> tuple[bytes, Betrayed]:
    out = io.BytesIO()
    names: set[str] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            lowered = name.lower()
            plain = content
            if name in _PROPERTIES:
                names |= _said_in(content)
                plain = _PROPERTIES[name]
            elif lowered.startswith(("docprops/", "customxml/")) and not lowered.endswith(".rels"):
                plain = b"<x/>" if lowered.endswith(".xml") else b""
            elif lowered.endswith((".jpg", ".jpeg")):
                plain = without_segments(content)
            elif lowered.endswith(".png"):
                plain = without_texts(content)
            elif lowered.endswith(".xml"):
                names |= _people_in(content)
                plain = _without_people(content)
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), plain, zipfile.ZIP_DEFLATED)
    said = "、".join(sorted(names))
    return out.getvalue(), [("author", said[:200])] if said else []


def _said_in(properties: bytes) -> set[str]:
    wanted = rb"<(?:dc:creator|cp:lastModifiedBy|Company|Manager)>([^<]+)<"
    return {value.decode("utf-8", "replace").strip() for value in re.findall(wanted, properties)} - {""}


def _people_in(content: bytes) -> set[str]:
    found = re.findall(rb'(?:w:author|w15:author|userName|displayName)="([^"]+)"', content)
    found += re.findall(rb"<(?:\w+:)?author>([^<]+)<", content)
    return {value.decode("utf-8", "replace").strip() for value in found} - {""}


def _without_people(content: bytes) -> bytes:
    content = _NAMES.sub(rb'\1=""', content)
    content = _PLAIN_NAMES.sub(rb'\1=""', content)
    content = _AUTHORS.sub(rb"<\1></\1>", content)
    content = _DATES.sub(rb'\1="2000-01-01T00:00:00Z"', content)
    content = _PLACES.sub(rb'\1=""', content)
    return _FOLDER.sub(b"", content)
