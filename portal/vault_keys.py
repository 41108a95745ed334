"""The command line of the keys that tip-offs are sealed with: `portal vault list`, `renew`, `add`."""

from typing import Annotated, Literal

import typer

from portal.console import AsJson, finish, refusals_told

app = typer.Typer(no_args_is_help=True, help="Keys that reports and complaints are sealed with (age).")

Purpose = Literal["intake", "department", "custodian"]
Department = Annotated[str, typer.Option(help="Which department; only with the purpose `department`.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show every public key that was ever sealed to, and whether its private half is here."""
    from portal.kit import db
    from reporting import vault

    with db.reading() as session:
        found = vault.recipients(session)
    lines = [
        f"{one['purpose']:11}{one['department'] or '':24}{'here ' if one['here'] else 'apart'}  "
        f"{'since ' + one['since']}{'  retired ' + one['retired'] if one['retired'] else ''}  {one['public_key']}"
        for one in found
    ]
    finish({"keys": found}, "\n".join(lines) or "There are no keys yet; portal serve makes them.", as_json=as_json)


@app.command()
def renew(purpose: Purpose, department: Department = "", as_json: AsJson = False) -> None:
    """Make a new key and seal to it from now on; what was sealed before stays readable with the old one."""
    from portal import migrations
    from portal.kit import db
    from record import acts
    from reporting import vault

    _check(purpose, department)
    migrations.upgrade()
    with refusals_told(), db.writing() as session:
        public = vault.renew(session, purpose, department or None)
        acts.keep(session, "vault_renew", about=f"vault {purpose}", by=None, details={"key": public})
    finish({"public_key": public}, f"Sealed to {public} from now on. Copy PORTAL_KEYS_DIR again.", as_json=as_json)


@app.command()
def add(department: str, public_key: str, as_json: AsJson = False) -> None:
    """Seal to an officer's own age key as well (age1…), whose private half never comes here."""
    from portal import migrations
    from portal.kit import db
    from record import acts
    from reporting import vault

    migrations.upgrade()
    try:
        with db.writing() as session:
            public = vault.add_recipient(session, department, public_key)
            acts.keep(session, "vault_add", about=f"vault {department}"[:200], by=None, details={"key": public})
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="PUBLIC_KEY") from error
    finish({"public_key": public}, f"New tips for {department} are sealed to {public} too.", as_json=as_json)


def _check(purpose: Purpose, department: str) -> None:
    if (purpose == "department") != bool(department):
        raise typer.BadParameter("name one exactly with the purpose `department`", param_hint="--department")
