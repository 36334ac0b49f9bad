"""The readers of weights run no code from a file, and read nothing outside it."""

import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fcn.pretrained import caffe_file, keras_file, tensorflow_file, torch_file
from fcn.pretrained.layer_weights import LayerWeights
from tests import torch_files
from tests import vgg_files as vgg16

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.fixture(scope="module")
def vgg() -> vgg16.Vgg:
    return vgg16.random(np.random.default_rng(3))


class Hostile:
    """Creates a file when pickle unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("write", [torch_files.saved_zip, torch_files.saved_stream])
def test_a_hostile_pickle_is_refused_and_not_run(
    write: Callable[..., Path], vgg: vgg16.Vgg, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    system = torch_files.Global("posix", "system")
    path = write(vgg, tmp_path / "a.pth", torch_files.Call(system, f"touch {mark}"))
    with pytest.raises(ValueError, match=r"a\.pth: .*it names posix\.system, which no tensor"):
        torch_file.read(path)
    assert not mark.exists()


def test_a_pickle_that_is_hostile_from_its_first_byte_is_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "a.pth"
    path.write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(ValueError, match=r"it names posix\.system"):
        torch_file.read(path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "plain pickle runs it"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("collections", "namedtuple"),
        ("torch.nn.modules.linear", "Linear"),
    ],
)
def test_a_pickle_may_name_only_what_tensors_need(
    module: str, name: str, vgg: vgg16.Vgg, tmp_path: Path
) -> None:
    path = torch_files.saved_zip(
        vgg, tmp_path / "a.pth", torch_files.Call(torch_files.Global(module, name), "1")
    )
    with pytest.raises(ValueError, match=f"names {module}.{name}"):
        torch_file.read(path)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "message"),
    [
        (2, (4,), (1,), "strides is incompatible"),
        (0, (2, 2), (4, 1), "strides is incompatible"),
        (-1, (2,), (1,), "strides is incompatible"),
        (0, (2, 2), (-1, 1), "strides is incompatible"),
        (0, (2**40,), (0,), "a tensor of "),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], message: str
) -> None:
    storage = torch_file.Storage("0", np.dtype("<f4"), 4)
    with pytest.raises(ValueError, match=message):
        torch_file.Tensor.rebuild(storage, offset, size, stride).array({"0": bytes(16)})


def test_a_view_of_a_storage_is_read_by_its_strides() -> None:
    storage = torch_file.Storage("0", np.dtype("<f4"), 6)
    raw = {"0": np.arange(6, dtype="<f4").tobytes()}
    view = torch_file.Tensor.rebuild(storage, 1, (2, 2), (1, 2)).array(raw)
    np.testing.assert_array_equal(view, [[1, 3], [2, 4]])


@pytest.mark.parametrize("state", [OrderedDict(), [1, 2], 7])
def test_a_pickle_without_layers_gives_none(state: Any, vgg: vgg16.Vgg, tmp_path: Path) -> None:
    path = torch_files.saved_zip(vgg, tmp_path / "a.pth", state)
    if isinstance(state, OrderedDict):
        assert torch_file.read(path) == {}
    else:
        with pytest.raises(ValueError, match="no state_dict"):
            torch_file.read(path)


FILES: dict[str, tuple[Callable[[Path], Any], Callable[[vgg16.Vgg, Path], Path]]] = {
    "a.h5": (keras_file.read, vgg16.keras_1),
    "a.keras": (keras_file.read, vgg16.keras_saved),
    "zip.pth": (torch_file.read, torch_files.saved_zip),
    "stream.pth": (torch_file.read, torch_files.saved_stream),
    "v1.ckpt": (tensorflow_file.read, lambda vgg, path: vgg16.slim(vgg, path, version=1)),
    "a.caffemodel": (caffe_file.read, vgg16.caffe),
}


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_or_foreign_file_is_refused_by_its_name(
    name: str, vgg: vgg16.Vgg, tmp_path: Path
) -> None:
    read, write = FILES[name]
    few = {layer: vgg[layer] for layer in ("fc7", "fc8")} if name.endswith(".ckpt") else vgg
    path = write(few, tmp_path / name)
    whole = path.read_bytes()
    assert read(path)
    for share in (0.001, 0.3, 0.7, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ValueError, match=name):
            read(path)
    for other in (b"", b"<html>not found</html>", bytes(range(256)) * 9):
        path.write_bytes(other)
        if read is caffe_file.read and not other:
            assert read(path) == {}, "an empty message is a whole one"
            continue
        with pytest.raises(ValueError, match=name):
            read(path)


def test_a_name_of_two_layers_is_refused_with_both_groups(tmp_path: Path) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        for group in ("a/block1_conv1", "b/conv1_1"):
            file[f"{group}/kernel:0"] = np.zeros((3, 3, 3, 4))
            file[f"{group}/bias:0"] = np.zeros(4)
    with pytest.raises(ValueError, match=r"two layers are conv1_1: /a/block1_conv1 and /b/conv1_1"):
        keras_file.read(path)


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["conv1_1/kernel:0"], file["conv1_1/bias:0"] = np.ones((3, 3, 3, 4)), np.ones(4)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["linked"] = h5py.ExternalLink(str(secret), "/conv1_1")
    assert keras_file.read(path) == {}
    (tmp_path / "bytes").write_bytes(bytes(16))
    with h5py.File(path, "w") as file:
        outside = [(str(tmp_path / "bytes"), 0, 16)]
        file.create_dataset("conv1_1/bias:0", (4,), "f4", external=outside)
    with pytest.raises(
        ValueError, match="conv1_1/bias:0 is stored in another file, which is not read"
    ):
        keras_file.read(path)


def test_a_blob_whose_sizes_do_not_fit_its_values_is_refused_with_its_layer(tmp_path: Path) -> None:
    net = caffe_file.net_type()()
    net.layer.add(name="conv1_1").blobs.add(data=bytes(12)).shape.dim.extend([2, 2])
    path = tmp_path / "a.caffemodel"
    path.write_bytes(net.SerializeToString())
    with pytest.raises(ValueError, match=r"a blob of conv1_1 is \[2, 2\], but has 3 values"):
        caffe_file.read(path)


def test_without_tensorflow_the_message_names_what_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ValueError, match=r"reading .*v1\.ckpt requires TensorFlow"):
        tensorflow_file.read(tmp_path / "v1.ckpt")


def test_rows_of_a_map_flattened_channels_first_are_put_in_the_networks_order() -> None:
    kernel = np.arange(2 * 3 * 4.0).reshape(6, 4)  # two channels of three positions
    first = LayerWeights(kernel, np.zeros(4), channels_first=True)
    last = LayerWeights(kernel, np.zeros(4))
    np.testing.assert_array_equal(first.dense_kernel(2), kernel[[0, 3, 1, 4, 2, 5]])
    np.testing.assert_array_equal(last.dense_kernel(2), kernel)
