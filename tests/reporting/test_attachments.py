"""Files are taken apart away from all else; what is hostile is refused with a sentence, what tells is cleaned."""

import io
import time
import zipfile

import pikepdf
import pytest
from PIL import Image

from portal.kit import i18n
from reporting import attachments
from reporting.attachments import BETRAYED, Examined, examine
from tests.reporting import hostile
from tests.reporting.hostile import CASES, Case
from tests.reporting.telling import DEVICE, OWNER, SERIAL, photo

POLITE = ("。", "；")


def looked_at(name: str, data: bytes) -> Examined:
    (found,) = examine([(name, data)])
    return found


def opens(found: Examined) -> bool:
    """Whether a cleaned copy is what it says it is."""
    content = io.BytesIO(found.cleaned or b"")
    if found.media_type.startswith("image/"):
        with Image.open(content) as picture:
            picture.load()
        return True
    if found.media_type == "application/pdf":
        with pikepdf.open(content) as pdf:
            return len(pdf.pages) > 0
    if "openxml" in found.media_type:
        return zipfile.ZipFile(content).testzip() is None
    return bool(found.cleaned)


def unpacked(data: bytes) -> bytes:
    """What a file holds, the parts of an archive in clear."""
    if data[:2] != b"PK":
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return b"".join(packed.read(name) for name in packed.namelist())


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_hostile_file_is_refused_or_cleaned(case: Case) -> None:
    data = case.make()
    found = looked_at(case.name, data)
    if case.refused is not None:
        assert found.refusal is not None, found
        assert found.refusal.slug == f"attachment-{case.refused}"
        assert found.cleaned is None
        for sentence in (found.refusal.title, found.refusal.remedy):
            assert i18n.gettext(sentence) != sentence, "people read it in Chinese"
        return
    assert found.refusal is None, found.refusal
    assert case.mark in unpacked(data)
    assert case.mark not in unpacked(found.cleaned or b"")
    assert opens(found)
    assert found.data == data, "the original stays as it is"


def test_the_reporter_is_told_what_a_photo_would_have_said() -> None:
    found = looked_at("a.jpg", photo())
    said = dict(found.betrayed)
    assert said["place"] == "31.23028, 121.47361"
    assert DEVICE in said["device"]
    assert said["serial"] == SERIAL
    assert said["author"] == OWNER
    assert said["taken"].startswith("2026:11:02")
    assert set(said) <= set(BETRAYED)
    for secret in (DEVICE, SERIAL, OWNER):
        assert secret.encode() not in (found.cleaned or b"")


def test_a_picture_stays_upright_and_a_clean_one_tells_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(out, "JPEG", exif=exif)
    found = looked_at("a.jpg", out.getvalue())
    with Image.open(io.BytesIO(found.cleaned or b"")) as picture:
        assert picture.size == (20, 40)
    assert looked_at("b.png", hostile.picture("PNG")).betrayed == ()


def test_a_picture_under_another_pictures_name_is_taken_for_what_it_is() -> None:
    assert looked_at("a.png", hostile.picture("JPEG")).media_type == "image/jpeg"


def test_text_in_both_encodings_is_taken() -> None:
    words = "门口的价目表写着三十元，结账时收了五十元"
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        found = looked_at("a.txt", words.encode(encoding))
        assert (found.cleaned or b"").decode() == words


def test_what_is_too_large_is_refused_before_it_is_taken_apart() -> None:
    started = time.perf_counter()
    found = looked_at("a.jpg", b"\xff\xd8\xff" + bytes(attachments.MOST_BYTES))
    assert found.refusal is not None
    assert found.refusal.slug == "attachment-too-large"
    assert time.perf_counter() - started < 0.2
    video = looked_at("a.mp4", hostile.photo() + bytes(attachments.MOST_BYTES))
    assert video.refusal is not None, "a large picture does not pass under a video's name"


def test_a_file_that_ends_its_child_costs_nobody_else_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "SECONDS", 0.0)
    (slow,) = examine([("a.jpg", photo())])
    assert slow.refusal is not None
    assert slow.refusal.slug == "attachment-unreadable"
    monkeypatch.undo()
    before, broken, after = examine([("a.jpg", photo()), ("b.pdf", CASES["half a PDF"].make()), ("c.jpg", photo())])
    assert (before.refusal, after.refusal) == (None, None)
    assert broken.refusal is not None


def test_names_are_shown_without_folders_and_without_tricks() -> None:
    assert attachments.shown_name("C:\\Users\\王小明\\门口.jpg") == "门口.jpg"
    assert attachments.shown_name("../../etc/passwd") == "passwd"
    assert attachments.shown_name("a\u202eb\x00c.txt") == "abc.txt"
    assert len(attachments.shown_name("长" * 500 + ".jpg")) <= attachments.LONGEST_NAME
    assert attachments.shown_name("长" * 500 + ".jpg").endswith(".jpg")
    assert attachments.shown_name("") == "file"


def test_many_forms_with_files_at_once_are_told_to_wait_and_hold_nobody_up() -> None:
    held = [attachments._in_line.acquire(blocking=False) for _ in range(attachments.AT_ONCE + 1)]
    try:
        started = time.perf_counter()
        with pytest.raises(attachments.ExaminersBusy):
            examine([("a.jpg", photo())])
        assert time.perf_counter() - started < 0.5
        assert examine([]) == []
    finally:
        for _ in held:
            attachments._in_line.release()
    assert looked_at("a.jpg", photo()).refusal is None
