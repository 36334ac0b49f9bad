"""What settings of backbones from files refuse before anything is fetched."""

import json
import shutil
from pathlib import Path
from typing import Any

import pydantic
import pytest
from ruamel.yaml import YAML

from fcn.datasets.shared import catalogue
from fcn.settings import reader
from fcn.settings.backbone import PUBLISHED, Backbone
from tests.shipped import ROOT, SHIPPED


def described(kind: str = "keras", network: Any = None, **changes: Any) -> dict[str, Any]:
    seen = PUBLISHED.get(kind, PUBLISHED["keras"])
    shape = {
        "channel_order": seen.channel_order,
        "mean": list(seen.mean),
        "std": seen.std,
        "width": 1.0,
    }
    return {
        "table": "t",
        "dataset": "t",
        "raw": "t-vgg16",
        "source": "pretrained/own",
        "module": "vgg16",
        "network": shape | {"fc6_kernel": 7, "dropout": 0.5} | (network or {}),
        "weights": "file",
        "file": {"format": kind, "path": "a.file"},
    } | changes


@pytest.mark.parametrize("kind", PUBLISHED)
def test_pictures_as_the_weights_were_trained_with_are_accepted(kind: str) -> None:
    Backbone.model_validate(described(kind))


def test_the_means_that_fcns_authors_subtract_from_the_same_weights_are_accepted() -> None:
    Backbone.model_validate(described("caffe", {"mean": [104.00699, 116.66877, 122.67892]}))


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        ("keras", {"channel_order": "rgb"}),
        ("keras", {"mean": [123.68, 116.779, 103.939]}),
        ("caffe", {"mean": 0.0}),
        ("caffe", {"mean": 114.0}),
        ("savedmodel", {"std": 255.0}),
        ("slim", {"channel_order": "bgr"}),
        ("slim", {"mean": [103.939, 116.779, 123.68]}),
        ("efficientnet_lite0", {"channel_order": "bgr"}),
        ("efficientnet_lite0", {"mean": 114.0}),
        ("efficientnet_lite0", {"std": 127.5}),
        ("torchvision", {"channel_order": "bgr"}),
        ("torchvision", {"mean": [0.485, 0.456, 0.406], "std": 0.226}),
    ],
)
def test_other_pictures_are_refused_with_both_sides(kind: str, network: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Backbone.model_validate(described(kind, network))
    published, got = PUBLISHED[kind], described(kind, network)["network"]
    mean = got["mean"] if isinstance(got["mean"], list) else [got["mean"]]
    caught.match(
        rf"format: {kind}`: got channel_order {got['channel_order']}, mean \[{mean[0]}.*"
        rf"std {got['std']}; allowed: channel_order {published.channel_order}, "
        rf"mean \[{published.mean[0]}.* std {published.std}"
    )


@pytest.mark.parametrize("network", [{"width": 0.5}, {"fc_width": 0.25}])
def test_fewer_channels_than_the_file_has_are_refused(network: dict[str, Any]) -> None:
    with pytest.raises(
        pydantic.ValidationError, match=r"`network\.width`: got \[0\.[25].*: 1, since"
    ):
        Backbone.model_validate(described("keras", network))
    Backbone.model_validate(described("model", network))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"file": None}, "`file:` is required with, and only allowed with, `weights: file`"),
        (
            {"weights": "scratch"},
            "`file:` is required with, and only allowed with, `weights: file`",
        ),
        ({"source": "digits"}, "`source: pretrained/…` is required with, and only allowed with,"),
        (
            {"file": {"format": "onnx", "path": "a"}},
            "'caffe', 'efficientnet_lite0', 'keras', 'model'",
        ),
        ({"file": {"format": "keras", "path": "../a.h5"}}, "a path inside the folder `raw`"),
        ({"file": {"format": "keras", "path": "/a.h5"}}, "a path inside the folder `raw`"),
        ({"file": {"format": "keras", "path": ""}}, "a path inside the folder `raw`"),
    ],
)
def test_half_a_description_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Backbone.model_validate(described(**changes))
    caught.match(said)


def from_file(root: Path, backbone: dict[str, Any], downloads: dict[str, Any]) -> None:
    """Write the project's settings of the digits, with a backbone from a file."""
    table = YAML(typ="safe").load(SHIPPED / "tables/digits.yaml")
    table["backbones"]["digits-vgg16"] = backbone | {"table": "digits", "dataset": "digits"}
    table["downloads"] |= downloads
    (root / "tables").mkdir(exist_ok=True)
    (root / "tables/digits.yaml").write_text(json.dumps(table))
    shutil.copy(SHIPPED / "params.yaml", root)


def test_ones_own_file_needs_no_download_and_a_published_one_does(tmp_path: Path) -> None:
    from_file(tmp_path, described(raw="mine"), {})
    assert reader.load("digits", tmp_path).table.backbones["digits-vgg16"].raw == "mine"
    source = "pretrained/vgg16_keras"
    published = described(raw="digits-weights", source=source)
    from_file(tmp_path, published, {})
    with pytest.raises(ValueError, match=r"backbones\.digits-vgg16\.raw: got 'digits-weights'"):
        reader.load("digits", tmp_path)
    from_file(tmp_path, published, {"digits-weights": {"table": "digits", "module": source}})
    assert reader.load("digits", tmp_path)
    from_file(tmp_path, published, {"digits-weights": {"table": "digits", "module": "m2nist"}})
    with pytest.raises(ValueError, match="source: got 'pretrained/vgg16_keras', allowed: 'm2nist'"):
        reader.load("digits", tmp_path)


PRETRAINED = sorted(
    f"pretrained/{path.stem}" for path in (ROOT / "fcn/datasets/pretrained").glob("[!_]*.py")
)


@pytest.mark.parametrize("name", PRETRAINED)
def test_weights_say_where_they_come_from_and_what_one_may_do_with_them(name: str) -> None:
    found = catalogue.pretrained(name)
    assert found.title
    assert found.licence
    assert found.citation
    assert catalogue.archives(name) == found.archives
    assert bool(found.archives) == (name != "pretrained/own")


def test_weights_are_no_data_set() -> None:
    assert "pretrained" not in catalogue.names()
    with pytest.raises(ValueError, match="no data set 'pretrained/own'"):
        catalogue.load("pretrained/own")
    with pytest.raises(ValueError, match="did you mean 'pretrained/vgg16_keras'"):
        catalogue.archives("pretrained/vgg16_kera")
