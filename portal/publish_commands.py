"""The command line of publishing onwards: `portal publish ckan`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from portal.console import AsJson, finish, refusals_told, tell

if TYPE_CHECKING:
    from opendata.publisher import Outcome

app = typer.Typer(no_args_is_help=True, help="Data sets sent on to other data portals.")


@app.callback()
def publish() -> None:
    """Send data sets on to other data portals."""


@app.command()
def ckan(
    *,
    url: Annotated[str, typer.Option(help="Where that portal's pages begin; left out: PORTAL_PUBLISH_CKAN_URL.")] = "",
    organization: Annotated[
        str, typer.Option(help="Whose data sets they are there; left out: PORTAL_PUBLISH_CKAN_ORGANIZATION.")
    ] = "",
    upload: Annotated[
        bool | None,
        typer.Option("--upload/--link", help="Upload the files, or link to them here; left out: as it is set."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring an outside CKAN level with this portal's catalogue. Killed, the same command goes on where it was.

    Its API token is read from PORTAL_PUBLISH_CKAN_TOKEN.
    """
    from opendata import publisher
    from opendata import tasks as opendata_tasks
    from portal import migrations
    from portal.data_commands import have_areas_offer

    assert opendata_tasks
    have_areas_offer()
    started = time.monotonic()
    with refusals_told():
        to = publisher.target(url, organization, upload=upload)
        if not dry_run:
            migrations.upgrade()
        # What is done goes beside the answer; a plan is the answer.
        outcome = publisher.publish(to, dry_run=dry_run, told=lambda step: typer.echo(str(step), err=not dry_run))
    for refusal in outcome.failures:
        tell(refusal)
        for fault in refusal.errors:
            typer.echo(f"  {fault['field']}: {fault['message']}", err=True)
    _end(outcome, round(time.monotonic() - started, 2), dry_run=dry_run, as_json=as_json)


def _end(outcome: "Outcome", seconds: float, *, dry_run: bool, as_json: bool) -> None:
    summary = {
        "dry_run": dry_run,
        "data_sets": outcome.data_sets,
        **{f"{deed}d": many for deed, many in outcome.deeds.items()},
        "linked": outcome.linked,
        "failed": [refusal.values["name"] for refusal in outcome.failures],
        "seconds": seconds,
    }
    told = ", ".join(f"{many} to {deed}" if dry_run else f"{many} {deed}d" for deed, many in outcome.deeds.items())
    sentence = f"{outcome.data_sets} data sets: {told if outcome.sent else 'nothing to send'}."
    if outcome.linked:
        sentence += f" {outcome.linked} files are too large to upload and are linked."
    finish(summary, sentence, as_json=as_json)
    if outcome.failures:
        raise typer.Exit(1)
