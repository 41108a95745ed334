"""Reading PDFs back: what a document says, where its links lead, and what it says of itself."""

from io import BytesIO

from pypdf import PdfReader


def text(document: bytes) -> str:
    """All that it says, without the gaps between lines and words and the places where a long word may break."""
    said = "".join(page.extract_text() for page in PdfReader(BytesIO(document)).pages)
    return "".join(said.split()).replace("\u200b", "")


def links(document: bytes) -> list[str]:
    """Addresses that a click in it opens, each once."""
    annotations = (note.get_object() for page in PdfReader(BytesIO(document)).pages for note in page.get("/Annots", []))
    return list(dict.fromkeys(str(note["/A"]["/URI"]) for note in annotations if "/URI" in note.get("/A", {})))


def confirming(document: bytes) -> str:
    """The path at which a report is confirmed, as its QR code and its printed address give it."""
    [found] = [link for link in links(document) if "/reports/" in link]
    return found[found.index("/reports/") :]
