"""Sections `downloads` and `datasets` of a table file: from raw files to proven records."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt

from fcn.common.text import nearest
from fcn.settings.values import Byte, Colour, Positive, Settings


class Download(Settings):
    """What `stages.download` brings to `data/raw/<key>`."""

    table: str
    """The table file that this stands in."""
    module: str
    """The data set: `fcn/datasets/<module>.py`; `pretrained/…`: weights."""


class Folder(Settings):
    """What `module: folder` has to be told: a person's own images and masks.

    Under `data/raw/<raw>`: `images/`, `masks/` with the same names, and optionally `splits/` with a
    list of names per split, `<split>.txt`.
    """

    title: str
    classes: Annotated[dict[str, Colour], Field(min_length=2, max_length=254)]
    """Name and RGB colour of each class, in the order of their indices."""
    masks: Literal["index", "colour"]
    """`index`: grey or palette PNGs of class indices; `colour`: PNGs of the classes' colours."""
    ignore: Colour | Byte | None = None
    """The index or colour of pixels that nobody knows."""
    channels: Literal[1, 3] = 3
    """1: images are read as grey; 3: as RGB."""
    shares: dict[str, Positive] = Field(default_factory=dict)
    """Share of each split, where there are no lists; they sum to 1."""
    group: str | None = None
    """A regular expression whose first group, found in a name, names what must not be split up
    (`"^(seq\\d+)_"`); without it each folder under `images/` is one, and in `images/` itself each
    image."""
    licence: str
    citation: str
    """Who made it, and in which year."""

    @pydantic.field_validator("classes")
    @classmethod
    def _colours_differ(cls, classes: dict[str, Colour]) -> dict[str, Colour]:
        first: dict[Colour, str] = {}
        for name, colour in classes.items():
            if first.setdefault(colour, name) != name:
                raise ValueError(f"a colour for each; {first[colour]} and {name} share {colour}")
        return classes

    @pydantic.field_validator("shares")
    @classmethod
    def _shares_are_of_one(cls, shares: dict[str, float]) -> dict[str, float]:
        total = sum(shares.values())
        if shares and abs(total - 1) > 1e-6:
            raise ValueError(f"shares that sum to 1; these sum to {total:g}")
        return shares

    @pydantic.field_validator("group")
    @classmethod
    def _group_has_a_group(cls, group: str | None) -> str | None:
        try:
            if group is not None and re.compile(group).groups < 1:
                raise ValueError('a regular expression with a group in it, "^([a-z]+)"')
        except re.error as error:
            raise ValueError(f"a regular expression ({error})") from None
        return group

    @pydantic.field_validator("ignore", mode="wrap")
    @classmethod
    def _ignore_is_one_of_two(cls, value: Any, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value)
        except pydantic.ValidationError:
            raise ValueError("an index, 0..255, or a colour, [R, G, B]") from None

    @pydantic.model_validator(mode="after")
    def _ignore_is_told_as_masks_are(self) -> Self:
        colour = self.masks == "colour"
        if self.ignore is not None and isinstance(self.ignore, tuple) != colour:
            meant = "a colour, [R, G, B]" if colour else "an index, 0..255"
            raise ValueError(f"`ignore:` of `masks: {self.masks}` is {meant}; got {self.ignore}")
        numbers = self.classes.values() if colour else range(len(self.classes))
        if self.ignore in numbers:
            raise ValueError(f"`ignore:` is no class's; {self.ignore} is one")
        return self


class Convert(Settings):
    """How pairs become records."""

    splits: Annotated[dict[str, PositiveInt], Field(min_length=1)]
    """Examples promised per split; converting fails if there are more or fewer (`module: folder`:
    fewer)."""
    shards: Annotated[int, Field(ge=1, le=99_999)]
    """Record files per split."""
    lists: dict[str, str] = Field(default_factory=dict)
    """Split: the data set's own list it is made from, where names differ (`train: train_aug`)."""
    labels: str | None = None
    """One of the data set's label conventions; without it, its first."""
    classes: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | None = None
    """Only these classes, in this order after the background; pixels of others become background,
    images with none of these are left out."""
    encoding: Literal["index", "onehot"] = "index"
    """Masks as 8-bit grey PNGs of class indices, or as one-hot rows."""
    folder: Folder | None = None
    """For `module: folder` only."""

    @pydantic.model_validator(mode="after")
    def _lists_are_of_splits(self) -> Self:
        for split in self.lists.keys() - self.splits.keys():
            raise ValueError(f"`lists:` names {split!r}; {nearest(split, self.splits)}")
        shares = self.folder.shares if self.folder else {}
        for split in self.splits:
            name = self.lists.get(split, split)
            if shares and name not in shares:
                raise ValueError(f"`folder.shares:` has no {name!r}; {nearest(name, shares)}")
        return self


class Validate(Settings):
    """How the labels' report is made."""

    pictures: NonNegativeInt
    """Blended pictures of image and mask per split, and of the worst offenders in all."""
    severity: dict[str, Literal["error", "warning", "off"]] = Field(default_factory=dict)
    """Rule: how serious it is, where that is not to be its usual severity (`fcn.labels.check`). Rules
    that are `off` are not asked."""
    near: Annotated[int, Field(ge=0, le=16)] = 4
    """Bits (of 64) by which two images' perceptual hashes may differ to count as near-identical."""


class Ceiling(Settings):
    """How much of the masks survives at a stride: Long et al., appendix A."""

    split: str
    """The split whose masks are measured."""
    strides: Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]
    """Output strides in pixels."""
    method: Literal["nearest", "area", "bilinear"]
    """How a mask is made coarse and fine again; see `fcn.scores.ceiling`."""


class Data(Settings):
    """One data set: its records, its label report, its ceiling."""

    table: str
    module: str
    raw: str
    """The key in `downloads` whose files are read; for `module: folder`, the folder in `data/raw`
    that `dvc add` tracks."""
    convert: Convert
    validate_: Annotated[Validate, Field(alias="validate")]
    ceiling: Ceiling

    @pydantic.model_validator(mode="after")
    def _folder_is_described(self) -> Self:
        if (self.module == "folder") != (self.convert.folder is not None):
            raise ValueError("`convert.folder:` stands there exactly when `module: folder`")
        return self
