"""The command line of the platforms that follow the record: `portal subscribers add`, `list`, `rewind`, `replay`."""

from typing import Annotated, Any

import typer

from portal.console import AsJson, finish, refusals_told

app = typer.Typer(no_args_is_help=True, help="Outside platforms to which the record's changes are delivered.")


@app.command()
def add(
    *,
    name: Annotated[str, typer.Option(help="What the platform is called here; no other has the name.")],
    url: Annotated[str, typer.Option(help="Where deliveries go; https only.")],
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind, such as penalty; may repeat.")] = None,
    district: Annotated[list[str] | None, typer.Option(help="Only this district, six digits; may repeat.")] = None,
    from_now: Annotated[
        bool, typer.Option("--from-now", help="Begin with the next entry, not with the first.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a platform. The secret that deliveries are signed with is printed once and cannot be shown again."""
    from portal import migrations
    from portal.kit import db
    from record import subscriptions

    migrations.upgrade()
    with refusals_told(), db.writing() as session:
        made, secret = subscriptions.add(
            session, name=name, url=url, kinds=kind or (), districts=district or (), from_now=from_now, by=None
        )
    finish({"secret": secret, **_about(made)}, secret, as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show every platform, how far it has come and how it stands."""
    from portal.kit import db
    from record import subscriptions

    with db.reading() as session:
        found = subscriptions.standings(session)
    about = [{**_about(one.subscription), "lag": one.lag} for one in found]
    lines = (
        f"{one['name']}  {one['host']}  {one['state']}  at {one['cursor']}, {one['lag']} behind"
        f"{'  ' + one['last_error'] if one['last_error'] else ''}"
        for one in about
    )
    finish({"subscribers": about}, "\n".join(lines) or "No platform follows the record.", as_json=as_json)


@app.command()
def rewind(
    name: str,
    to: Annotated[int, typer.Option(min=0, help="Number of the first entry that is sent again.")],
    as_json: AsJson = False,
) -> None:
    """Send a platform again what it has had, from an earlier entry on."""
    from portal.kit import db
    from record import subscriptions

    with refusals_told(), db.writing() as session:
        subscriptions.rewind(session, subscriptions.named(session, name), to, by=None)
    finish({"name": name, "next": to}, f"{name} is sent entry {to} next.", as_json=as_json)


@app.command()
def replay(name: str, as_json: AsJson = False) -> None:
    """Let a platform that was given up, is paused or waits for its next attempt go on at once from where it stopped."""
    from portal.kit import db
    from record import subscriptions

    with refusals_told(), db.writing() as session:
        subscriptions.resume(session, subscriptions.named(session, name), by=None)
    finish({"name": name, "state": "active"}, f"{name} goes on from where it stopped.", as_json=as_json)


def _about(subscription: Any) -> dict[str, Any]:
    from record import subscriptions

    shown = ("name", "kinds", "districts", "cursor", "state", "last_error")
    return {"host": subscriptions.host(subscription), **{field: getattr(subscription, field) for field in shown}}
