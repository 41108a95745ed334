"""Publishing onwards: an outside CKAN is brought level with this portal's catalogue, and is sent only what differs.

A run keeps nothing between its requests. It looks at what stands there, works out the steps, and takes them one by one;
a run that is killed anywhere is simply followed by the next. Nothing is doubled: a data set has one name there
(`{organisation}-{name}`), and each file the id that it has here. A data set is ours if its extra `publisher_portal` is
this portal's address; no other is touched, and in ours what editors there added (tags, extras, files) stays.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from pydantic import SecretStr

from opendata import catalog, descriptors, files, snapshots
from opendata.catalog import Package
from opendata.files import File
from opendata.models import PublicationRun
from opendata.outside import OutsideCkan, OutsideRefused, UploadTooLarge, checked
from opendata.snapshots import Manifest
from portal.kit import datasets, db
from portal.kit.errors import PortalError
from portal.kit.settings import get_settings

MARK = "publisher_portal"
"""The extra by which a data set is known as ours."""
DIGEST = "publisher_sha256"
"""The field of a resource that says which bytes it is: `hash` is written over by CKAN's own loaders."""
_COMPARED = ("title", "notes", "author", "maintainer", "license_id", "url", "version", "owner_org", "state")
_LOOKS = 3
"""How often a data set is looked at again when somebody else was quicker."""
Deed = Literal["create", "update", "delete"]

log = structlog.get_logger()


class PublishingNotSetUp(PortalError):
    status = 409
    slug = "publishing-not-set-up"
    title = "It is not said where to publish to, or under which token."
    remedy = (
        "Set PORTAL_PUBLISH_CKAN_URL, PORTAL_PUBLISH_CKAN_ORGANIZATION and PORTAL_PUBLISH_CKAN_TOKEN, "
        "or give --url and --organization."
    )


class PublishingUnderWay(PortalError):
    status = 409
    slug = "publishing-under-way"
    title = "Another publication is under way."
    remedy = "Wait until it has ended, and publish again if it is still needed."


class NameTakenOutside(PortalError):
    status = 409
    slug = "publishing-name-taken"
    title = "The data portal has a data set %(name)s that this portal did not make."
    remedy = (
        "It was left alone. Have it renamed there; if this portal's address has changed, set the data set's extra "
        "publisher_portal to the new one."
    )


@dataclass(frozen=True, slots=True)
class Target:
    """Where to publish, and how."""

    url: str
    organization: str
    token: SecretStr
    upload: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One request that changes something there."""

    deed: Deed
    action: str
    name: str
    """The data set's name there."""
    said: Package
    form: str = ""
    """Of a file: which one."""
    fields: Sequence[str] = ()
    """Of an update: what differs."""
    upload: tuple[str, File] | None = None

    @property
    def about(self) -> str:
        """What it is about, for people."""
        return f"{self.name} ({self.form})" if self.form else self.name

    def __str__(self) -> str:
        told = f": {', '.join(self.fields)}" if self.fields else ""
        return f"{self.deed} {self.about}{told}"


@dataclass(slots=True)
class Outcome:
    """What a run did, or in a dry run would have done."""

    deeds: dict[Deed, int] = field(default_factory=lambda: {"create": 0, "update": 0, "delete": 0})
    data_sets: int = 0
    """How many are shown here, and are there now."""
    linked: int = 0
    """Files too large to be uploaded, which are linked."""
    failures: list[PortalError] = field(default_factory=list)
    """Data sets that were not taken; the others were."""

    @property
    def sent(self) -> int:
        return sum(self.deeds.values())


@dataclass(frozen=True, slots=True)
class _Resource:
    said: Package
    """What it should say there; compared."""
    beside: Package
    """Sent along, never compared: it changes by itself."""
    form: str
    upload: tuple[str, File] | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A data set as it should stand there."""

    name: str
    said: Package
    tags: Sequence[str]
    extras: dict[str, str]
    resources: Sequence[_Resource]


def target(url: str = "", organization: str = "", *, upload: bool | None = None) -> Target:
    """Where to publish: what is given, for the rest the settings. Raises PublishingNotSetUp, OutsideAddressWrong."""
    settings = get_settings()
    url, organization = url or settings.publish_ckan_url, organization or settings.publish_ckan_organization
    if not url or not organization or settings.publish_ckan_token is None:
        raise PublishingNotSetUp
    chosen = settings.publish_ckan_upload if upload is None else upload
    return Target(checked(url), organization, settings.publish_ckan_token, chosen)


def publish(to: Target, *, dry_run: bool = False, told: Callable[[Step], None] = lambda step: None) -> Outcome:
    """Bring the outside CKAN level with the catalogue. `told` hears of each step, in a dry run instead of the CKAN.

    Raises PublishingUnderWay, and what `opendata.outside` raises; how it went is kept for the desk either way.
    """
    outcome = Outcome()

    def take(ckan: OutsideCkan, step: Step) -> None:
        if not dry_run:
            ckan.send(step.action, step.said, about=step.about, upload=step.upload)
        outcome.deeds[step.deed] += 1
        told(step)

    if dry_run:
        _run(to, outcome, take)
        return outcome
    with _alone():
        _note(to.url, begun=True)
        try:
            _run(to, outcome, take)
        except PortalError as refusal:
            _note(to.url, outcome.sent, [*outcome.failures, refusal])
            raise
        _note(to.url, outcome.sent, outcome.failures)
    log.info("publication.ended", sent=outcome.sent, failures=len(outcome.failures), **outcome.deeds)
    return outcome


def _run(to: Target, outcome: Outcome, take: Callable[[OutsideCkan, Step], None]) -> None:
    """Withdrawals first, so that nothing that another data set lacks can hold them up."""
    with db.reading() as session:
        shown, made = catalog.all_packages(session), snapshots.all_of(session)
    with closing(OutsideCkan(to.url, to.token.get_secret_value())) as ckan:
        organisation = ckan.organisation(to.organization)
        for step in _withdrawals(ckan, organisation["name"], {one["name"] for one in shown}):
            try:
                take(ckan, step)
            except OutsideRefused as refusal:
                outcome.failures.append(refusal)
        for one in shown:
            if one["name"] not in made:  # not written yet: there is nothing to publish, and nothing to take back
                continue
            wanted = _wanted(one, made[one["name"]][1], organisation, to.upload)
            outcome.data_sets += 1
            outcome.linked += sum(to.upload and each.upload is None for each in wanted.resources)
            try:
                _bring_level(ckan, wanted, take)
            except (OutsideRefused, UploadTooLarge, NameTakenOutside) as refusal:
                outcome.failures.append(refusal)


def _bring_level(ckan: OutsideCkan, wanted: _Wanted, take: Callable[[OutsideCkan, Step], None]) -> None:
    """Take every step that a data set needs. What is there already after all is looked at anew, and then updated."""
    for _ in range(_LOOKS):
        refused = _first_refused(ckan, _steps(wanted, ckan.package(wanted.name)), take)
        if refused is None:
            return
        step, refusal = refused
        still = {(each.deed, each.form) for each in _steps(wanted, ckan.package(wanted.name))}
        if step.deed != "create" or (step.deed, step.form) in still:
            raise refusal
    raise refusal


def _first_refused(
    ckan: OutsideCkan, steps: Sequence[Step], take: Callable[[OutsideCkan, Step], None]
) -> tuple[Step, OutsideRefused] | None:
    for step in steps:
        try:
            take(ckan, step)
        except OutsideRefused as refusal:
            return step, refusal
    return None


# ---- what should stand there ----------------------------------------------------------------------------------------


def _wanted(one: Package, manifest: Manifest, organisation: Package, upload: bool) -> _Wanted:
    extras = {each["key"]: each["value"] for each in one["extras"]} | {MARK: descriptors.base()}
    return _Wanted(
        name=name_there(organisation["name"], one["name"]),
        said={key: one[key] for key in _COMPARED} | {"owner_org": organisation["id"]},
        tags=[tag["name"] for tag in one["tags"]],
        extras=extras,
        resources=[_resource(one["name"], each, manifest, upload) for each in one["resources"]],
    )


def name_there(organisation: str, name: str) -> str:
    """The name of a data set in a portal where all organisations share the names."""
    return f"{organisation}-{name}"


def _resource(name: str, one: Package, manifest: Manifest, upload: bool) -> _Resource:
    form = one["format"].lower()
    file = files.of(manifest, form)
    assert file is not None
    said = {key: one[key] for key in ("id", "name", "description", "format")} | {DIGEST: file.sha256}
    beside = {"hash": file.sha256, "last_modified": one["last_modified"].partition(".")[0]}
    if upload and file.size <= get_settings().publish_ckan_upload_mib * 2**20:
        return _Resource(said, beside, form, (f"{name}.{form}", file))
    return _Resource(said | {key: one[key] for key in ("url", "mimetype", "size")}, beside, form, None)


# ---- what differs ---------------------------------------------------------------------------------------------------


def _is_ours(there: Package) -> bool:
    return any(one["key"] == MARK and one["value"] == descriptors.base() for one in there.get("extras") or ())


def _withdrawals(ckan: OutsideCkan, organisation: str, shown: set[str]) -> list[Step]:
    """Deletions of our data sets that are not shown here any longer.

    Those that this portal can name are looked at themselves: CKAN's search may lag behind.
    """
    keep = {name_there(organisation, name) for name in shown}
    hidden = (name_there(organisation, name) for name in datasets.offered() if name not in shown)
    there = [found for name in hidden if (found := ckan.package(name))]
    there += [one for one in ckan.packages_of(organisation) if one["name"] not in keep]
    gone = {one["id"]: one["name"] for one in there if _is_ours(one) and one.get("state") == "active"}
    return [Step("delete", "package_delete", name, {"id": id_}) for id_, name in gone.items()]


def _steps(wanted: _Wanted, there: Package | None) -> list[Step]:
    """What brings a data set level. Raises NameTakenOutside."""
    if there is not None and not _is_ours(there):
        if there.get("state") == "active":
            raise NameTakenOutside(name=wanted.name)
        there = None
    if there is None:
        # Its id is CKAN's to give: only the administrators of a whole CKAN may choose one.
        said = wanted.said | {"name": wanted.name, "private": False} | _tags_and_extras(wanted, {})
        return [Step("create", "package_create", wanted.name, said), *_file_steps(wanted, {})]
    differing = _differing(there, wanted.said) | _tags_and_extras(wanted, there)
    said = {"id": there["id"], **differing}
    package = [Step("update", "package_patch", wanted.name, said, fields=sorted(differing))] if differing else []
    standing = {one["id"]: one for one in there.get("resources") or ()}
    if there.get("state") != "active":  # nothing can be done to its files before it is shown again
        return [*package, *_file_steps(wanted, standing)]
    # Files first: a withdrawn record must be out of them, whatever is wrong with the words.
    return [*_file_steps(wanted, standing), *package]


def _file_steps(wanted: _Wanted, standing: Mapping[str, Package]) -> Iterator[Step]:
    named = {one.said["id"] for one in wanted.resources}
    for one in standing.values():
        if one["id"] not in named and one.get(DIGEST):
            form = str(one.get("format", "")).lower()
            yield Step("delete", "resource_delete", wanted.name, {"id": one["id"]}, form)
    for each in wanted.resources:
        yield from _resource_steps(wanted.name, each, standing)


def _tags_and_extras(wanted: _Wanted, there: Package) -> Package:
    """Those two lists as they should be sent, with what others added; a list that lacks nothing is left out."""
    found: Package = {}
    tags = [{key: one[key] for key in ("name", "vocabulary_id") if one.get(key)} for one in there.get("tags") or ()]
    missing = [tag for tag in wanted.tags if tag not in {one["name"] for one in tags}]
    if missing:
        found["tags"] = tags + [{"name": tag} for tag in missing]
    extras = {one["key"]: one["value"] for one in there.get("extras") or ()}
    merged = {key: value for key, value in (extras | wanted.extras).items() if value}
    if merged != {key: value for key, value in extras.items() if value}:
        found["extras"] = [{"key": key, "value": value} for key, value in merged.items()]
    return found


def _resource_steps(name: str, one: _Resource, standing: Mapping[str, Package]) -> Iterator[Step]:
    there = standing.get(one.said["id"])
    if there is None:
        said = {"package_id": name, **one.said, **one.beside}
        yield Step("create", "resource_create", name, said, one.form, upload=one.upload)
        return
    uploaded = there.get("url_type") == "upload"
    differing = _differing(there, one.said)
    if one.upload is None and uploaded:
        differing |= {"url": one.said["url"], "url_type": "", "clear_upload": True}
    upload = one.upload if not uploaded or DIGEST in differing else None
    if differing or upload:
        fields = sorted(differing.keys() - {"clear_upload", "url_type"} | ({"upload"} if upload else set()))
        said = {"id": one.said["id"], **differing, **one.beside}
        yield Step("update", "resource_patch", name, said, one.form, fields, upload)


def _differing(there: Package, said: Package) -> Package:
    """What is not there as it should be: CKAN writes formats in its own way, and numbers sometimes as text."""

    def plain(key: str, value: Any) -> str:
        text = "" if value is None else str(value)
        return text.casefold() if key == "format" else text

    return {key: value for key, value in said.items() if plain(key, there.get(key)) != plain(key, value)}


# ---- one at a time, and how it went ---------------------------------------------------------------------------------


@contextmanager
def _alone() -> Iterator[None]:
    """One publication at a time: a slow one must not put a file back that a later one had replaced.

    Raises PublishingUnderWay. A killed process gives the lock back at once.
    """
    folder = get_settings().data_dir / "opendata"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "publishing.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PublishingUnderWay from error
        yield
    finally:
        os.close(handle)


def _note(url: str, sent: int = 0, failures: Sequence[PortalError] = (), *, begun: bool = False) -> None:
    moment = db.now()
    with db.writing() as session:
        run = session.get(PublicationRun, url, with_for_update=True)
        if run is None:
            run = PublicationRun(url=url, begun_at=moment)
            session.add(run)
        if begun:
            run.begun_at, run.ended_at, run.sent, run.failures = moment, None, 0, run.failures or []
            return
        run.ended_at, run.sent = moment, sent
        run.failures = [{"slug": one.slug, "values": one.values, "errors": one.errors} for one in failures]
        if not failures:
            run.succeeded_at = moment
