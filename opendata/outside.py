"""Another CKAN, to which data sets are sent on: its actions through `ckanapi`, patience, its refusals as named facts.

What is sent and when, `opendata.publisher` decides. Nothing of the environment has a say (proxies, `.netrc`): the token
goes to the address that the operator gave, and to no other.
"""

import ipaddress
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import ckanapi
import requests
from ckanapi.errors import CKANAPIError, ServerIncompatibleError

from opendata.files import File
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

CONNECT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.5
"""Before the second try; each further pause is twice as long."""
PAGE = 100
"""Packages that one search is asked for: CKAN gives a thousand at most."""
_WORTH_ANOTHER_TRY = frozenset({408, 429, 500, 502, 503, 504})
_MOST_FAULTS = 20
_LONGEST_FAULT = 300


class OutsideAddressWrong(PortalError):
    status = 422
    slug = "publishing-address"
    title = "%(url)s cannot be published to."
    remedy = (
        "Give the address at which the portal's pages begin, with https:// and without a user's name; "
        "http:// is for this machine, or needs PORTAL_PUBLISH_CKAN_ALLOW_HTTP."
    )


class OutsideAway(PortalError):
    status = 503
    slug = "publishing-unreachable"
    title = "The data portal at %(url)s does not answer: %(reason)s."
    remedy = "Nothing is lost. Check the address and the network, then publish again: it goes on where it was."


class OutsideCertificateRefused(PortalError):
    status = 502
    slug = "publishing-certificate"
    title = "The data portal at %(url)s shows a certificate that is not trusted."
    remedy = (
        "Have its operator renew it; if an authority of your own signed it, name that authority's certificate in "
        "PORTAL_PUBLISH_CKAN_CA_FILE."
    )


class OutsideNotAuthorised(PortalError):
    status = 403
    slug = "publishing-not-authorised"
    title = "The data portal at %(url)s does not let this token do that."
    remedy = (
        "Put the API token of a user who is an editor of the organisation into PORTAL_PUBLISH_CKAN_TOKEN, and look "
        "whether it has expired."
    )


class OutsideOrganisationMissing(PortalError):
    status = 404
    slug = "publishing-organisation"
    title = "The data portal at %(url)s knows no organisation %(organization)s."
    remedy = "Give the name that its address ends with there, or have its operator add the organisation."


class OutsideIsNoCkan(PortalError):
    status = 502
    slug = "publishing-no-ckan"
    title = "What answers at %(url)s is no CKAN, or its CKAN is elsewhere (HTTP %(status)s)."
    remedy = "Give the very address at which its pages begin: redirects are not followed."


class OutsideRefused(PortalError):
    status = 409
    slug = "publishing-refused"
    title = "The data portal does not take %(name)s as it is."
    remedy = "See the fields below. What it asks for beyond CKAN's own fields, its operator can make optional."


class UploadTooLarge(PortalError):
    status = 413
    slug = "publishing-too-large"
    title = "A file of %(name)s is larger than the data portal takes."
    remedy = "Lower PORTAL_PUBLISH_CKAN_UPLOAD_MIB: larger files are then linked."


class _Form:
    """A form with one file as multipart/form-data (RFC 7578), made while it is sent: no file is ever held whole."""

    def __init__(self, fields: Mapping[bytes, bytes], name: str, file: File) -> None:
        self._file = file
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        line = f"--{boundary}\r\nContent-Disposition: form-data; ".encode()
        said = b"".join(line + b'name="' + key + b'"\r\n\r\n' + value + b"\r\n" for key, value in fields.items())
        kind = f'name="upload"; filename="{name}"\r\nContent-Type: {file.media_type}\r\n\r\n'.encode()
        self._before, self._after = said + line + kind, f"\r\n--{boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._before) + self._file.size + len(self._after)

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        yield from self._file.stream()
        yield self._after


class _Line:
    """What `ckanapi` sends by: tries again what may pass, and sends files as they are read."""

    def __init__(self, url: str) -> None:
        settings = get_settings()
        self._url = url
        self._tries = settings.publish_ckan_tries
        self._timeout = (CONNECT_SECONDS, settings.publish_ckan_timeout_seconds)
        self._session = requests.Session()
        self._session.trust_env = False
        if settings.publish_ckan_ca_file:
            self._session.verify = str(settings.publish_ckan_ca_file)
        self.status = 0
        """Of the last answer."""

    def post(self, url: str, data: Any, headers: dict[str, str], files: Any, **options: Any) -> requests.Response:
        """As `requests` has it. Raises OutsideAway, OutsideCertificateRefused."""
        for name, file in (files or {}).values():
            data = _Form(data, name, file)
            headers["Content-Type"] = data.content_type
        reason = ""
        for attempt in range(self._tries):
            if attempt:
                time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            try:
                answer = self._session.post(url, data=data, headers=headers, **options | {"timeout": self._timeout})
            except requests.exceptions.SSLError as error:
                raise OutsideCertificateRefused(url=self._url) from error
            except requests.exceptions.RequestException as error:
                reason = type(error).__name__
                continue
            self.status = answer.status_code
            if answer.status_code not in _WORTH_ANOTHER_TRY:
                return answer
            reason = f"HTTP {answer.status_code}"
        raise OutsideAway(url=self._url, reason=reason)

    def close(self) -> None:
        self._session.close()


class OutsideCkan:
    """One outside CKAN under one token. Every method raises OutsideAway and its like."""

    def __init__(self, url: str, token: str) -> None:
        self._url = checked(url)
        self._line = _Line(self._url)
        self._ckan = ckanapi.RemoteCKAN(self._url, apikey=token, session=self._line, user_agent="gongzhi")

    def close(self) -> None:
        self._ckan.close()

    def organisation(self, name: str) -> dict[str, Any]:
        """An organisation by its name or id. Raises OutsideOrganisationMissing."""
        found = self._asked("organization_show", {"id": name, "include_datasets": False, "include_users": False})
        if found is None:
            raise OutsideOrganisationMissing(url=self._url, organization=name)
        return found

    def package(self, name: str) -> dict[str, Any] | None:
        """A data set as it stands there, be it deleted; None where there is none."""
        return self._asked("package_show", {"id": name})

    def packages_of(self, organisation: str) -> Iterator[dict[str, Any]]:
        """Every data set that an organisation shows there, page after page in an order that stays."""
        said = {"fq": f'organization:"{organisation}"', "rows": PAGE, "sort": "id asc", "include_private": True}
        seen: set[str] = set()
        while found := (self._asked("package_search", said | {"start": len(seen)}) or {}).get("results"):
            fresh = [one for one in found if one["id"] not in seen]
            if not fresh:  # it does not page, so this is all
                return
            yield from fresh
            seen.update(one["id"] for one in fresh)

    def send(self, action: str, said: Mapping[str, Any], *, about: str, upload: tuple[str, File] | None = None) -> None:
        """Have an action done; `about` is what refusals name. What is already gone need not be deleted.

        Raises OutsideRefused with what is said about each field, UploadTooLarge.
        """
        try:
            self._call(action, said, upload)
        except ckanapi.NotFound as missing:
            if not action.endswith("_delete"):
                raise OutsideRefused(name=about, errors=[{"field": "id", "message": "Not found"}]) from missing
        except ckanapi.ValidationError as refusal:
            raise OutsideRefused(name=about, errors=_faults(refusal.error_dict)) from refusal
        except OutsideIsNoCkan as strange:
            if self._line.status == 413:
                raise UploadTooLarge(name=about) from strange
            raise

    def _asked(self, action: str, said: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result; None: not found. A question that is not understood is no CKAN's answer."""
        try:
            found = self._call(action, said)
        except ckanapi.NotFound:
            return None
        except ckanapi.ValidationError as error:
            raise OutsideIsNoCkan(url=self._url, status=self._line.status) from error
        if not isinstance(found, dict):
            raise OutsideIsNoCkan(url=self._url, status=self._line.status)
        return found

    def _call(self, action: str, said: Mapping[str, Any], upload: tuple[str, File] | None = None) -> Any:
        try:
            return self._ckan.call_action(action, dict(said), files={"upload": upload} if upload else None)
        except ckanapi.NotAuthorized as error:
            raise OutsideNotAuthorised(url=self._url) from error
        except (ckanapi.NotFound, ckanapi.ValidationError):
            raise
        except (CKANAPIError, ServerIncompatibleError, KeyError) as error:
            if self._line.status in {401, 403}:
                raise OutsideNotAuthorised(url=self._url) from error
            raise OutsideIsNoCkan(url=self._url, status=self._line.status) from error


def checked(url: str) -> str:
    """The address without its last slash. A token goes over TLS or stays here. Raises OutsideAddressWrong."""
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (
        parts.scheme == "http" and (_is_loopback(parts.hostname) or get_settings().publish_ckan_allow_http)
    )
    if not safe or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise OutsideAddressWrong(url=f"{parts.scheme}://{parts.hostname or ''}")
    return url.rstrip("/")


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _faults(said: Mapping[str, Any]) -> list[dict[str, str]]:
    """What CKAN says about each field, those of resources and extras under their place."""
    found: list[dict[str, str]] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key != "__type":
                    walk(f"{path}.{key}" if path else str(key), inner)
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for place, inner in enumerate(value):
                walk(f"{path}.{place}", inner)
        elif value:
            text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
            found.append({"field": path or "?", "message": text[:_LONGEST_FAULT]})

    walk("", said)
    return found[:_MOST_FAULTS]
