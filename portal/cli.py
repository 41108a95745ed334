"""The command line: `portal serve`, `portal import`, …. Heavy libraries load inside the command that needs them.

Long work shows its progress on a terminal; with `--json` the last line is a summary for programs. Exit codes: 0 done,
1 refused input or a failed check, 2 wrong usage.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from portal import data_commands, key_commands, partner_commands, publish_commands, serving, subscribers, vault_keys
from portal.console import AsJson, finish, refusals_told

if TYPE_CHECKING:
    from portal.kit.accounts import Enrolment

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(key_commands.app, name="keys")
staff = typer.Typer(no_args_is_help=True, help="Accounts of officers, who work at /desk.")
app.add_typer(staff, name="staff")
app.add_typer(subscribers.app, name="subscribers")
app.add_typer(vault_keys.app, name="vault")
app.add_typer(partner_commands.app, name="partner")
app.add_typer(publish_commands.app, name="publish")
app.command("snapshot")(data_commands.snapshot)
app.command("serve")(serving.serve)
app.command("worker")(serving.worker)


class ImportKind(StrEnum):
    registry = "registry"
    permits = "permits"
    penalties = "penalties"
    inspections = "inspections"
    abnormal_listings = "abnormal-listings"
    serious_violations = "serious-violations"
    judgment_debtors = "judgment-debtors"
    commendations = "commendations"


class StaffRole(StrEnum):
    clerk = "clerk"
    reviewer = "reviewer"
    administrator = "administrator"


def main() -> None:
    """Entry point of the `portal` command."""
    app()


@app.callback()
def portal() -> None:
    """Gongzhi 共治: a public open-data and social co-governance portal for a city's market regulator."""
    from portal.kit import logs

    logs.configure()


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on a terminal, told `(done, total or None)`; silent elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@app.command("import")
def import_(
    kind: ImportKind,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, metavar="FILE…")],
    baseline: Annotated[bool, typer.Option("--baseline", help="The first load of a register, in bulk.")] = False,
    source: Annotated[str, typer.Option(help="Whose data it is; a fact of two sources is two facts.")] = "import",
    as_json: AsJson = False,
) -> None:
    """Read files of official data. Returns when what they brought is searchable and served.

    CSV, XLSX or JSONL, each also .gz, .xz or .zst. Rows that cannot be used go to FILE.rejects.csv with the reason.
    """
    import record.tasks  # noqa: F401
    import search.tasks  # noqa: F401  the jobs of both follow what is imported
    from portal import migrations
    from record.packing import FileRefused

    migrations.upgrade()
    try:
        if kind is ImportKind.registry:
            _import_registry(files, baseline=baseline, as_json=as_json)
        else:
            _import_feed(kind, files, source, as_json=as_json)
    except FileRefused as refusal:
        typer.echo(f"{refusal.path}: {refusal.title} {refusal.remedy}", err=True)
        raise typer.Exit(1) from refusal


def _import_registry(files: list[Path], *, baseline: bool, as_json: bool) -> None:
    from record import joining, registry
    from search import index

    started = time.monotonic()
    with _progress("Reading") as told, index.FirstLoad() as first_load:
        summary = registry.import_files(files, baseline=baseline or None, follower=first_load, progress=told)
    with _progress("Indexing") as told:
        if summary.baseline:
            joining.join_all()
        index.bring_level(in_bulk=summary.baseline and not first_load.began, progress=told)
    seconds = round(time.monotonic() - started, 2)
    finish(
        {**summary.as_dict(), "seconds": seconds},
        f"{summary.rows} rows in {seconds} s: {summary.added} added, {summary.changed} changed, "
        f"{summary.unchanged} unchanged, {summary.rejected} rejected.",
        as_json=as_json,
    )


def _import_feed(kind: ImportKind, files: list[Path], source: str, *, as_json: bool) -> None:
    from portal.kit import jobs
    from record import feeds
    from record.kinds import FED
    from record.packing import FileRefused

    name = next(fed.name for fed in FED if fed.command == kind.value)
    summaries = []
    for path in files:
        with _progress("Reading") as told:
            try:
                summary = feeds.import_file(name, path, source=source, progress=told)
            except FileRefused as refusal:
                refusal.path = path
                raise
        summaries.append(summary.as_dict())
    with _progress("Publishing") as told:
        jobs.drain(lambda left: told(0, left))
    counts = ("rows", "added", "changed", "unchanged", "rejected", "unmatched")
    total = {count: sum(summary[count] for summary in summaries) for count in counts}
    sentence = ", ".join(f"{number} {count}" for count, number in total.items())
    finish({**total, "files": summaries}, f"{sentence}.", as_json=as_json)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Compute the whole ledger anew; say the first entry that does not hold."""
    from record import verification

    with _progress("Verifying") as told:
        report = verification.verify(told)
    finish(
        {**asdict(report), "holds": report.holds},
        f"{report.entries} entries hold; root {report.root}."
        if report.holds
        else f"Entry {report.broken_at} does not hold: {report.problem}. Compare it with a backup first.",
        as_json=as_json,
    )
    if not report.holds:
        raise typer.Exit(1)


@app.command()
def demo(
    entities: Annotated[int, typer.Option(min=1, max=200_000, help="How many entities to make up.")] = 20_000,
    as_json: AsJson = False,
) -> None:
    """Fill an empty portal with made-up entities, records and officers. Repeating it changes nothing."""
    from portal import demo as people
    from portal import migrations
    from record import demo as made_up
    from search import index

    migrations.upgrade()
    with _progress("Making up entities") as told:
        added = made_up.fill(entities, progress=told)
    with _progress("Indexing") as told:
        index.bring_level(in_bulk=added > 0, progress=told)
    officers, file = people.add_people(), people.accounts_file()
    with _progress("Writing the files of open data") as told:
        data_commands.write_missing(told)
    finish(
        {"added": added, "officers": officers, "accounts": str(file)},
        f"{added} made-up entities added. Officers sign in at /desk; how is in {file}.",
        as_json=as_json,
    )


@app.command()
def reindex(as_json: AsJson = False) -> None:
    """Build the search index anew from the register, beside the one in use."""
    from search import index
    from search.engine import EngineUnavailable

    started = time.monotonic()
    try:
        with _progress("Indexing") as told:
            size = index.rebuild(told)
    except EngineUnavailable as problem:
        typer.echo(f"The index was not built: {problem}. The one in use stays.", err=True)
        raise typer.Exit(1) from problem
    seconds = round(time.monotonic() - started, 2)
    finish({"entities": size, "seconds": seconds}, f"{size} entities indexed in {seconds} s.", as_json=as_json)


@app.command()
def purge(as_json: AsJson = False) -> None:
    """Apply retention: forget what need not be kept any longer."""
    from portal import retention

    forgotten = retention.apply()
    told = ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in forgotten.items())
    finish(forgotten, f"Forgotten: {told}.", as_json=as_json)


@app.command("backup")
def backup_(
    where: Annotated[
        str, typer.Argument(metavar="DIR", help="A new folder outside of the data folder, or s3://bucket/folder.")
    ],
    as_json: AsJson = False,
) -> None:
    """Copy everything but private keys into a folder or bucket, as it is at one moment, while the portal runs."""
    from portal import backup

    with refusals_told(), _progress("Copying rows") as told:
        made = backup.make(where, told)
    finish(
        asdict(made),
        f"{made.rows} rows and {made.files} files, {made.bytes} bytes in {made.seconds} s. Private keys are not among "
        "them: copy their folder apart.",
        as_json=as_json,
    )


@app.command()
def restore(
    where: Annotated[str, typer.Argument(metavar="DIR", help="A finished backup: its folder, or s3://bucket/folder.")],
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty portal, index it and verify its ledger."""
    from portal import backup

    with refusals_told(), _progress("Restoring") as told:
        restored = backup.restore(where, told)
    finish(
        asdict(restored),
        f"{restored.rows} rows and {restored.files} files in {restored.seconds} s; {restored.entities} entities are "
        + (
            f"searchable; {restored.entries} entries of the ledger hold."
            if restored.holds
            else f"searchable. The ledger does not hold: {restored.problem}. Compare it with another backup."
        ),
        as_json=as_json,
    )
    if not restored.holds:
        raise typer.Exit(1)


PasswordFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Holds the password in its first line; without it, it is asked."),
]


@staff.command("add")
def staff_add(
    *,
    login: Annotated[str, typer.Option(help="What the officer signs in with; capitals do not matter.")],
    name: Annotated[str, typer.Option(help="The officer's name, as colleagues see it.")],
    department: Annotated[str, typer.Option(help="The department, in the words that its records use.")],
    role: Annotated[list[StaffRole], typer.Option(help="What the officer may do; may repeat.")],
    district: Annotated[str | None, typer.Option(help="Six digits (GB/T 2260); left out: the whole city.")] = None,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Add an officer, and show once what their authenticator is set up with."""
    from portal.kit import accounts, db
    from record import acts
    from record.codes import DISTRICTS

    if district is not None and district not in DISTRICTS:
        raise typer.BadParameter(f"{district} is none of {', '.join(DISTRICTS)}", param_hint="--district")
    password_hash = _new_password(login, password_file)
    with refusals_told(), db.writing() as session:
        enrolment = accounts.add_officer(
            session,
            login=login,
            name=name,
            department=department,
            district=district,
            roles=[each.value for each in role],
            password_hash=password_hash,
        )
        acts.keep(
            session, "account_add", about=f"account {enrolment.account_id}", by=None,
            details={"roles": ", ".join(each.value for each in role)},
        )  # fmt: skip
    _show(enrolment, as_json=as_json)


@staff.command("renew")
def staff_renew(
    login: Annotated[str, typer.Option(help="Whose account.")],
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Give an officer a new password and a new authenticator, and sign them out everywhere."""
    from portal.kit import accounts, db
    from record import acts

    password_hash = _new_password(login, password_file)
    with refusals_told(), db.writing() as session:
        enrolment = accounts.renew(session, login, password_hash=password_hash)
        acts.keep(session, "account_renew", about=f"account {enrolment.account_id}", by=None)
    _show(enrolment, as_json=as_json)


def _new_password(login: str, file: Path | None) -> str:
    """The hash of a good password, out of the file or asked for twice."""
    from portal import migrations
    from portal.kit import passwords

    migrations.upgrade()
    if file is None:
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        password = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    with refusals_told():
        passwords.check(password, login=login)
        return passwords.hashed(password)


def _show(enrolment: "Enrolment", *, as_json: bool) -> None:
    """What the authenticator reads: a QR code on a terminal, one line of JSON for programs."""
    import segno

    if not as_json:
        segno.make(enrolment.otpauth, error="l").terminal(compact=True)
    finish(
        {"account": enrolment.account_id, "login": enrolment.login, "otpauth": enrolment.otpauth},
        f"{enrolment.otpauth}\n\nThis is shown once. Scan it with an authenticator (RFC 6238), then sign in at /desk.",
        as_json=as_json,
    )
