"""The command line of API keys: `portal keys create`, `rotate`, `revoke`."""

from typing import Annotated, Any

import typer

from portal.console import AsJson, finish, refusals_told

app = typer.Typer(no_args_is_help=True, help="API keys of departments and partners.")

ExpiresDays = Annotated[int, typer.Option(min=1, max=1_825, help="How long the key works.")]


@app.command("create")
def create(
    *,
    scope: Annotated[list[str], typer.Option(help="What it may do, such as feeds:penalties or feeds:*; may repeat.")],
    owner: Annotated[str, typer.Option(help="Whose it is: kind and id, such as department:emergency.")] = "",
    partner: Annotated[str, typer.Option(help="The same as --owner partner:ID.")] = "",
    label: Annotated[str, typer.Option(help="A word for people to know it by.")] = "",
    expires_days: ExpiresDays = 365,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is printed once and cannot be shown again."""
    from datetime import timedelta

    from portal import migrations
    from portal.kit import db
    from portal.kit import keys as api_keys
    from record import acts

    if bool(owner) == bool(partner):
        raise typer.BadParameter("say either --owner or --partner")
    kind, _, id_ = (owner or f"partner:{partner}").partition(":")
    migrations.upgrade()
    try:
        with db.writing() as session:
            made, text = api_keys.create(
                session,
                owner_kind=kind,
                owner_id=id_,
                scopes=scope,
                label=label,
                lifetime=timedelta(days=expires_days),
            )
            acts.keep(session, "key_create", about=f"key {made.prefix}", by=None, details={"owner": made.owner})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    finish({"key": text, **_about(made)}, text, as_json=as_json)


@app.command("rotate")
def rotate(prefix: str, expires_days: ExpiresDays = 365, as_json: AsJson = False) -> None:
    """Make a successor with the same owner and scopes. The old key works for a week more."""
    from datetime import timedelta

    from portal.kit import db
    from portal.kit import keys as api_keys
    from record import acts

    with refusals_told(), db.writing() as session:
        made, text = api_keys.rotate(session, prefix, lifetime=timedelta(days=expires_days))
        acts.keep(session, "key_rotate", about=f"key {prefix}", by=None, details={"successor": made.prefix})
    finish({"key": text, **_about(made)}, text, as_json=as_json)


@app.command("revoke")
def revoke(prefix: str, as_json: AsJson = False) -> None:
    """End an API key now. PREFIX is the part between its first two underscores."""
    from portal.kit import db
    from portal.kit import keys as api_keys
    from record import acts

    with refusals_told(), db.writing() as session:
        ended = api_keys.revoke(session, prefix)
        acts.keep(session, "key_revoke", about=f"key {ended.prefix}", by=None)
    finish(_about(ended), f"Key {ended.prefix} of {ended.owner} works no longer.", as_json=as_json)


def _about(key: Any) -> dict[str, Any]:
    return {"prefix": key.prefix, "owner": key.owner, "scopes": key.scopes, "expires_on": f"{key.expires_at:%Y-%m-%d}"}
