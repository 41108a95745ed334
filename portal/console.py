"""How every command ends: a sentence, a line of JSON, or a refusal on standard error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from portal.kit.errors import PortalError

AsJson = Annotated[bool, typer.Option("--json", help="Print a one-line JSON summary as the last line.")]


def finish(summary: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    """Print what came of a command, for people or for programs."""
    typer.echo(json.dumps(summary, ensure_ascii=False) if as_json else sentence)


def tell(refusal: "PortalError") -> None:
    """Say a refusal on standard error."""
    sentences = f"{refusal.title} {refusal.remedy}"
    typer.echo(sentences % refusal.values if refusal.values else sentences, err=True)


@contextmanager
def refusals_told() -> Iterator[None]:
    """Say a refusal on standard error and end with 1."""
    from portal.kit.errors import PortalError

    try:
        yield
    except PortalError as refusal:
        tell(refusal)
        raise typer.Exit(1) from refusal
