"""All settings, typed and refused early: the only reader of params.yaml and tables/*.yaml.

`params.yaml` holds what all tables share (`Common`); a file `tables/NAME.yaml` holds one table
(`TableFile`). A key of a table file starts with the table's name (`digits-fcn16s`), so that DVC can
merge the files and a key alone says where it stands. Values are read as DVC reads them (YAML 1.2:
`1e-3` is a number).
"""

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

import pydantic
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from fcn import consistency
from fcn.text import nearest

PARAMS = Path("params.yaml")
TABLES = Path("tables")

T = TypeVar("T")
S = TypeVar("S", bound="Settings")
Fraction = Annotated[float, Field(ge=0, lt=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """A group of settings: frozen, of exact types, without unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class Intervals(Settings):
    """How sure a number is: bootstrap over images."""

    resamples: Annotated[int, Field(ge=100)]
    level: Annotated[float, Field(gt=0, lt=1)]
    """Share of the resamples that the interval holds."""


class Common(Settings):
    """params.yaml: what all tables share."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """Everything random starts here: splits, canvases, first weights, order, dropout."""
    backend: Literal["tensorflow", "jax"]
    """Keras' backend. TensorFlow is the fast one on a CPU; JAX is for machines with a GPU only."""
    precision: Literal["float32", "mixed_bfloat16"]
    """What layers compute in; weights, scores and the loss are float32 in both."""
    deterministic: bool
    """Use deterministic kernels, so that the same settings give the same weights bit for bit."""
    intervals: Intervals


class Download(Settings):
    """What `stages.download` brings to `data/raw/<key>`."""

    table: str
    """The table file that this stands in."""
    module: str
    """The data set: `fcn/datasets/<module>.py`."""


class Convert(Settings):
    """How pairs become records."""

    splits: Annotated[dict[str, PositiveInt], Field(min_length=1)]
    """Examples promised per split; converting fails if there are more or fewer."""
    shards: Annotated[int, Field(ge=1, le=99_999)]
    """Record files per split."""


class Validate(Settings):
    """How the labels' report is made."""

    pictures: NonNegativeInt
    """Blended pictures of image and mask per split."""


class Ceiling(Settings):
    """How much of the masks survives at a stride: Long et al., appendix A."""

    split: str
    """The split whose masks are measured."""
    strides: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]
    """Output strides in pixels."""
    method: Literal["nearest", "area", "bilinear"]
    """How a mask is made coarse and fine again; see `fcn.ceiling`."""


class Data(Settings):
    """One data set: its records, its label report, its ceiling."""

    table: str
    module: str
    raw: str
    """The key in `downloads` whose files are read."""
    convert: Convert
    validate_: Annotated[Validate, Field(alias="validate")]
    ceiling: Ceiling


class Network(Settings):
    """The shape of a backbone."""

    width: Positive
    """Factor on all channel counts; 1 is VGG-16 as published."""
    fc6_kernel: PositiveInt
    """Side of fc6's kernel at stride 32; 7 as published."""
    dropout: Fraction
    """After fc6 and fc7; 0.5 as published."""
    mean: Finite
    """Subtracted from pixel values 0..255."""
    scale: Positive
    """Divides pixel values after that."""


class Training(Settings):
    """One training: Adam, learning rate rising over the warm-up, then falling as a cosine to 0."""

    epochs: PositiveInt
    batch: PositiveInt
    """Examples per step."""
    learning_rate: Positive
    """The highest, reached at the end of the warm-up."""
    warmup: Fraction
    """Share of all steps over which the learning rate rises from 0."""
    shift: NonNegativeInt
    """Largest random shift in pixels, each way; image and mask move together."""


class Classifier(Settings):
    """The training of the classifier that becomes a backbone."""

    side: PositiveInt
    """Height and width of its input in pixels."""
    training: Training


class Backbone(Settings):
    """Where the first FCN starts."""

    table: str
    dataset: str
    """The key in `datasets` that it will be trained on; the classifier waits for its verdict."""
    raw: str
    """The key in `downloads` whose files are read."""
    source: str
    """The data set of these files, `fcn/datasets/<source>.py`: it knows the single objects."""
    module: str
    """The network: `fcn/backbones/<module>.py`."""
    network: Network
    weights: Literal["classifier", "scratch"]
    """`classifier`: train one on single objects; `scratch`: random weights."""
    classifier: Classifier | None = None

    @pydantic.model_validator(mode="after")
    def _classifier_is_described(self) -> Self:
        if (self.weights == "classifier") != (self.classifier is not None):
            raise ValueError("`classifier:` stands there exactly when `weights: classifier`")
        return self


class Model(Settings):
    """One trained network: a row of the table."""

    table: str
    dataset: str
    """The key in `datasets` that it learns."""
    backbone: str
    """The network: `fcn/backbones/<backbone>.py`, the same as where it starts."""
    head: str
    """The head: `fcn/heads/<head>.py`."""
    start: str
    """The key in `backbones` or `models` whose weights it starts from."""
    training: Training


class Evaluation(Settings):
    """How the table's rows are measured."""

    split: str
    batch: PositiveInt
    pictures: NonNegativeInt
    """Pictures (input, truth, prediction) kept per row."""


class Table(Settings):
    """What the table shows."""

    title: str
    dataset: str
    """The key in `datasets` that the rows are measured on."""
    source: str
    """Its `module`, whose citation is printed."""
    evaluation: Evaluation
    rows: Annotated[dict[str, str], Field(min_length=1)]
    """Model key: name as printed, from top to bottom."""


class TableFile(Settings):
    """tables/NAME.yaml."""

    tables: dict[str, Table]
    downloads: dict[str, Download]
    datasets: dict[str, Data]
    backbones: dict[str, Backbone]
    models: dict[str, Model]

    def network(self, model: str) -> Network:
        """Return the shape of the backbone at the end of the chain that `model` starts from."""
        start = self.models[model].start
        return self.backbones[start].network if start in self.backbones else self.network(start)


@dataclass(frozen=True)
class Loaded:
    """The settings of one table together with the common ones."""

    common: Common
    table: TableFile


def table_of(key: str) -> str:
    """Return the name of the table that a key belongs to: `digits` of `digits-fcn16s`."""
    return key.partition("-")[0]


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
            type, out of range, or names something that is not there.
    """
    name = table_of(key)
    known = sorted(path.stem for path in (root / TABLES).glob("*.yaml"))
    if name not in known:
        raise ValueError(f"no table file {TABLES / name}.yaml for {key!r}; {nearest(name, known)}")
    path = TABLES / f"{name}.yaml"
    table = _parse(TableFile, path, root)
    problems = list(consistency.problems(table, name))
    if problems:
        raise ValueError("\n  ".join([f"{path}: {len(problems)} wrong setting(s)", *problems]))
    return Loaded(_parse(Common, PARAMS, root), table)


def entry(entries: dict[str, T], key: str, section: str) -> T:
    """Return `entries[key]`, or say which key of the section was probably meant."""
    if key not in entries:
        raise ValueError(f"{section}: no key {key!r}; {nearest(key, entries)}")
    return entries[key]


def _read(path: Path, root: Path) -> Any:
    try:
        return YAML(typ="safe", pure=True).load((root / path).read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run from the project's folder") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None


def _parse(kind: type[S], path: Path, root: Path) -> S:
    try:
        return kind.model_validate(_read(path, root))
    except pydantic.ValidationError as error:
        lines = [_explain(kind, problem) for problem in error.errors()]
        raise ValueError("\n  ".join([f"{path}: {len(lines)} wrong setting(s)", *lines])) from None


def _explain(kind: type[Settings], problem: Any) -> str:
    """Return one line: where, what was got, what is allowed."""
    where = ".".join(str(part) for part in problem["loc"]) or "(the whole file)"
    match problem["type"]:
        case "extra_forbidden":
            *above, key = problem["loc"]
            return f"{where}: unknown key; {nearest(str(key), _fields(kind, above))}"
        case "missing":
            return f"{where}: missing"
        case _:
            allowed = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
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
