"""``photostyle models list | fetch | verify``: the pretrained weights."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from photostyle.apps.cli.screen import Screen
from photostyle.errors import WeightsError

_NEEDED = ["vgg16", "hed"]  # by the defaults of artistic and photo mode, and by scores

models_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, fetch and verify pretrained weights.")

NameArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Registered names, such as vgg16.", show_default=False)
]


@models_app.command("list")
def list_command(json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the registered weights and whether they are here."""
    from photostyle.networks.weights import list_models

    models = list_models()
    if json_:
        typer.echo(json.dumps([asdict(model) for model in models]))
        return
    for model in models:
        typer.echo(
            f"{model.name:10} {model.state:8} {model.size / 1e6:7.1f} MB  {model.licence:32} {model.description}"
        )


@models_app.command("fetch")
def fetch_command(
    names: NameArgument = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch again, over an altered file.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Fetch weights (default: vgg16 and hed), and verify them."""
    from photostyle.networks.fetch import fetch_model

    with Screen(quiet=quiet) as screen:
        for name in names or _NEEDED:
            path = fetch_model(name, force=force, offline=offline, callback=screen)
            screen.say(f"{name}: {path}")


@models_app.command("verify")
def verify_command(names: NameArgument = None) -> None:
    """Compare the SHA-256 of weights with the registry (default: all that are here)."""
    from photostyle.networks.weights import list_models, verify_model

    chosen = names or [model.name for model in list_models() if model.state != "missing"]
    states = [verify_model(name) for name in chosen]
    for state in states:
        typer.echo(f"{state.name:10} {state.state:8} {state.path or ''} {state.detail}".rstrip())
    bad = [state for state in states if state.state != "ready"]
    if bad:
        raise WeightsError(f"{bad[0].name} is {bad[0].state}: run photostyle models fetch {bad[0].name} --force")
