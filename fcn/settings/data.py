"""Sections `downloads` and `datasets` of a table file: from raw files to valid records."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.common.text import nearest
from fcn.settings.values import Byte, Colour, Positive, Settings


class Download(Settings):
    """What `stages.download` fetches into `data/raw/<key>`."""

    table: str
    """The name of this table file."""
    module: str
    """The data set: `fcn/datasets/<module>.py`; `pretrained/…`: weights."""


class Folder(Settings):
    """Description of a folder of images and masks (`module: folder`).

    Under `data/raw/<raw>`: `images/`, `masks/` with the same names, and optionally `splits/` with a
    list of names per split, `<split>.txt`.
    """

    title: str
    """The data set's name, as tables and pages print it."""
    classes: Annotated[dict[str, Colour], Field(min_length=2, max_length=254)]
    """RGB colour by class name, in the order of the class indices."""
    masks: Literal["index", "colour"]
    """`index`: grey or palette PNGs of class indices; `colour`: PNGs of the classes' colours."""
    ignore: Colour | Byte | None = None
    """The index or colour of unlabelled pixels."""
    channels: Literal[1, 3] = 3
    """1: grey images; 3: RGB."""
    shares: dict[str, Positive] = Field(default_factory=dict)
    """Share of each split where `splits/` has no lists; they sum to 1."""
    group: str | None = None
    """A regular expression whose first group, found in a file name, names the images that must
    stay in one split (`"^(seq\\d+)_"`). Default: one group per folder under `images/`, and one per
    image in `images/` itself."""
    licence: str
    """Its licence, in words."""
    citation: str
    """Author and year."""

    @pydantic.field_validator("classes")
    @classmethod
    def _colours_differ(cls, classes: dict[str, Colour]) -> dict[str, Colour]:
        first: dict[Colour, str] = {}
        for name, colour in classes.items():
            if first.setdefault(colour, name) != name:
                raise ValueError(
                    f"allowed: one colour per class; {first[colour]} and {name} share {colour}"
                )
        return classes

    @pydantic.field_validator("shares")
    @classmethod
    def _shares_sum_to_one(cls, shares: dict[str, float]) -> dict[str, float]:
        total = sum(shares.values())
        if shares and abs(total - 1) > 1e-6:
            raise ValueError(f"allowed: shares that sum to 1; these sum to {total:g}")
        return shares

    @pydantic.field_validator("group")
    @classmethod
    def _group_has_a_group(cls, group: str | None) -> str | None:
        try:
            if group is not None and re.compile(group).groups < 1:
                raise ValueError('allowed: a regular expression with a group, such as "^([a-z]+)"')
        except re.error as error:
            raise ValueError(f"allowed: a regular expression ({error})") from None
        return group

    @pydantic.field_validator("ignore", mode="wrap")
    @classmethod
    def _ignore_is_index_or_colour(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except pydantic.ValidationError:
            raise ValueError("allowed: an index, 0..255, or a colour, [R, G, B]") from None

    @pydantic.model_validator(mode="after")
    def _ignore_fits_the_masks(self) -> Self:
        colour = self.masks == "colour"
        if self.ignore is not None and isinstance(self.ignore, tuple) != colour:
            allowed = "a colour, [R, G, B]" if colour else "an index, 0..255"
            raise ValueError(
                f"`ignore:`: got {self.ignore}, allowed with `masks: {self.masks}`: {allowed}"
            )
        numbers = self.classes.values() if colour else range(len(self.classes))
        if self.ignore in numbers:
            raise ValueError(f"`ignore:`: got {self.ignore}, which is a class; allowed: any other")
        return self


class Convert(Settings):
    """How samples become records."""

    splits: Annotated[dict[str, PositiveInt], Field(min_length=1)]
    """Expected samples per split; converting fails on any other number (`module: folder`: on
    fewer)."""
    shards: Annotated[int, Field(ge=1, le=99_999)]
    """Record files per split."""
    lists: dict[str, str] = Field(default_factory=dict)
    """The data set's own list by split, where the names differ (`train: train_aug`)."""
    labels: str | None = None
    """One of the data set's label conventions; default: its first."""
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    """Keep only these classes, in this order after the background. Pixels of other classes become
    background; images without any of these are left out."""
    encoding: Literal["index", "onehot"] = "index"
    """Masks as 8-bit grey PNGs of class indices, or as one-hot rows."""
    folder: Folder | None = None
    """For `module: folder` only."""

    @pydantic.model_validator(mode="after")
    def _lists_are_of_splits(self) -> Self:
        for split in self.lists.keys() - self.splits.keys():
            raise ValueError(f"`lists:`: no split {split!r}; {nearest(split, self.splits)}")
        shares = self.folder.shares if self.folder else {}
        for split in self.splits:
            name = self.lists.get(split, split)
            if shares and name not in shares:
                raise ValueError(f"`folder.shares:`: no split {name!r}; {nearest(name, shares)}")
        return self


RULES = (
    *("size", "values", "one_hot_rows", "nothing_known", "empty", "void_share"),
    *("unknown_colours", "rgb_mask", "index_mismatch", "unindexed_record"),
    *("promised", "duplicate_id", "duplicate_image", "class_never_seen"),
    *("same_id", "same_image", "near_image", "same_group", "stale_overlap"),
)
"""The rules of `fcn.labels.check`; a test compares the two."""


class Validate(Settings):
    """How labels are checked and reported."""

    pictures: NonNegativeInt
    """Overlays of image and mask per split, and of the worst findings over all splits."""
    severity: dict[str, Literal["error", "warning", "off"]] = Field(default_factory=dict)
    """Severity by rule, in place of the default (`fcn.labels.check`). A rule that is `off` is not
    checked."""
    near: Annotated[int, Field(ge=0, le=16)] = 4
    """Two images are near-identical if their perceptual hashes differ in at most so many of 64
    bits."""

    @pydantic.field_validator("severity")
    @classmethod
    def _rules_exist(cls, severity: dict[str, Any]) -> dict[str, Any]:
        for rule in severity:
            if rule not in RULES:
                raise ValueError(f"no rule {rule!r}; {nearest(rule, RULES)}")
        return severity


class Ceiling(Settings):
    """How much of the masks survives at a stride: Long et al., appendix A."""

    split: str
    """The split whose masks are measured."""
    strides: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]
    """Output strides in pixels."""
    method: Literal["nearest", "area", "bilinear"]
    """How a mask is downsampled and upsampled again; see `fcn.labels.ceiling`."""


class Data(Settings):
    """One data set: its records, label report and ceiling."""

    table: str
    """The name of this table file."""
    module: str
    """The data set: `fcn/datasets/<module>.py`."""
    raw: str
    """The key in `downloads` whose files are read; for `module: folder`, the folder in `data/raw`
    that `dvc add` tracks."""
    convert: Convert
    """What `stages.convert` does."""
    validate_: Annotated[Validate, Field(alias="validate")]
    """What `stages.validate` does."""
    ceiling: Ceiling
    """What `stages.ceiling` does."""

    @pydantic.model_validator(mode="after")
    def _folder_is_described(self) -> Self:
        if (self.module == "folder") != (self.convert.folder is not None):
            raise ValueError(
                "`convert.folder:` is required with, and only allowed with, `module: folder`"
            )
        return self
