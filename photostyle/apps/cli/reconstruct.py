"""``photostyle reconstruct``: what layers of a network keep of a picture, and textures."""

from __future__ import annotations

import contextlib
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photostyle.apps.cli.arguments import JsonOption, OverwriteOption, QuietOption
from photostyle.apps.cli.options import config_from, with_config_options
from photostyle.apps.cli.screen import Screen, gentle_interrupt, loading
from photostyle.errors import StoppedError, UsageError
from photostyle.options.reconstruction import CONTENT_RECONSTRUCTIONS, KINDS, OPTIONS

if TYPE_CHECKING:
    from photostyle.pipeline import Result

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


_Image = Annotated[str, typer.Argument(metavar="IMAGE", help="The picture.", show_default=False)]
_Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="OUT", help="Folder for all files; of a texture the picture.", show_default=False
    ),
]
_What = Annotated[
    str,
    typer.Option(
        "--what",
        metavar="|".join(KINDS),
        help="content (a picture for each layer), style (a picture for each growing set of layers) or texture "
        "(one picture for all layers).",
    ),
]
_Layers = Annotated[
    str | None,
    typer.Option(
        "--layers",
        metavar="A,B,…",
        help=f"Layers, by comma. Default: {','.join(CONTENT_RECONSTRUCTIONS)}; for style and texture "
        "relu1_1,relu2_1,relu3_1,relu4_1,relu5_1.",
    ),
]
_OutputSize = Annotated[
    str | None,
    typer.Option("--output-size", metavar="WxH", help="Size of a texture in pixels. Default: that of IMAGE."),
]
_Seamless = Annotated[bool, typer.Option("--seamless", help="A texture that tiles without a seam.")]


@partial(with_config_options, helps=OPTIONS)
def reconstruct_command(
    image: _Image,
    output: _Output,
    what: _What = "content",
    layers: _Layers = None,
    output_size: _OutputSize = None,
    seamless: _Seamless = False,
    overwrite: OverwriteOption = False,
    json_: JsonOption = False,
    quiet: QuietOption = False,
    **options: Any,
) -> None:
    """Show what layers of the network keep of IMAGE, starting from white noise; or make a texture of it."""
    with loading(quiet):
        from photostyle.apps.cli.files import check_free, result_folder, save_result, told_kept, write_json
        from photostyle.images import check_writable, write_picture
        from photostyle.report.beside import record_path
        from photostyle.studies.reconstruct import reconstruct

    config = config_from(options)
    texture = what == "texture"
    if texture:
        check_writable(output, overwrite=overwrite)
        check_free([record_path(output)], overwrite=overwrite)
    elif output.suffix.lower() in _PICTURES and not output.is_dir():
        raise UsageError(f"-o is {output}, but {what} gives several pictures: name a folder")
    place = contextlib.nullcontext() if texture else result_folder(output, overwrite=overwrite)
    written: list[Path] = []
    with place, Screen(quiet=quiet) as screen, gentle_interrupt(screen) as gate:

        def on_result(name: str, result: Result) -> None:
            path = output if texture else output / f"{name}.png"
            if texture:
                save_result(result, path, overwrite=overwrite)
            else:
                write_picture(path, result.rgb, overwrite=overwrite)
            written.append(path)

        try:
            found = reconstruct(
                image,
                what,
                layers=None if layers is None else [layer.strip() for layer in layers.split(",")],
                output_size=_parse_size(output_size),
                seamless=seamless,
                config=config,
                callback=gate,
                on_result=on_result,
            )
        except StoppedError as stop:
            raise type(stop)(f"{stop}{told_kept(stop, written)}", stop.result) from None
        record = found.results["texture"].record if texture else found.record
        if not texture:
            write_picture(output / "sheet.png", found.sheet, overwrite=overwrite)
            write_json(output / "reconstruction.json", record)
    width, height = record["size"]
    screen.say(f"wrote {output} ({width}×{height}{'' if texture else f', {len(written)} pictures and sheet.png'})")
    if json_:
        typer.echo(json.dumps(record, ensure_ascii=False))


def _parse_size(text: str | None) -> tuple[int, int] | None:
    """Parse WIDTHxHEIGHT."""
    if text is None:
        return None
    sides = re.fullmatch(r"([0-9]{1,9})[x×X]([0-9]{1,9})", text.strip())
    if not sides:
        raise UsageError(f"--output-size is {text!r}, but must be WIDTHxHEIGHT, such as 768x512")
    return int(sides[1]), int(sides[2])
