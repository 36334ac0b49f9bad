"""The command line of a function: its arguments, its help, its errors and its exit code.

    def train(key: Annotated[str, Argument(help="…")], out: Annotated[Path, Option(help="…")]):
        ...

    command_line.run(train)

The function's annotations describe the arguments, the docstring of its module is the help text. A
parameter whose type is a dataclass stands for the dataclass's fields.
Exit codes: 0 done, or what the function returns; 1 `error: …` on stderr for what a person can cause
(`ValueError`, `OSError`); 2 wrong usage; 75 `error: …` for what may pass (`TryLater`); 130 and
143 `interrupted; …` after Ctrl-C and SIGTERM. Every other exception is a fault of this project and
shows its traceback.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from fcn.cli import interruption
from fcn.cli.help_text import lay_out
from fcn.common import messages
from fcn.common.text import similar
from fcn.runtime import interrupts, processes

interrupts.explain_unhandled()  # Here, because other modules of a command are imported after this.

Command = Callable[..., int | None]
"""A function with annotated parameters that returns its exit code; None is 0."""

WRONG_USAGE: Any = typer.BadParameter.__base__
"""The base class of Typer's errors for wrong usage, which it does not export."""
CHOICES = re.compile(r"'(.*)' is not one of (.*)")
CONTEXT = {"help_option_names": ["--help", "-h"], "max_content_width": 100}


def run(command: Command, outlives_parent: bool = False, options_end: bool = False) -> NoReturn:
    """Run one command with the arguments of this process, and exit.

    Args:
        command: its module's docstring is the help text.
        outlives_parent: whether it continues after the process that started it has ended.
        options_end: whether its options end at its first argument, as those of `time` and `env` do.
    """
    app = _app()
    _add(app, command, outlives_parent, options_end)
    app()
    raise AssertionError("Typer exits")


def run_group(name: str, doc: str, version: Callable[[], str], *commands: Command) -> NoReturn:
    """Run one of several commands, chosen by its function's name, and exit.

    Args:
        name: of the program, in its help and for shell completion.
        doc: the help text of the group.
        version: returns what `--version` prints.
        commands: each one's module's docstring begins with the line that the group's help shows.
    """

    def show(asked: bool) -> None:
        if asked:
            typer.echo(version())
            raise typer.Exit

    def options(
        version: Annotated[
            bool,
            typer.Option("--version", callback=show, is_eager=True, help="Print versions."),
        ] = False,
    ) -> None:
        pass

    app = _app(completion=True)
    app.callback(cls=_Group, help=doc)(options)
    for command in commands:
        _add(app, command)
    app(prog_name=name)
    raise AssertionError("Typer exits")


def _app(completion: bool = False) -> typer.Typer:
    return typer.Typer(
        add_completion=completion,
        rich_markup_mode=None,  # It takes 0.2 s to import and rewraps examples.
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )


def _add(
    app: typer.Typer, command: Command, outlives_parent: bool = False, options_end: bool = False
) -> None:
    doc = command.__globals__["__doc__"] or ""
    first = doc.partition("\n")[0]
    context = {**CONTEXT, "allow_interspersed_args": not options_end}
    register = app.command(cls=_Command, help=doc, short_help=first, context_settings=context)
    register(_guarded(command, outlives_parent))


def _guarded(command: Command, outlives_parent: bool) -> Command:
    """Return a command that ends with its parent, explains errors and exits with its code."""
    groups = _groups(command)

    def call(**arguments: object) -> NoReturn:
        if not outlives_parent:
            processes.end_with_parent()
            interrupts.end_on_sigterm()
        stamps = interruption.read_stamps(arguments.values())
        describe = functools.partial(
            interruption.describe, command.__name__, arguments.get("key"), stamps
        )
        try:
            with messages.explaining(), messages.interruptible(describe):
                for name, group in groups.items():
                    arguments[name] = group(
                        **{each.name: arguments.pop(each.name) for each in fields(group)}
                    )
                raise typer.Exit(command(**arguments) or 0)
        finally:
            interrupts.end_at_once()

    functools.update_wrapper(call, command)
    call.__signature__ = inspect.Signature(list(parameters(command)))  # type: ignore[attr-defined]
    return call


def parameters(command: Command) -> Iterator[inspect.Parameter]:
    """Yield the parameters of the command line; a dataclass stands for its fields."""
    groups = _groups(command)
    for name, parameter in inspect.signature(command).parameters.items():
        members = [parameter]
        if group := groups.get(name):
            members = list(inspect.signature(group).parameters.values())
        yield from (each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in members)


def _groups(command: Command) -> dict[str, Any]:
    annotations = {
        name: parameter.annotation
        for name, parameter in inspect.signature(command).parameters.items()
    }
    return {name: kind for name, kind in annotations.items() if is_dataclass(kind)}


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except WRONG_USAGE as error:
            _suggest(error)
            raise

    def format_help_text(self, ctx: object, formatter: Any) -> None:
        _write(self.help, formatter)


class _Group(TyperGroup):
    def format_help_text(self, ctx: object, formatter: Any) -> None:
        _write(self.help, formatter)


def _suggest(error: Any) -> None:
    """Add the nearest option or choice to the message of an error of Typer."""
    error.message = error.message.removeprefix("Value error, ")
    if choices := CHOICES.fullmatch(error.message):
        near = similar(choices[1], re.findall(r"'([^']*)'", choices[2]))
    else:
        near = next(iter(getattr(error, "possibilities", None) or ()), None)
        error.possibilities = None
    if near:
        error.message = f"{error.message.removesuffix('.')}; did you mean {near!r}?"


def _write(text: str | None, formatter: Any) -> None:
    formatter.write(f"\n{lay_out((text or '').rstrip(), formatter.width)}\n")
