"""Command-line options made from the table of options, under its themes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from photostyle.options.config import OPTIONS, TransferConfig, option_help
from photostyle.options.parsing import parse_list
from photostyle.options.table import THEMES, Option
from photostyle.options.values import flag

_REPEATED = ("keep", "match", "region_weights")
_METAVARS = {int: "N", float: "X", str: "NAME"}


class ThemedCommand(TyperCommand):
    """A command whose help shows its options under their themes, its own first."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, each theme under a heading of its own."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            heading = "Arguments" if parameter.param_type_name == "argument" else "Options"
            row = parameter.get_help_record(ctx)
            if row is not None:
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or heading, []).append(row)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


def with_config_options(command: Callable[..., Any], helps: Mapping[str, str] | None = None) -> Callable[..., Any]:
    """Give a command, instead of its ``**options``, one option for each field of the config."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    wanted = [each for each in OPTIONS.values() if helps is None or each.name in helps]
    made = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if each.many else each.default,
            annotation=_hint(each, option_help(each.name) if helps is None else helps[each.name]),
        )
        for each in sorted(wanted, key=lambda each: THEMES.index(each.theme))
    ]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + made
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def config_from(options: Mapping[str, Any]) -> TransferConfig:
    """Make the config from the values that the command line gave."""
    return TransferConfig(**{name: _parsed(OPTIONS[name], value) for name, value in options.items()})


def _parsed(option: Option, value: Any) -> Any:
    if not option.many:
        return value
    return option.default if value is None else parse_list(option.name, value if isinstance(value, list) else [value])


def _hint(option: Option, text: str) -> Any:
    shown: dict[str, Any] = {"help": text, "rich_help_panel": option.theme}
    name = flag(option.name)
    if option.many:
        kind: Any = list[str] | None if option.name in _REPEATED else str | None
        return Annotated[kind, typer.Option(name, metavar="A,B,…", **shown)]
    if option.kind is bool:
        return Annotated[bool, typer.Option(f"{name}/--no-{name[2:]}" if option.default else name, **shown)]
    kind = option.kind | None if option.optional else option.kind
    metavar = "|".join(option.choices) or _METAVARS[option.kind]
    return Annotated[kind, typer.Option(name, metavar=metavar, **shown)]
