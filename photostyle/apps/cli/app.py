"""The command line: ``photostyle transfer | compare | sweep | batch | video | report | serve | …``.

Commands import what needs torch, which takes seconds, only when they run: help and completion come at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photostyle._version import __version__
from photostyle.apps.cli.arguments import (
    ContentArgument,
    ContentMaskOption,
    FolderOption,
    JsonOption,
    MapOption,
    OverwriteOption,
    QuietOption,
    ResumeOption,
    StyleArgument,
    StyleMaskOption,
    inputs,
)
from photostyle.apps.cli.batch import batch_command
from photostyle.apps.cli.models import models_app
from photostyle.apps.cli.options import ThemedCommand, config_from, with_config_options
from photostyle.apps.cli.reconstruct import reconstruct_command
from photostyle.apps.cli.report import report_command
from photostyle.apps.cli.score import score_command
from photostyle.apps.cli.screen import Screen, gentle_interrupt, loading
from photostyle.apps.cli.segment import segment_command
from photostyle.apps.cli.serve import serve_command
from photostyle.apps.cli.sweep import sweep_command
from photostyle.apps.cli.video import video_command
from photostyle.errors import (
    DivergedError,
    Interrupted,
    MemoryLimitError,
    OutputError,
    PhotostyleError,
    StoppedError,
    UsageError,
)
from photostyle.options.config import TransferConfig, resolve
from photostyle.progress import Event, Message, Snapshot

if TYPE_CHECKING:
    from photostyle.pipeline import Result

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Style transfer by optimisation, with regions and photorealism.",
)
app.add_typer(models_app, name="models")
app.command("reconstruct", cls=ThemedCommand)(reconstruct_command)
app.command("report")(report_command)
app.command("segment")(segment_command)
app.command("score")(score_command)
app.command("sweep", cls=ThemedCommand)(sweep_command)
app.command("batch")(batch_command)
app.command("video", cls=ThemedCommand)(video_command)
app.command("serve")(serve_command)

_CLICK_ERROR = typer.BadParameter.__mro__[2]  # ClickException, whichever Click this Typer brings


def _version(value: bool) -> None:
    if value:
        typer.echo(f"photostyle {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Style transfer by optimisation, with regions and photorealism."""


@app.command("transfer", cls=ThemedCommand)
@with_config_options
def transfer_command(
    content: ContentArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Result: .png .jpg .webp .tiff", show_default=False)
    ],
    style: StyleArgument = None,
    map_: MapOption = None,
    content_mask: ContentMaskOption = None,
    style_mask: StyleMaskOption = None,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Give CONTENT the style of STYLE and write it to OUT."""
    with loading(quiet):
        from photostyle.apps.cli.files import check_free, checkpoint_path, save_result, snapshot_path, told_kept
        from photostyle.images import check_writable, write_picture
        from photostyle.pipeline import Result, transfer
        from photostyle.report.beside import record_path, regions_paths

    config = config_from(options)
    check_writable(output, overwrite=overwrite or resume)
    snapshots = {number: snapshot_path(output, number) for number in _snapshot_numbers(config)}
    replace = overwrite or resume
    check_free([record_path(output), *regions_paths(output), *snapshots.values()], overwrite=replace)
    checkpoint = checkpoint_path(output)
    with Screen(quiet=quiet) as screen, gentle_interrupt(screen) as gate:

        def on_event(event: Event) -> None:
            if isinstance(event, Snapshot):
                try:
                    write_picture(snapshots[event.iteration], event.image, overwrite=replace)
                except OutputError as error:
                    screen(Message(f"a snapshot is missing: {error}", "warning"))
            gate(event)

        try:
            result = transfer(
                content,
                **inputs(style, map_, content_mask, style_mask),
                checkpoint=checkpoint,
                resume=resume,
                config=config,
                callback=on_event,
            )
        except StoppedError as stop:
            if not isinstance(stop.result, Result):
                raise type(stop)(f"{stop}{'' if checkpoint.exists() else told_kept(stop, [])}") from None
            save_result(stop.result, output, overwrite=replace)
            raise type(stop)(f"{stop}; {_kept(stop, output, checkpoint)}", stop.result) from None
    save_result(result, output, overwrite=replace)
    checkpoint.unlink(missing_ok=True)
    screen.say(f"wrote {output} ({result.rgb.shape[1]}×{result.rgb.shape[0]}) in {result.record['seconds']:.0f} s")
    if json_:
        typer.echo(json.dumps(result.record, ensure_ascii=False))


def _kept(stop: StoppedError, output: Path, checkpoint: Path) -> str:
    assert stop.result is not None
    done = stop.result.record["losses"]["iteration"]
    whole = stop.result.record["config"]["iterations"]
    text = f"the best picture after {done} of {whole} iterations is in {output}"
    if not isinstance(stop, DivergedError) and checkpoint.exists():
        text += "; go on with --resume" + (", with more memory" if isinstance(stop, MemoryLimitError) else "")
    return text


def _snapshot_numbers(config: TransferConfig) -> list[int]:
    iterations = resolve(config).iterations
    assert iterations is not None
    every = config.snapshot_every
    regular = range(every, iterations + 1, every) if every else ()
    late = [number for number in config.snapshots if number > iterations]
    if late:
        raise UsageError(f"--snapshots names iteration {late[0]}, but there are only {iterations}")
    return sorted({*regular, *config.snapshots})


@app.command("compare", cls=ThemedCommand)
@with_config_options
def compare_command(
    content: ContentArgument,
    output: FolderOption,
    style: StyleArgument = None,
    content_mask: ContentMaskOption = None,
    style_mask: StyleMaskOption = None,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Run with and without regions, side by side, with scores (photo mode's pixels: also the style stage alone)."""
    with loading(quiet):
        from photostyle.apps.cli.files import result_folder, told_kept, write_json
        from photostyle.apps.cli.score_table import score_table
        from photostyle.images import write_picture
        from photostyle.studies.compare import compare

    config = config_from(options)
    with result_folder(output, overwrite=overwrite), Screen(quiet=quiet) as screen, gentle_interrupt(screen) as gate:
        written: list[Path] = []

        def on_result(name: str, result: Result) -> None:
            written.append(output / f"{name}.png")
            write_picture(written[-1], result.rgb, overwrite=overwrite)

        try:
            comparison = compare(
                content,
                **inputs(style, None, content_mask, style_mask),
                config=config,
                callback=gate,
                on_result=on_result,
            )
        except StoppedError as stop:
            raise type(stop)(f"{stop}{told_kept(stop, written)}", stop.result) from None
        pictures = {f"regions-{name}": picture for name, picture in comparison.masks.items()}
        pictures |= {"losses": comparison.curves, "sheet": comparison.sheet}
        for name, picture in pictures.items():
            write_picture(output / f"{name}.png", picture, overwrite=overwrite)
        write_json(output / "comparison.json", comparison.record)
    for line in score_table(list(comparison.record["scores"].items())):
        screen.say(line)
    screen.say(f"wrote {output / 'sheet.png'} and {len(pictures) + len(comparison.results)} more files")
    if json_:
        typer.echo(json.dumps(comparison.record, ensure_ascii=False))


def main() -> None:
    """Run the command line; an error is one line on standard error and an exit code."""
    code: Any = 0
    try:
        code = app(standalone_mode=False, prog_name="photostyle")
        if code == Interrupted.exit_code:  # Typer's own answer to a Ctrl-C
            raise KeyboardInterrupt
    except PhotostyleError as error:
        code = _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted before there was anything to keep", Interrupted.exit_code)
    except typer.Abort:
        code = _fail("aborted", 1)
    except MemoryError:
        code = _fail("out of memory: pass a smaller --size", 1)
    except BrokenPipeError:
        code = 1
    except ImportError as error:
        if ".so" not in str(error):
            raise
        remedy = "on Debian, apt-get install libgl1 libglib2.0-0"
        code = _fail(f"OpenCV needs a library of the system ({error}): {remedy}", 1)
    except Exception as error:
        if not isinstance(error, _CLICK_ERROR):
            raise
        code = _usage(error)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Any) -> int:
    """Show Click's own errors as ours; no command at all shows the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)
        return int(error.exit_code)
    hint = "" if getattr(error, "message", "") else "; see photostyle --help"
    return _fail(error.format_message() + hint, error.exit_code)


def _fail(message: str, code: int) -> int:
    print("photostyle: error: " + " ".join(message.split()), file=sys.stderr)
    return code
