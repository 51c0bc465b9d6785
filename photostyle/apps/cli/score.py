"""``photostyle score``: numbers of any result against content, style and masks."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Annotated

import typer

from photostyle.apps.cli.screen import Screen
from photostyle.options.config import TransferConfig, option_help


def score_command(
    content: Annotated[str, typer.Argument(metavar="CONTENT", help="The content picture.", show_default=False)],
    style: Annotated[str, typer.Argument(metavar="STYLE", help="The style picture.", show_default=False)],
    results: Annotated[
        list[str], typer.Argument(metavar="RESULT...", help="One or more results, of any program.", show_default=False)
    ],
    content_mask: Annotated[
        str | None, typer.Option("--content-mask", metavar="FILE", help="Label map of the content.")
    ] = None,
    style_mask: Annotated[
        str | None, typer.Option("--style-mask", metavar="FILE", help="Label map of the style picture.")
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option("--regions", help="none (one region), auto (segmentation), or a label map FILE of the content."),
    ] = None,
    truth: Annotated[
        str | None, typer.Option("--truth", metavar="FILE", help="The right answer, of the size of the results.")
    ] = None,
    segmenter: Annotated[
        str, typer.Option("--segmenter", metavar="NAME", help=option_help("segmenter"))
    ] = TransferConfig.segmenter,
    offline: Annotated[bool, typer.Option("--offline", help=option_help("offline"))] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the scores as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and the scores.")] = False,
) -> None:
    """Score each RESULT as a photograph and as a painting: what is kept of CONTENT, what is reached of STYLE."""
    from photostyle.apps.cli.score_table import score_table
    from photostyle.studies.measure import told
    from photostyle.studies.score import score

    with Screen(quiet=quiet) as screen:
        scores = score(
            content,
            style,
            results,
            content_mask=content_mask,
            style_mask=style_mask,
            regions=regions,
            truth=truth,
            segmenter=segmenter,
            offline=offline,
            callback=screen,
        )
    if json_:
        rows = [{"result": result, **numbers} for result, numbers in zip(results, scores, strict=True)]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    typer.echo("\n".join(score_table(list(zip(results, scores, strict=True)), width)))
    for name, meaning in told(scores[0]).items():
        screen.say(f"{name + ':':14}{meaning}")
