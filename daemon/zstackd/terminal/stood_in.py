"""A command that reads its own options, as typer would know them: for completion in a shell."""

import argparse
from collections.abc import Callable, Iterator
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer


def stand_in(parser: argparse.ArgumentParser) -> Callable[..., None]:
    """Return a command of the same options and arguments that does nothing."""

    def command(**_: object) -> None:
        """Stand for the real one."""

    parameters = [_parameter(action) for action in _actions(parser)]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The parser's own, other than `--help`, which typer has."""
    return (action for action in parser._actions if action.dest != "help")  # noqa: SLF001 - no other way


def _parameter(action: argparse.Action) -> Parameter:
    many = action.nargs == "*" or isinstance(action.default, list)
    kind: Any = bool if action.nargs == 0 else list[str] if many else str
    default: object = [] if many else False if kind is bool else ""
    text = (action.help or "") % vars(action)
    told = (
        typer.Option(*action.option_strings, help=text, autocompletion=_choices(action))
        if action.option_strings
        else typer.Argument(help=text)
    )
    return Parameter(
        action.dest, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, told]
    )


def _choices(action: argparse.Action) -> Callable[[str], list[str]] | None:
    if not action.choices:
        return None
    words = [str(choice) for choice in action.choices]
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]
