"""The help text of a command: its module's docstring, laid out for the width of a terminal."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

ITEM = re.compile(r"(?:\d+\.|-) ")
COMMENT = re.compile(r"(.*?\S) {2,}# (.*)")
CONTINUED = re.compile(r" \\\n +")
COLUMNS = re.compile(r"( +\S+(?: \S+)* {2,})(\S.*)")


def lay_out(text: str, width: int) -> str:
    """Return a docstring with paragraphs filled to `width`; indented lines are examples.

    An example that is too long continues on the next line as a shell reads it, with a backslash.
    """
    lines: list[str] = []
    for is_example, group in groupby(text.splitlines(), key=lambda line: line.startswith(" ")):
        block = list(group)
        lines += _examples(block, width) if is_example else _paragraphs(block, width)
    return "\n".join(lines)


def _paragraphs(lines: Sequence[str], width: int) -> Iterator[str]:
    """Yield the lines of filled paragraphs, which empty lines and list items begin."""
    paragraph: list[str] = []
    for line in lines:
        if not line or ITEM.match(line):
            yield from _filled(paragraph, width)
            paragraph = []
        if line:
            paragraph.append(line)
        else:
            yield line
    yield from _filled(paragraph, width)


def _filled(paragraph: Sequence[str], width: int) -> list[str]:
    text = " ".join(paragraph)
    item = ITEM.match(text)
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * len(item[0]) if item else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _examples(lines: Sequence[str], width: int) -> Iterator[str]:
    """Yield lines of at most `width`; if one comment is moved above its line, all of them are."""
    lines = CONTINUED.sub(" ", "\n".join(lines)).splitlines()
    narrow = any(len(line) > width and COMMENT.fullmatch(line) for line in lines)
    for line in lines:
        indent = line[: len(line) - len(line.lstrip())]
        if narrow and (commented := COMMENT.fullmatch(line)):
            line = commented[1]
            yield f"{indent}# {commented[2]}"
        if len(line) <= width:
            yield line
        elif "--" in line:
            yield from _command(line.strip(), indent, width)
        elif columns := COLUMNS.fullmatch(line):
            rest = textwrap.wrap(columns[2], width - len(columns[1]))
            yield columns[1] + rest[0]
            yield from (" " * len(columns[1]) + more for more in rest[1:])
        else:
            yield line


def _command(command: str, indent: str, width: int) -> Iterator[str]:
    """Yield a command's lines, broken before options."""
    first, *options = re.split(r" (?=\[?--)", command)
    deeper = indent if command.startswith("--") else f"{indent}    "
    line = indent + first
    for option in options:
        if len(f"{line} {option} \\") > width:
            yield f"{line} \\"
            line = deeper + option
        else:
            line = f"{line} {option}"
    yield line
