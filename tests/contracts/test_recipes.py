"""Every shipped recipe starts: each row of each table takes four steps, small, on fabricated data.

A new table file or row needs no new test. What is shrunk: the width of the network, sizes, batches.
What is not: head, alignment, starts, freezing, optimizer, loss, augmentation.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.network import build
from fcn.records.split import Records
from fcn.settings import reader
from fcn.settings.data import Data
from fcn.settings.keys import table_of
from fcn.settings.network import Network
from fcn.settings.table import TableFile
from fcn.settings.training import Training
from fcn.training import class_weights, inputs, loop, losses, transfer
from tests import fabricated
from tests.shipped import ROOT, SHIPPED

TABLES: Mapping[str, TableFile] = {
    path.stem: reader.load(path.stem, SHIPPED).table
    for path in sorted((SHIPPED / "tables").glob("*.yaml"))
}
KEYS = sorted(key for table in TABLES.values() for key in table.models)
STEPS, EPOCH, BATCH, SIDE = 4, 2, 2, 32
OF_SEVERAL_SIZES = {"kitti_road", "voc2012", "voc2012_sbd"}
"""Data sets whose images differ in size."""
UNEXPLAINED = {"camvid", "digits", "m2nist", "voc_animals"}
"""Tables of this project's own sizes; all others follow somebody's recipe, row by row."""


@dataclass(frozen=True)
class Trained:
    """A model after its four steps."""

    model: keras.Model
    before: list[np.ndarray]
    """Its weights at their start."""
    losses: list[float]
    """Of each epoch."""


@pytest.fixture(scope="module")
def records_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Data], Path]:
    """Write the records of a data set as its table asks for it, of a few images of its layout."""

    @cache
    def raw(module: str) -> Path:
        folder = tmp_path_factory.mktemp(module)
        fabricated.CASES[module].write(folder)
        return folder

    written: dict[str, Path] = {}

    def records(data: Data) -> Path:
        name = f"{data.module}-{data.convert.labels}-{data.convert.lists}-{data.convert.classes}"
        if name not in written:
            source = catalogue.load(data.module, data.convert)
            listed = data.convert.lists.get("train", "train")
            if listed.endswith("_available"):  # a person's own list
                listed = "train"
            pairs = source.samples(raw(data.module), listed, 9, 3)[: EPOCH * BATCH]
            written[name] = tmp_path_factory.mktemp("records")
            shards.write(written[name], source, {"train": pairs}, shards=1)
        return written[name]

    return records


@pytest.fixture(scope="module")
def uncompiled(keras_ready: None) -> Iterator[None]:
    """Steps run as they are written: four of them take less time than compiling the first."""
    tf = pytest.importorskip("tensorflow")
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def trained(uncompiled: None, records_of: Callable[[Data], Path]) -> Callable[[str], Trained]:
    """Train a model four steps from where it starts, and first all that it starts from, once."""

    @cache
    def train(key: str) -> Trained:
        table = TABLES[table_of(key)]
        wanted = table.models[key]
        keras.utils.set_random_seed(3)
        split = Records(records_of(table.datasets[wanted.dataset]), "train")
        channels, classes = split.labels.channels, split.labels.classes
        shape = narrow(table.network(key), wanted.backbone)
        model = build.network(
            wanted.head,
            wanted.backbone,
            shape,
            channels,
            len(classes),
            wanted.upsampling,
        )
        build.freeze(model, wanted.freeze)
        start = wanted.init_from
        source = (
            train(start).model
            if start in table.models
            else build.backbone(table.backbones[start].module, shape, channels)
        )
        transfer.transplant(source, model)
        before = [np.array(one) for one in model.get_weights()]
        small = shortened(wanted.training, len(split), steps(wanted.backbone))
        few = list(split)[: small.batch * EPOCH]
        weighting = class_weights.compute(small.class_weights, classes, split.rows)
        done = loop.fit(
            model,
            losses.build(small, weighting),
            inputs.batches(inputs.RecordSource(few), small, seed=3),
            small,
            loop.Callbacks(lambda model, epoch: {"score": epoch}, lambda values, step: None),
        )
        assert done[-1].step == steps(wanted.backbone)
        return Trained(model, before, [epoch.loss for epoch in done])

    return train


def narrow(network: Network, backbone: str) -> Network:
    if backbone == "mnist_small":  # eight channels; with one, all ReLUs may be silent at once
        return network
    return network.model_copy(update={"width": 1 / 16, "fc_width": 1 / 64})


def steps(backbone: str) -> int:
    """Four; fewer where an uncompiled step takes a second, of some 150 layers."""
    return EPOCH if backbone == "efficientnet_lite0" else STEPS


def shortened(recipe: Training, examples: int, steps: int) -> Training:
    """Return the recipe in these steps of few, small images."""
    return recipe.model_copy(
        update={
            "batch": min(recipe.batch, BATCH, examples // EPOCH),
            "accumulate": min(recipe.accumulate, EPOCH),
            "epochs": steps // EPOCH,
            "crop": recipe.crop and (SIDE, SIDE),
            "translate": min(recipe.translate, 2),
        }
    )


@pytest.mark.parametrize("key", KEYS)
def test_a_recipe_takes_four_steps(key: str, trained: Callable[[str], Trained]) -> None:
    """The loss stays finite; weights move, frozen ones do not."""
    after = trained(key)
    assert np.isfinite(after.losses).all()
    fixed = [one for layer in after.model.layers if not layer.trainable for one in layer.weights]
    pairs = zip(after.model.weights, after.before, strict=True)
    moved = {one.path for one, old in pairs if not np.array_equal(one, old)}
    assert moved
    assert not moved & {one.path for one in fixed}
    assert bool(fixed) == bool(freezes(key))


def freezes(key: str) -> tuple[str, ...]:
    return TABLES[table_of(key)].models[key].freeze


@pytest.mark.parametrize("key", KEYS)
def test_images_of_several_sizes_go_one_by_one_or_are_cut(key: str) -> None:
    table = TABLES[table_of(key)]
    recipe, data = table.models[key].training, table.datasets[table.models[key].dataset]
    assert data.module not in OF_SEVERAL_SIZES or recipe.batch == 1 or recipe.crop


def test_the_page_of_recipes_says_what_is_exact_in_every_row() -> None:
    page = (ROOT / "docs/recipes.md").read_text("utf-8")
    named = {key for key in KEYS if f"`{key}`" in page}
    assert {key for key in KEYS if table_of(key) not in UNEXPLAINED} <= named
