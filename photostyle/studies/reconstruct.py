"""What layers of a network keep of a picture: its content, its style, and textures of any size.

A reconstruction is a transfer from white noise with one of the two feature terms alone, as in figure 1 of Gatys et al.
(2016): the content loss of a single layer, or the style loss of a growing set of layers. A texture (Gatys et al. 2015)
is a style reconstruction of another size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from photostyle.errors import Interrupted, StoppedError, UsageError
from photostyle.images import Picture, fit_longest_side, read_picture, resize
from photostyle.networks import STYLE_LAYERS
from photostyle.networks.registry import BACKBONES
from photostyle.networks.shared import ModelCache
from photostyle.options.config import TransferConfig
from photostyle.options.defaults import BY_SOLVER, RECONSTRUCTIONS
from photostyle.options.reconstruction import CONTENT_RECONSTRUCTIONS, KINDS, LARGEST, OPTIONS
from photostyle.options.typed import TransferOptions
from photostyle.options.values import flag
from photostyle.pipeline import Result, run_prepared
from photostyle.preparation import MIN_SIDE, PictureSource, Prepared, check_side, prepare
from photostyle.progress import Callback, Event, Message, Step, ignore
from photostyle.report.sheet import Tile, contact_sheet
from photostyle.solvers.schedule import tile_size
from photostyle.solvers.torch_state import own_torch_state

_MOST_PIXELS = 200_000_000  # the limit of read_picture


@dataclass(frozen=True)
class Reconstruction:
    """What :func:`reconstruct` gives.

    Attributes
    ----------
    results : dict of str to Result
        One for each layer of "content"; for "style" one for each set, by the last layer of the set; else "texture".
    sheet : ndarray of float32, shape (H, W, 3)
        The picture and its reconstructions in a row, with captions.
    record : dict
        What was reconstructed from which layers, and the records of the runs. It can be written as JSON.
    """

    results: dict[str, Result]
    sheet: NDArray[np.float32]
    record: dict[str, Any]


@own_torch_state()
def reconstruct(
    image: PictureSource,
    what: str = "content",
    *,
    layers: Sequence[str] | None = None,
    output_size: tuple[int, int] | None = None,
    seamless: bool = False,
    config: TransferConfig | None = None,
    callback: Callback = ignore,
    on_result: Callable[[str, Result], Any] = lambda _name, _result: None,
    **options: Unpack[TransferOptions],
) -> Reconstruction:
    """Make pictures out of white noise that look to layers of the network as a picture does.

    Parameters
    ----------
    image : path, PIL image, ndarray or Tensor
    what : str
        "content": a picture for each layer, with the features that it has there. "style": a picture for each growing
        set of layers, the first one, the first two, …, with the Gram matrices that it has there. "texture": one picture
        with the Gram matrices of all layers.
    layers : sequence of str, optional
        By default :data:`CONTENT_RECONSTRUCTIONS`, or the style layers of a transfer.
    output_size : tuple of int, optional
        (width, height) of a texture, in pixels; by default that of the picture.
    seamless : bool
        Whether a texture shall tile without a seam; the same as ``padding="circular"``. The sides of its size are
        rounded to multiples of 16.
    config : TransferConfig, optional
        The options, as far as they are in :data:`OPTIONS`; ``options`` are changes to it by name.
    callback : callable
        Receives :class:`Step`, whose stage names the result, :class:`Message` and :class:`Download` events. It may
        raise KeyboardInterrupt to end the run.
    on_result : callable
        Called with each name and result as soon as there is one, also with the best so far of one that is interrupted.
    **options
        Fields of :class:`TransferConfig`.

    Returns
    -------
    Reconstruction

    Raises
    ------
    PhotostyleError
        One of the tree in :mod:`photostyle.errors`. A StoppedError carries the best result so far of what was
        in work.
    """
    if what not in KINDS:
        raise UsageError(f"what to reconstruct is {what!r}, but must be one of: {', '.join(KINDS)}")
    config = _config(what, config or TransferConfig(), seamless, layers is None, dict(options))
    _check_output_size(what, output_size)
    sets = _layer_sets(what, layers, config)
    picture = read_picture(image, role="picture", min_side=MIN_SIDE // 2)
    for note in picture.notes:
        callback(Message(note))
    source, canvas, config = _sources(what, picture, output_size, config)
    results: dict[str, Result] = {}
    models = ModelCache()
    try:
        # All layers at once, only to find out before the work whether something is wrong.
        size = _prepare(
            source, canvas, config, what, list(dict.fromkeys(sum(sets.values(), ()))), models, callback
        ).size
        for number, (name, chosen) in enumerate(sets.items(), 1):
            callback(Message(f"{name} ({number} of {len(sets)})", "wait"))
            prepared = _prepare(source, canvas, config, what, chosen, models, ignore)
            try:
                results[name] = run_prepared(prepared, callback=_named(name, callback))
            except StoppedError as stop:
                if isinstance(stop.result, Result):
                    on_result(name, stop.result)
                raise
            on_result(name, results[name])
    except KeyboardInterrupt:
        raise Interrupted("interrupted") from None
    record = {
        "what": what,
        "image": {"name": picture.name, "size": list(picture.size)},
        "size": list(size),
        "seamless": config.tiles,
        "layers": {name: list(chosen) for name, chosen in sets.items()},
        "notes": list(picture.notes),
        "runs": {name: result.record for name, result in results.items()},
    }
    return Reconstruction(results, _sheet(picture, config, results, sets), record)


def _config(
    what: str, config: TransferConfig, seamless: bool, usual_layers: bool, options: dict[str, Any]
) -> TransferConfig:
    """Return the options of the transfers, all but their layers and sizes."""
    changes: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    if seamless:
        changes["padding"] = "circular"
    plain = TransferConfig()
    without = [f.name for f in fields(plain) if f.name not in OPTIONS]
    unknown = [name for name in changes if name not in OPTIONS]
    unknown += [name for name in without if getattr(config, name) != getattr(plain, name)]
    if unknown:
        raise UsageError(f"{flag(unknown[0])} means nothing to a reconstruction; allowed are: {', '.join(OPTIONS)}")
    config = replace(config, **changes)
    if config.tiles and what != "texture":
        raise UsageError(f"only a texture tiles, but what to reconstruct is {what}: leave out --seamless and circular")
    if config.style_layer_weights is not None and what == "content":
        raise UsageError("--style-layer-weights means nothing to content: each layer has a picture of its own")
    made: dict[str, Any] = {name: v for name, v in RECONSTRUCTIONS[what].items() if getattr(config, name) is None}
    made |= {"content_weight": 1.0, "style_weight": 0.0} if what == "content" else {"content_weight": 0.0}
    if what != "content" and usual_layers and config.style_layer_weights is None and config.normalisation == "relative":
        made["style_layer_weights"] = BY_SOLVER["artistic", "pixels"]["style_layer_weights"]
    return replace(config, **made, start="noise")


def _check_output_size(what: str, size: tuple[int, int] | None) -> None:
    if size is None:
        return
    told = "×".join(map(str, size))
    if what != "texture":
        raise UsageError(
            f"--output-size is for textures, {what} has the size of the picture: leave it out, or use --size"
        )
    if len(size) != 2 or not all(isinstance(side, int) and side >= MIN_SIDE for side in size):
        raise UsageError(f"--output-size is {told}, but each of two sides needs at least {MIN_SIDE} pixels")
    if size[0] * size[1] > _MOST_PIXELS:
        raise UsageError(f"--output-size is {told}, but at most {_MOST_PIXELS:,} pixels are allowed")


def _layer_sets(what: str, layers: Sequence[str] | None, config: TransferConfig) -> dict[str, tuple[str, ...]]:
    """Return the layers of each result, by its name."""
    if layers is None:
        if config.backbone not in (None, *BACKBONES):
            raise UsageError(f"backbone {config.backbone!r} has no default layers: pass --layers")
        layers = CONTENT_RECONSTRUCTIONS if what == "content" else STYLE_LAYERS
    layers = (layers,) if isinstance(layers, str) else tuple(layers)
    if not layers or not all(layers) or len(set(layers)) < len(layers):
        raise UsageError(f"--layers is {','.join(layers)!r}: name at least one layer, and none twice")
    weights = config.style_layer_weights
    if weights is not None and len(weights) != len(layers):
        raise UsageError(f"--style-layer-weights has {len(weights)} values, but there are {len(layers)} layers")
    if what == "content":
        return {layer: (layer,) for layer in layers}
    if what == "style":
        return {layer: layers[:number] for number, layer in enumerate(layers, 1)}
    return {"texture": layers}


def _sources(
    what: str, picture: Picture, output_size: tuple[int, int] | None, config: TransferConfig
) -> tuple[Picture, NDArray[np.float32], TransferConfig]:
    """Return the picture, what takes the content's place, and the options with the sizes of both.

    The picture is enlarged where that is asked for, which a transfer doesn't do with its style. In the content's place
    is the picture itself; style and textures take no more from that than its size.
    """
    seen = fit_longest_side(picture.size, config.size or min(LARGEST, max(picture.size)))
    check_side(picture, seen)
    source = replace(picture, rgb=resize(picture.rgb, seen)) if max(seen) > max(picture.size) else picture
    if output_size is None or what != "texture":
        return source, picture.rgb, replace(config, size=max(seen))
    fitted = tile_size(output_size) if config.tiles else output_size
    canvas = np.broadcast_to(np.float32(0.5), (output_size[1], output_size[0], 3))
    return source, canvas, replace(config, size=max(output_size), style_scale=max(seen) / max(fitted))


def _prepare(
    picture: Picture,
    canvas: NDArray[np.float32],
    config: TransferConfig,
    what: str,
    layers: Sequence[str],
    models: ModelCache,
    callback: Callback,
) -> Prepared:
    """Prepare the transfer from noise to a picture's features at some layers."""
    weights = config.style_layer_weights
    chosen = replace(
        config,
        content_layers=tuple(layers),
        style_layers=tuple(layers),
        style_layer_weights=None if weights is None else weights[: len(layers)],
    )
    prepared = prepare(canvas, picture.rgb, config=chosen, models=models, callback=callback)
    name = picture.name if what == "content" else "white noise"
    return replace(
        prepared,
        content=replace(prepared.content, name=name, bit_depth=picture.bit_depth),
        styles=tuple(replace(style, name=picture.name, bit_depth=picture.bit_depth) for style in prepared.styles),
    )


def _named(name: str, callback: Callback) -> Callback:
    """Let the steps tell which result is in work."""

    def on_event(event: Event) -> None:
        callback(replace(event, stage=name) if isinstance(event, Step) else event)

    return on_event


def _sheet(
    picture: Picture, config: TransferConfig, results: dict[str, Result], sets: dict[str, tuple[str, ...]]
) -> NDArray[np.float32]:
    seen = fit_longest_side(picture.size, config.size or max(picture.size))
    tiles = [Tile(resize(picture.rgb, seen), ("original",))]
    for name, result in results.items():
        layers = sets[name]
        caption = f"{layers[0]} … {layers[-1]}" if len(layers) > 1 else layers[0]
        losses = result.record["losses"]
        tiles.append(Tile(result.rgb, (caption, f"loss {losses['total']:.2g}" if losses else "no iteration")))
    return contact_sheet([tiles])
