"""A sweep: one transfer for each combination of some options' values, all measured by one objective."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Unpack

from photostyle.errors import DivergedError, Interrupted, PhotostyleError, SavablePicture, UsageError
from photostyle.images import fit_longest_side, resize
from photostyle.networks.shared import ModelCache
from photostyle.options.config import OPTIONS, TransferConfig, resolve
from photostyle.options.typed import TransferOptions
from photostyle.options.variations import checked_values, combinations, file_name, values_text
from photostyle.pipeline import run_prepared
from photostyle.preparation import PictureSource, Prepared, prepare, with_options
from photostyle.progress import Callback, Event, Message, ignore
from photostyle.regions.source import ContentMask, StyleMask
from photostyle.report.ranking import FixedObjective
from photostyle.report.sweep import Cell, Sweep, ranked
from photostyle.solvers.torch_state import own_torch_state

_THUMBNAIL = 320  # longest side of what a cell keeps for the sheet


@own_torch_state()
def sweep(
    content: PictureSource,
    style: PictureSource | Sequence[PictureSource] = (),
    *,
    vary: Mapping[str, Iterable[Any]],
    map: Mapping[str, PictureSource] | None = None,
    content_mask: ContentMask | None = None,
    style_mask: StyleMask | Sequence[StyleMask | None] | None = None,
    config: TransferConfig | None = None,
    callback: Callback = ignore,
    on_cell: Callable[[Cell, Sweep], Any] = lambda _cell, _so_far: None,
    keep_results: bool = True,
    **options: Unpack[TransferOptions],
) -> Sweep:
    """Run a transfer for each combination of the values of some options, and rank the results.

    Each run minimises an objective of its own, so the cells are ranked by one that is the same for all: that of the
    base options, which are ``config`` and ``options`` without what is varied. An option that is varied may be
    given there too; it then counts for the ranking alone. The objective is evaluated at the cell's result, brought to
    the size up to which the base options optimise. It is one of pixels for the affine solver too, whose field's own
    smoothness, which no picture shows, is left out. All results have the size of the base options.

    All combinations are checked before the first run: their values, and that pictures, regions and networks can be had.
    A run that diverges or fails is a cell without a picture, and no error.

    Parameters
    ----------
    content, style, map, content_mask, style_mask, config, options
        As in :func:`photostyle.transfer`.
    vary : mapping of str to values
        Fields of :class:`TransferConfig` with one or more values each, such as ``{"style_weight": [1, 10]}``; of
        a field that is itself a list each value is a list. At most 100 combinations.
    callback : callable
        Receives the events of all runs, and a Message of the kind "wait" before each. Notes that many runs have in
        common come once; each cell's are in the record.
    on_cell : callable
        Called with each cell as soon as it is done, and the sweep so far.
    keep_results : bool
        Whether the cells of the sweep keep their results; those that ``on_cell`` receives first always have them.

    Returns
    -------
    Sweep

    Raises
    ------
    UsageError
        If the options don't allow a sweep, or a combination isn't allowed; the message names it.
    Interrupted
        After Ctrl-C; ``on_cell`` has received what is finished.
    PhotostyleError
        If the pictures, regions or networks of a combination can't be had.
    """
    checked = checked_values(vary)
    base = with_options(config or TransferConfig(), options)
    inputs = {"content": content, "style": style, "map": map, "content_mask": content_mask, "style_mask": style_mask}
    callback = _once(callback)
    done: list[Cell] = []
    every = combinations(checked)
    try:
        configs = [_valid(base, values) for values in every]
        preparation = _Preparation(inputs, base, configs[0], callback)
        configs = [replace(each, size=max(preparation.base.size)) for each in configs]
        preparation.check(configs, every)
        ready = preparation.base
        objective = FixedObjective(ready.problem, ready.config, ready.solve_size)
        so_far = ranked(done, checked, ready, objective)
        for number, (each, values) in enumerate(zip(configs, every, strict=True), 1):
            callback(Message(f"cell {number} of {len(every)}: {values_text(values)}", "wait"))
            cell = _run(number, len(every), values, partial(preparation, each), objective, callback)
            done.append(cell if keep_results else replace(cell, result=None))
            so_far = ranked(done, checked, ready, objective)
            on_cell(cell, so_far)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted after {len(done)} of {len(every)} cells") from None
    return so_far


def _valid(base: TransferConfig, values: Mapping[str, Any]) -> TransferConfig:
    """Return the options of one combination, checked but not resolved."""
    try:
        config = replace(base, **values)
        resolve(config)
    except UsageError as error:
        raise UsageError(f"the combination {values_text(values)}: {error}") from None
    return config


class _Preparation:
    """What the cells are prepared with: the base options' preparation, and the last other one.

    Cells that differ only in what the solver looks at share a preparation, so that pictures are read, segmented and
    matched, and the network is loaded, once.
    """

    def __init__(
        self, inputs: Mapping[str, Any], base: TransferConfig, first: TransferConfig, callback: Callback
    ) -> None:
        self.inputs, self.callback = {**inputs, "models": ModelCache()}, callback
        try:
            self.base = prepare(**self.inputs, config=base, callback=self.callback)
        except UsageError as error:
            if _prepared_alike(base, first):  # the mistake is no matter of what is varied
                raise
            raise UsageError(
                f"the base options, by whose objective all cells are measured: {error} (an option that is varied may "
                "be given plainly too, for them)"
            ) from None
        size = max(self.base.size)
        self.keys = [_prepared_for(replace(base, size=size))]
        self.latest = self.base

    def check(self, configs: Sequence[TransferConfig], every: Sequence[Mapping[str, Any]]) -> None:
        """Prepare each cell once, so that what can't be had is known before the first run."""
        seen = list(self.keys)
        for config, values in zip(configs, every, strict=True):
            key = _prepared_for(config)
            if key in seen:
                continue
            seen.append(key)
            try:
                self(config)
            except PhotostyleError as error:
                raise type(error)(f"the combination {values_text(values)}: {error}") from None

    def __call__(self, config: TransferConfig) -> Prepared:
        """Return what is prepared for the options of a cell."""
        key = _prepared_for(config)
        if key == self.keys[0]:
            return replace(self.base, config=resolve(config))
        if key != self.keys[-1]:
            self.latest = prepare(**self.inputs, config=config, callback=self.callback)
            self.keys[1:] = [key]
        return replace(self.latest, config=resolve(config))


def _once(callback: Callback) -> Callback:
    """Return a callback that passes on events, but not a note that another cell has told already."""
    told: set[str] = set()

    def tell(event: Event) -> None:
        if isinstance(event, Message) and event.kind == "note":
            if event.text in told:
                return
            told.add(event.text)
        callback(event)

    return tell


def _prepared_alike(one: TransferConfig, other: TransferConfig) -> bool:
    try:
        return _prepared_for(one) == _prepared_for(other)
    except UsageError:
        return False


def _prepared_for(config: TransferConfig) -> dict[str, Any]:
    """Return those of the options on which a preparation depends."""
    resolved = asdict(resolve(config))
    return {k: v for k, v in resolved.items() if OPTIONS[k].prepared} | {"edge_weight": bool(resolved["edge_weight"])}


def _run(
    number: int,
    count: int,
    values: dict[str, Any],
    prepared: Callable[[], Prepared],
    objective: FixedObjective,
    callback: Callback,
) -> Cell:
    """Run one cell and measure its result; a run that fails is a cell too."""
    status, message, result, began = "ok", "", None, time.monotonic()
    try:
        ready = prepared()
        began = time.monotonic()
        result = run_prepared(ready, callback=callback)
        partial_result: SavablePicture | None = result
    except Interrupted:
        raise KeyboardInterrupt from None
    except DivergedError as error:
        status, message, partial_result = "diverged", str(error), error.result
    except PhotostyleError as error:
        status, message, partial_result = "failed", str(error), None
    seconds = time.monotonic() - began
    last = (partial_result.record["losses"] if partial_result else None) or {}
    small = None if result is None else resize(result.rgb, fit_longest_side(result.rgb.shape[1::-1], _THUMBNAIL))
    return Cell(
        number=number,
        values=values,
        file=file_name(number, count, values),
        status=status,
        message=message,
        objective={} if result is None else objective(result.rgb),
        losses={name: value for name, value in last.items() if name not in ("iteration", "stage", "size")},
        iterations=last.get("iteration", 0),
        seconds=round(seconds, 3),
        notes=tuple(partial_result.record["notes"]) if partial_result else (),
        thumbnail=small,
        result=result,
    )
