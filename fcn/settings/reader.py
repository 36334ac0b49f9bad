"""All settings, typed and refused early: the only reader of params.yaml and tables/*.yaml.

`params.yaml` holds what all tables share (`Common`); a file `tables/NAME.yaml` holds one table
(`TableFile`). A key of a table file starts with the table's name (`digits-fcn16s`), so that DVC can
merge the files and a key alone names its file. Values are read as DVC reads them (YAML 1.2:
`1e-3` is a number).
"""

import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fcn.common.text import nearest, similar
from fcn.settings import consistency, lines, names
from fcn.settings.common import Common
from fcn.settings.keys import table_of
from fcn.settings.table import TableFile
from fcn.settings.values import Settings

PARAMS = Path("params.yaml")
TABLES = Path("tables")

T = TypeVar("T")
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Loaded:
    """The settings of one table together with the common ones."""

    common: Common
    table: TableFile


def active(root: Path = Path()) -> list[str]:
    """Return the names of the active tables: the files that dvc.yaml lists under `vars`."""
    listed = _read(Path("dvc.yaml"), root).get("vars", [])
    files = [Path(entry) for entry in listed if isinstance(entry, str)]
    return [path.stem for path in files if path.parent == TABLES]


def load(key: str, root: Path = Path()) -> Loaded:
    """Read and check params.yaml and the table file that `key` belongs to.

    `key` is a table's name or begins with it (`digits`, `digits-fcn16s`).

    Raises:
        ValueError: a file is missing or not YAML, or a setting is unknown, missing, of the wrong
            type, out of range, or names something that does not exist.
    """
    name = table_of(key)
    known = sorted(path.stem for path in (root / TABLES).glob("*.yaml"))
    if name not in known:
        raise ValueError(f"no table file {TABLES / name}.yaml for {key!r}; {nearest(name, known)}")
    path = TABLES / f"{name}.yaml"
    table = _parse(TableFile, path, root)
    common = _parse(Common, PARAMS, root)
    problems = [
        *consistency.problems(table, name),
        *consistency.uneven_batches(table, common.devices),
    ]
    settings = {_setting(problem) for problem in problems}
    problems += [each for each in names.problems(table) if _setting(each) not in settings]
    if problems:
        raise _refusal(path, root, problems)
    return Loaded(common, table)


def entry(entries: dict[str, T], key: str, section: str) -> T:
    """Return `entries[key]`.

    Raises:
        ValueError: there is no such key; names the nearest.
    """
    if key not in entries:
        raise ValueError(f"{section}: no key {key!r}; {nearest(key, entries)}")
    return entries[key]


def _read(path: Path, root: Path) -> Any:
    try:
        return YAML(typ="safe").load((root / path).read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run from the project's folder") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None


def _parse(kind: type[S], path: Path, root: Path) -> S:
    try:
        return kind.model_validate(_read(path, root))
    except pydantic.ValidationError as error:
        problems = [_explain(kind, problem) for problem in error.errors()]
        raise _refusal(path, root, problems) from None


def _refusal(path: Path, root: Path, problems: list[str]) -> ValueError:
    """Return the error for a file's problems; each begins with the dotted key of a setting."""
    number = lines.numbers((root / path).read_text("utf-8"))
    listed = [f"line {number(_setting(each))}: {each}" for each in problems]
    return ValueError("\n  ".join([f"{path}: {len(problems)} wrong setting(s)", *listed]))


def _setting(problem: str) -> str:
    return problem.partition(": ")[0]


def _explain(kind: type[Settings], problem: Any) -> str:
    """Return one line: where, what was got, what is allowed.

    A validator's message that begins with "allowed: " completes "got …"; any other is a sentence.
    """
    where = ".".join(str(part) for part in problem["loc"]) or "(the whole file)"
    match problem["type"]:
        case "extra_forbidden":
            *above, key = problem["loc"]
            return f"{where}: unknown key; {nearest(str(key), _fields(kind, above))}"
        case "missing":
            return f"{where}: missing"
        case _:
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "value_error" and not message.startswith("allowed: "):
                return f"{where}: {message}"
            allowed = message.removeprefix("allowed: ").removeprefix("Input should be ")
            if problem["type"] == "literal_error":
                choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
                near = similar(str(problem["input"]), choices)
                allowed += f"; did you mean {near!r}?" if near else ""
            return f"{where}: got {reprlib.repr(problem['input'])}, allowed: {allowed}"


def _fields(kind: Any, location: list[Any]) -> list[str]:
    """Return the known keys at a location inside the settings `kind`."""
    for part in location:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            by_alias = {field.alias or name: field for name, field in kind.model_fields.items()}
            kind = by_alias[part].annotation
        if get_origin(kind) is not dict and get_args(kind):  # Optional, Annotated
            kind = get_args(kind)[0]
    return [field.alias or name for name, field in kind.model_fields.items()]
