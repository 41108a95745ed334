"""What a report says in the reader's language, as its template (templates/record/report.typ) takes it. No markup."""

from datetime import date
from typing import Any

from portal.kit import formats, i18n, qr
from portal.kit.i18n import gettext, ngettext
from portal.kit.settings import get_settings
from record.models import Entity, FormerName
from record.profile import Profile, Scope
from record.publication import Part, Published
from record.report import Report
from record.views import headline, label, said

MOST_CHARACTERS = 2_000
"""Of one field of an entry. Some decisions are whole books; the rest is on the entity's page."""

Row = tuple[str, str, str]
"""What a row is called, what it says (in lines), and a remark on that."""


def written(report: Report) -> dict[str, Any]:
    """Everything that the template sets."""
    entity, site = report.file.entity, get_settings().base_url
    page = f"{site}/entities/{entity.code}"
    confirming = f"{site}/reports/{report.token}"
    return {
        "language": i18n.current(),
        "words": {**_headings(), **_sentences(report)},
        "name": entity.name,
        "code": formats.code_parts(entity.code),
        "made_up": report.file.made_up,
        "lists": [label("listed", name) for name in entity.flags],
        "glance": _glance(entity),
        "registration": _registration(report.file),
        "latest": [
            (_day(one.occurred_on), label("kind", one.kind), _shortened(headline(one), 60))
            for one in report.file.latest
        ],
        "record": [_part(part, f"{page}/records/{part.kind}") for part in report.parts],
        "source": _source(report.file),
        "as_received": [(heading, value, "") for heading, value in report.file.as_received.items()],
        "root": report.head.root.hex(),
        "page": page,
        "ledger": f"{site}/ledger",
        "confirming": confirming,
        "code_drawn": qr.svg(confirming),
    }


# ---- sentences ------------------------------------------------------------------------------------------------------


def _headings() -> dict[str, str]:
    """What its parts and their columns are called."""
    return {
        "portal": gettext("Gongzhi open data portal"),
        "demonstration": gettext("Demonstration"),
        "title": gettext("Report of an entity's file"),
        "scan": gettext("Scan to confirm"),
        "drawn": gettext("QR code of the address at which this report is confirmed"),
        "registration": gettext("Registration"),
        "item": gettext("Item"),
        "registered": gettext("As registered"),
        "record": gettext("Supervision record"),
        "kind": gettext("Kind"),
        "published": gettext("Published"),
        "listed": gettext("Listed here"),
        "latest": gettext("What happened last"),
        "day": gettext("Day"),
        "what": gettext("What"),
        "proof": gettext("Proof"),
        "source": gettext("Where this comes from"),
        "as_received": gettext("Values kept as they came"),
        "about": gettext("About this report"),
        "root": gettext("Root of the tree"),
        "ledger": gettext("How the public ledger works"),
        "confirm": gettext("Confirm this report"),
    }


def _sentences(report: Report) -> dict[str, Any]:
    entity, made_at = report.file.entity, formats.minute_text(report.made_at)
    return {
        "full_title": gettext("Report of the file of %(name)s", name=entity.name),
        "code": gettext("Credit code") if len(entity.code) == 18 else gettext("Registration number"),
        "as_of": gettext("As of %(minute)s", minute=made_at),
        "page": gettext("Page %(page)s of %(pages)s", page="{page}", pages="{pages}"),
        "made_up": gettext(
            "This entity is made up for demonstration. It does not exist, and its code cannot belong to a real one."
        ),
        "lists": gettext("When this report was made, this entity stood on:"),
        "no_lists": gettext("When this report was made, this entity stood on none of the lists that the portal shows."),
        "counted": _counted(report),
        "as_received_because": gettext(
            "What could not be read with certainty is not guessed at. "
            "It is shown here under the registry's own headings."
        ),
        "validity": _validity(report, made_at),
        "how_to_confirm": gettext(
            "Scan the code or open the address. The portal then says when this report was made and whether the file "
            "has changed since. What counts is what stands there, not what is printed here."
        ),
        "shapes": gettext(
            "Characters that the font of this document lacks are given by their Unicode number, as in U+20BB7."
        ),
    }


def _counted(report: Report) -> list[str]:
    if not report.entries:
        return [
            gettext(
                "Nothing is published about this entity today. Penalties are shown for as long as the law says, and "
                "not after they were repaired."
            )
        ]
    counted = ngettext(
        "%(num)s entry was published about this entity when this report was made.",
        "%(num)s entries were published about this entity when this report was made.",
        report.entries,
    )
    listed = sum(len(part.newest) for part in report.parts)
    left_out = gettext(
        "The newest %(listed)s are listed here, of each kind its newest; below each kind stands where the others are.",
        listed=listed,
    )
    disputed = ngettext(
        "One of them is disputed: an objection to it is being examined.",
        "%(num)s of them are disputed: objections to them are being examined.",
        report.disputed,
    )
    return [counted, *[left_out] * (listed < report.entries), *[disputed] * bool(report.disputed)]


def _validity(report: Report, made_at: str) -> list[str]:
    return [
        gettext(
            "This report says what the portal published about the entity on %(minute)s (Beijing time), when its public "
            "ledger held %(size)s entries under the root below.",
            minute=made_at,
            size=formats.number_text(report.head.size),
        ),
        gettext(
            "It is valid for that moment only. What had been withdrawn, repaired or was past its term by then is not "
            "in it; of what came or went afterwards it knows nothing."
        ),
        gettext(
            "What this site shows comes from the register of market entities and is given for information. For a "
            "certified extract, ask the registration office."
        ),
    ]


# ---- registration ---------------------------------------------------------------------------------------------------


def _glance(entity: Entity) -> list[tuple[str, str]]:
    return [
        (gettext("Status"), label("status", entity.status) or _not_stated()),
        (gettext("Type"), label("type", entity.type)),
        (gettext("Established"), _day(entity.established_on) or _not_stated()),
        (gettext("District"), label("district", entity.district) or _not_stated()),
    ]


def _registration(file: Profile) -> list[Row]:
    entity = file.entity
    former = [(gettext("Former names"), "\n".join(map(_former, file.former_names)), "")] if file.former_names else []
    return [
        (gettext("Name"), entity.name, ""),
        *former,
        (gettext("Type"), label("type", entity.type), _in_the_registrys_words(entity)),
        (gettext("Status"), label("status", entity.status) or gettext("The registry does not say."), ""),
        (gettext("Established"), _day(entity.established_on) or _not_stated(), ""),
        (gettext("Registered capital"), _capital(entity), ""),
        (gettext("Industry"), *_industry(entity)),
        (gettext("District"), label("district", entity.district) or _not_stated(), ""),
        (gettext("Address"), *_address(file)),
        (gettext("Business scope"), *(_scope(file.scope) if file.scope else (_not_stated(), ""))),
    ]


def _not_stated() -> str:
    return gettext("Not stated")


def _former(one: FormerName) -> str:
    if one.until is None:
        return one.name
    until = gettext("until %(day)s", day=_day(one.until))
    return f"{one.name}（{until}）" if i18n.current() == "zh" else f"{one.name} ({until})"


def _in_the_registrys_words(entity: Entity) -> str:
    if not entity.type_text or entity.type_text == label("type", entity.type):
        return ""
    return gettext("In the registry's words: %(words)s", words=entity.type_text)


def _capital(entity: Entity) -> str:
    if entity.capital_amount is None:
        return _not_stated()
    return formats.money_text(entity.capital_amount, entity.capital_currency)


def _industry(entity: Entity) -> tuple[str, str]:
    names = [label("industry", entity.industry), label("division", entity.industry_division)]
    read = gettext("Read from the trade that its name states, not from the register.")
    return " › ".join(filter(None, names)) or _not_stated(), read if entity.industry_source == "name" else ""


def _address(file: Profile) -> tuple[str, str]:
    shortened = gettext("The street number of an individual business is not shown, for it may be somebody's home.")
    return file.address or _not_stated(), shortened if file.address_is_shortened else ""


def _scope(scope: Scope) -> tuple[str, str]:
    said = [f"{part.heading}：" * bool(part.heading) + "；".join(part.items) + "。" for part in scope.parts]
    remarks = [part.note for part in scope.parts if part.note]
    if scope.cut_off:
        remarks.append(gettext("The text ends here in what the registry sent."))
    return "\n".join(said), "\n".join(remarks)


def _source(file: Profile) -> list[Row]:
    source = gettext("Made-up demonstration data") if file.made_up else gettext("The register of market entities")
    return [
        (gettext("Source"), source, ""),
        (gettext("Last change received"), formats.date_text(file.entity.changed_at), ""),
    ]


# ---- the supervision record -----------------------------------------------------------------------------------------


def _part(part: Part, address: str) -> dict[str, Any]:
    more = part.count - len(part.newest)
    sentence = ngettext("%(num)s more entry of this kind:", "%(num)s more entries of this kind:", more) if more else ""
    return {
        "kind": label("kind", part.kind),
        "count": formats.number_text(part.count),
        "listed": formats.number_text(len(part.newest)),
        "entries": [_entry(one) for one in sorted(part.newest, key=_by_day, reverse=True)],
        "more": sentence,
        "address": address,
    }


def _by_day(one: Published) -> tuple[date, int]:
    return one.occurred_on or date.min, one.seq


def _entry(one: Published) -> dict[str, Any]:
    above = {name: str(one.payload[name]) for name in ("authority", "document") if one.payload.get(name)}
    gone = {label("field", name) for name in above}
    gravity = one.payload.get("gravity")
    return {
        "headline": _shortened(headline(one), 120) or label("kind", one.kind),
        "gravity": label("gravity", gravity),
        "serious": gravity == "serious",
        "disputed": gettext("Disputed: an objection is being examined") if one.disputed else "",
        "day": _day(one.occurred_on),
        "above": list(above.values()),
        "said": [(name, _shortened(value, MOST_CHARACTERS)) for name, value in said(one) if name not in gone],
        "terms": _terms(one),
        "proof": gettext("Entry %(number)s of the public ledger", number=one.seq),
        "proof_at": f"{get_settings().base_url}/ledger/{one.seq}",
    }


def _terms(one: Published) -> list[tuple[str, str]]:
    term = one.term
    rows = [
        (gettext("Shown until"), _day(one.shown_until)),
        (gettext("Repair may be applied for from"), _day(term.repair_from)),
        (gettext("Rule for these two days"), term.rule.source if term.rule else ""),
        (gettext("Received"), formats.date_text(one.recorded_at)),
    ]
    return [(name, value) for name, value in rows if value]


def _day(day: date | None) -> str:
    return formats.date_text(day) if day else ""


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()}…"
