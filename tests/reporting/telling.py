"""Telling of something as people and programs do it, for tests."""

import html
import io
import re
from collections.abc import Sequence
from typing import Any

from httpx2 import Client, Response
from PIL import Image

SAID = "后厨有老鼠，用过期面粉做点心，每天下午都能看见"
DEVICE, SERIAL, OWNER = "Mate60-Probe", "SN-8848-PROBE", "XiaoMing-8848"
LATITUDE = (31.0, 13.0, 49.0)


def photo(*, size: tuple[int, int] = (320, 240)) -> bytes:
    """A JPEG with all that a telephone writes into one."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B], exif[0x0132] = "HUAWEI", DEVICE, OWNER, "2026:11:02 08:30:00"
    detail = exif.get_ifd(0x8769)
    detail[0xA431], detail[0x9003] = SERIAL, "2026:11:02 08:30:00"
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[3], place[4] = "N", LATITUDE, "E", (121.0, 28.0, 25.0)
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, "JPEG", exif=exif)
    return out.getvalue()


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def words(page: str) -> str:
    """A page's text, without markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def preview(
    client: Client, *, kind: str = "report", files: Sequence[tuple[str, bytes]] = (), **fields: str
) -> Response:
    """Fill in the form and look at the preview."""
    form = client.get(f"/report/new?kind={kind}")
    sent = {**hidden(form.text), "service": "food", "description": SAID, "named": "no", **fields}
    return client.post("/report/preview", data=sent, files=[("files", one) for one in files] or None)


def digits(page: str) -> str:
    """The receipt that a page shows."""
    shown = re.search(r'<p class="digits"[^>]*>(.*?)</p>', page)
    assert shown is not None, words(page)
    return "".join(re.findall(r"\d", re.sub(r"<[^>]+>", "", shown.group(1))))


def tell(client: Client, **fields: Any) -> str:
    """Tell of something by the pages. Returns the receipt."""
    seen = preview(client, **fields)
    assert seen.status_code == 200, words(seen.text)
    sent = client.post("/report/send", data=hidden(seen.text))
    assert sent.status_code == 200, words(sent.text)
    return digits(sent.text)


def tell_by_api(client: Client, **fields: Any) -> dict[str, Any]:
    """Tell of something as a program. Returns the answer."""
    answer = client.post("/api/v1/tips", json={"kind": "report", "description": SAID, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(client: Client, receipt: str) -> dict[str, Any]:
    """What the API says behind a receipt."""
    answer = client.post("/api/v1/tips/status", json={"receipt": receipt})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
