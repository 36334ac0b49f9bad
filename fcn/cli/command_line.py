"""The command line of a function: its arguments, its help, its errors and its exit code.

    def train(key: Annotated[str, Argument(help="…")], out: Annotated[Path, Option(help="…")]):
        ...

    command_line.run(train)

The function's annotations describe the arguments, the docstring of its module is the help text.
Exit codes: 0 done, or what the function returns; 1 `error: …` on stderr for what a person can cause
(`ValueError`, `OSError`); 2 wrong usage; 75 `error: …` for what may pass (`TryLater`); 130
interrupted. Every other exception is a fault of this project and shows its traceback.
"""

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from fcn.common import messages

Command = Callable[..., int | None]
"""A function with annotated parameters that returns its exit code; None is 0."""

CONTEXT = {"help_option_names": ["--help", "-h"], "max_content_width": 100}


def run(command: Command) -> NoReturn:
    """Run one command with the arguments of this process, and exit."""
    app = _app()
    _add(app, command)
    app()
    raise AssertionError("Typer exits")


def run_group(doc: str, *commands: Command) -> NoReturn:
    """Run one of several commands, chosen by its function's name, and exit.

    Args:
        doc: the help text of the group.
        commands: each one's module's docstring begins with the line that the group's help shows.
    """
    app = _app()
    app.callback(cls=_Group, help=doc)(lambda: None)
    for command in commands:
        _add(app, command)
    app()
    raise AssertionError("Typer exits")


def _app() -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,  # It takes 0.2 s to import and rewraps examples.
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )


def _add(app: typer.Typer, command: Command) -> None:
    doc = command.__globals__["__doc__"] or ""
    first = doc.partition("\n")[0]
    register = app.command(cls=_Command, help=doc, short_help=first, context_settings=CONTEXT)
    register(_guarded(command))


def _guarded(command: Command) -> Command:
    """Return a command that ends with its parent, explains errors and exits with its code."""

    @functools.wraps(command)
    def call(**arguments: object) -> NoReturn:
        messages.end_with_parent()
        with messages.explaining():
            raise typer.Exit(command(**arguments) or 0)

    return call


class _Command(TyperCommand):
    def format_help_text(self, ctx: object, formatter: Any) -> None:
        _write_raw(self.help, formatter)


class _Group(TyperGroup):
    def format_help_text(self, ctx: object, formatter: Any) -> None:
        _write_raw(self.help, formatter)


def _write_raw(text: str | None, formatter: Any) -> None:
    """Write a help text with the line breaks of its docstring."""
    formatter.write(f"\n{(text or '').rstrip()}\n")
