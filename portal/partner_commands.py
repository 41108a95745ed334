"""The command line of partners: `portal partner add`, `scheme`, `invite`, `list`."""

import json
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from portal.console import AsJson, finish, refusals_told

app = typer.Typer(no_args_is_help=True, help="Associations, agencies and market entities that work with the portal.")


class PartnerType(StrEnum):
    association = "association"
    chamber = "chamber"
    rating_agency = "rating_agency"
    consumer_council = "consumer_council"
    accountants = "accountants"
    law_firm = "law_firm"
    notary = "notary"
    testing_body = "testing_body"
    entity = "entity"


@app.command()
def add(
    partner: Annotated[str, typer.Argument(metavar="ID", help="3 to 40 of a-z, 0-9 and -, such as demo-association.")],
    *,
    name: Annotated[str, typer.Option(help="As it is registered.")],
    type: Annotated[PartnerType, typer.Option(help="What it is.")] = PartnerType.association,
    number: Annotated[str, typer.Option(help="Of its accreditation or filing.")] = "",
    numbered_by: Annotated[str, typer.Option(help="Who gave the number.")] = "",
    code: Annotated[str, typer.Option(help="Its credit code; of an entity: whose file it answers for.")] = "",
    about: Annotated[str, typer.Option(help="What it says of itself, in public.")] = "",
    industry: Annotated[list[str] | None, typer.Option(help="Section A to T that it may evaluate; may repeat.")] = None,
    district: Annotated[list[str] | None, typer.Option(help="Six digits; may repeat; left out: the city.")] = None,
    until: Annotated[str, typer.Option(help="Last day of its term, such as 2028-12-31.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add an organisation that may begin at once, and show once the link with which its first member takes a seat."""
    from partners import organisations
    from partners.organisation_office import join_address
    from partners.organisations import Wanted
    from portal import migrations
    from portal.kit import db
    from record.codes import DISTRICTS, INDUSTRY_SECTIONS

    for known, given in ((INDUSTRY_SECTIONS, industry), (DISTRICTS, district)):
        for one in given or ():
            if one not in known:
                raise typer.BadParameter(f"{one} is none of {', '.join(known)}")
    migrations.upgrade()
    wanted = Wanted(
        type=type.value, name=name, entity_code=code or None, number=number, numbered_by=numbered_by, about=about,
        industries=industry or (), districts=district or (),
    )  # fmt: skip
    try:
        last = date.fromisoformat(until) if until else None
        with refusals_told(), db.writing() as session:
            organisations.add(session, partner, wanted, by=None, valid_until=last)
            token = organisations.invite(session, partner, "manager")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    link = join_address(token)
    finish(
        {"partner": partner, "invitation": link},
        f"{partner} is here. Its first member takes a seat at {link}\nThis is shown once, and is good for two weeks.",
        as_json=as_json,
    )


@app.command()
def invite(partner: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Another seat for a manager of an organisation."""
    from partners import organisations
    from partners.organisation_office import join_address
    from portal.kit import db
    from record import acts

    with refusals_told(), db.writing() as session:
        link = join_address(organisations.invite(session, partner, "manager"))
        acts.keep(session, "partner_invite", about=f"organisation {partner}", by=None)
    finish({"partner": partner, "invitation": link}, link, as_json=as_json)


@app.command()
def scheme(
    partner: Annotated[str, typer.Argument(metavar="ID")],
    id_: Annotated[str, typer.Argument(metavar="SCHEME", help="3 to 40 of a-z, 0-9 and -, such as demo-credit.")],
    definition: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON; see docs/partners.md.")],
    *,
    name: Annotated[str, typer.Option(help="In Chinese.")],
    english_name: Annotated[str, typer.Option(help="In English.")],
    as_json: AsJson = False,
) -> None:
    """Put a scheme, or a new edition of one, into force."""
    from partners import schemes
    from portal import migrations
    from portal.kit import db

    migrations.upgrade()
    with refusals_told():
        try:
            said = schemes.parse_text(definition.read_text(encoding="utf-8"))
        except schemes.DefinitionRefused as refusal:
            for fault in refusal.errors:
                typer.echo(f"{fault['field']}: {fault['message']}", err=True)
            raise
        with db.writing() as session:
            version = schemes.propose(session, partner, id_, name=name, english_name=english_name, definition=said)
            schemes.approve(session, None, id_, version.number)
    finish(
        {"scheme": id_, "version": version.number}, f"{id_}, edition {version.number}, is in force.", as_json=as_json
    )


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show every organisation but market entities, how it stands, and its schemes."""
    from partners import organisations, schemes
    from portal.kit import db

    with db.reading() as session:
        found = [
            {"id": one.id, "name": one.name, "type": one.type, "state": one.state,
             "schemes": [scheme.id for scheme in schemes.of(session, one.id)]}
            for one in organisations.listed(session, limit=1_000)
        ]  # fmt: skip
    lines = [f"{one['id']}  {one['name']}  {one['state']}  {' '.join(one['schemes'])}" for one in found]
    typer.echo(json.dumps({"partners": found}, ensure_ascii=False) if as_json else "\n".join(lines) or "There is none.")
