import json
import sys
from dataclasses import asdict
from pathlib import Path

import onnx
import pytest

from fcn.records.labels import Labels
from fcn.serving import formats, onnx_file
from fcn.settings.network import Network
from tests import toy

pytestmark = pytest.mark.usefixtures("seeded")
LABELS = Labels("toy", ("sky", "sea", "land"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)), 1)
OTHERS = {"input": (("x", "B", "H", "W", 3), ("logits", "B", "H", "W", 5)),
          "channels first": (("images", "B", 3, "H", "W"), ("logits", "B", 5, "H", "W")),
          "one size": (("images", 1, 64, 64, 3), ("logits", 1, 64, 64, 5)),
          "a classifier": (("images", "B", "H", "W", 3), ("logits", "B", 5))}  # fmt: skip
"""Inputs and outputs that are not ours, with their names."""


@pytest.fixture(scope="module")
def path(keras_ready: None, tiny: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = toy.network(tiny.model_copy(update={"resize": 0.5}), 1, 3)
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    onnx_file.write(formats.in_float32(network), path)
    return path


def test_the_file_names_its_input_its_output_and_their_open_sizes(path: Path) -> None:
    graph = onnx.load_model(path).graph
    shapes = {
        tensor.name: [
            axis.dim_param or axis.dim_value for axis in tensor.type.tensor_type.shape.dim
        ]
        for tensor in (*graph.input, *graph.output)
    }
    assert shapes == {"images": [*onnx_file.AXES, 1], "logits": [*onnx_file.AXES, 3]}


def test_the_metadata_names_the_classes_and_the_exported_model(path: Path, tmp_path: Path) -> None:
    assert onnx_file.read_metadata(path) == {}
    described = tmp_path / "model.onnx"
    described.write_bytes(path.read_bytes())
    onnx_file.describe(described, LABELS, 0.5, {onnx_file.SOURCE: "a.keras, SHA-256 12"})
    metadata = onnx_file.read_metadata(described)
    assert metadata[onnx_file.SOURCE] == "a.keras, SHA-256 12"
    assert json.loads(metadata["labels.json"]) == json.loads(json.dumps(asdict(LABELS)))
    engine = onnx_file.load(described)
    assert (engine.name, engine.channels, engine.classes, engine.scale) == ("onnx", 1, 3, 0.5)


def identity(path: Path, tensors: tuple[tuple[str | int, ...], ...]) -> None:
    """A file whose output is its input, whatever it says about shapes."""
    (images, *before), (logits, *after) = tensors
    float32 = onnx.TensorProto.FLOAT
    node = onnx.helper.make_node("Identity", [images], [logits])
    graph = onnx.helper.make_graph(
        [node],
        "identity",
        [onnx.helper.make_tensor_value_info(str(images), float32, before)],
        [onnx.helper.make_tensor_value_info(str(logits), float32, after)],
    )
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), path)


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_with_another_input_or_output_is_refused(other: str, tmp_path: Path) -> None:
    identity(tmp_path / "other.onnx", OTHERS[other])
    with pytest.raises(ValueError, match=r"other\.onnx is no file of `fcn export`.*allowed"):
        onnx_file.load(tmp_path / "other.onnx")


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.onnx is no ONNX file, or damaged"):
        onnx_file.load(tmp_path / "bad.onnx")


def test_without_onnx_runtime_the_command_that_installs_it_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"onnxruntime is not installed.*pip install onnxruntime`"):
        onnx_file.load(path)
