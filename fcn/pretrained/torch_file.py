"""Checkpoints of torch, read without torch and without running pickled code; torchvision's VGG-16.

A checkpoint is a pickle that describes tensors, and their storages as plain bytes. Two layouts are
in use (torch/serialization.py): since torch 1.6 a zip, before that one stream; the published
vgg16-397923af.pth is of 2017. The pickle may only name what tensors need; any other name is refused
before anything is called.
"""

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from fcn.pretrained.layer_weights import LayerWeights, move_out_last

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a stream."""
BIG_ENDIAN = "it was written on a big-endian machine"
CONVOLUTIONS = (2, 2, 3, 3, 3)
"""VGG-16's blocks. `features` has a ReLU after each convolution and a pool after each block."""
DENSE = {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Divides R, G, B of 0..1 minus the mean (transforms of torchvision's IMAGENET1K_V1)."""


class Storage(NamedTuple):
    """The values of one or more tensors."""

    key: str
    dtype: np.dtype
    length: int


class Tensor(NamedTuple):
    """A view of a storage; offset and stride are in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def rebuild(cls, storage: Storage, offset: int, size: Any, stride: Any, *_: Any) -> "Tensor":
        """Take the arguments of torch._utils._rebuild_tensor and _rebuild_tensor_v2."""
        return cls(storage, offset, tuple(size), tuple(stride))

    def array(self, raw: Mapping[str, bytes]) -> np.ndarray:
        """Return the values; NumPy refuses a view that leaves the storage."""
        storage, dtype = self.storage, self.storage.dtype
        if math.prod(self.size) > storage.length:
            raise ValueError(f"a tensor of {self.size} in {storage.length} values")
        strides = tuple(step * dtype.itemsize for step in self.stride)
        offset = self.offset * dtype.itemsize
        return np.ndarray(self.size, dtype, raw[storage.key], offset, strides)


ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": Tensor.rebuild,
    "torch._utils._rebuild_tensor_v2": Tensor.rebuild,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.LongStorage": np.dtype("<i8"),
}
"""All names that a pickle may contain, and what replaces each."""


class Unpickler(pickle.Unpickler):
    """Makes descriptions of tensors; any other name in the pickle is refused."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read from `file`; `storages` collects the storages that its tensors use."""
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what replaces a name."""
        if f"{module}.{name}" not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no tensor needs")
        return ALLOWED[f"{module}.{name}"]

    def persistent_load(self, saved: Any) -> Storage:
        """Return the storage of a tuple: the word `storage`, type, key, device, count, view."""
        match saved:
            case ("storage", np.dtype() as dtype, str() as key, str(), int() as count, *view):
                if all(part is None for part in view):
                    return self.storages.setdefault(key, Storage(key, dtype, count))
        raise pickle.UnpicklingError(f"it refers to {str(saved)[:60]}, which is no storage")


@dataclass
class _TorchCheckpoint:
    tensors: Any
    raw: dict[str, bytes] = field(default_factory=dict)


def read(path: Path) -> dict[str, LayerWeights]:
    """Return VGG-16's layers by the paper's names, for R, G, B minus the mean.

    torchvision also divides images by the channels' standard deviations. Here conv1_1's kernel is
    divided by them, which is the same up to rounding, since zero padding comes after the mean.

    Raises:
        ValueError: as `read_tensors`.
    """
    layers = _layers(read_tensors(path))
    first = layers.get("conv1_1")
    if first is not None and first.kernel.ndim == 4 and first.kernel.shape[2] == len(STD):
        kernel = first.kernel / (255 * STD[:, None])
        layers["conv1_1"] = replace(first, kernel=kernel)
    return layers


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of floating-point numbers by their names in the state dict, in float32.

    Raises:
        ValueError: it is no checkpoint, is damaged, or its pickle names more than tensors.
    """
    try:
        with path.open("rb") as file:
            checkpoint = _zip(file) if zipfile.is_zipfile(file) else _stream(file)
        if not isinstance(checkpoint.tensors, dict):
            raise ValueError("it contains no state_dict")
        return {
            str(name): tensor.array(checkpoint.raw).astype(np.float32, copy=False)
            for name, tensor in checkpoint.tensors.items()
            if isinstance(tensor, Tensor) and tensor.storage.dtype.kind == "f"
        }
    except Exception as error:  # a damaged pickle can raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: not a checkpoint of torch ({reason})") from None


def _layers(tensors: Mapping[str, np.ndarray]) -> dict[str, LayerWeights]:
    parts: dict[str, list[np.ndarray]] = {}
    for name, values in tensors.items():
        parts.setdefault(name.rpartition(".")[0], []).append(move_out_last(values))
    names = paper_names()
    layers = {
        names.get(layer, layer): LayerWeights.from_arrays(arrays) for layer, arrays in parts.items()
    }
    return {
        name: replace(weights, channels_first=True) for name, weights in layers.items() if weights
    }


def paper_names() -> dict[str, str]:
    """Return the paper's names of VGG-16's layers by torchvision's."""
    names, index = {}, 0
    for block, convolutions in enumerate(CONVOLUTIONS, start=1):
        for number in range(1, convolutions + 1):
            names[f"features.{index}"] = f"conv{block}_{number}"
            index += 2
        index += 1
    return names | DENSE


def _zip(file: IO[bytes]) -> _TorchCheckpoint:
    """Read a zip: NAME/data.pkl, and a storage in each NAME/data/KEY, uncompressed."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        top = pickled.removesuffix("data.pkl")
        byte_order = f"{top}byteorder"
        if byte_order in archive.namelist() and archive.read(byte_order) != b"little":
            raise ValueError(BIG_ENDIAN)
        with archive.open(pickled) as opened:
            unpickler = Unpickler(opened)
            checkpoint = _TorchCheckpoint(unpickler.load())
        for key, storage in unpickler.storages.items():
            info = archive.getinfo(f"{top}data/{key}")
            expected = storage.length * storage.dtype.itemsize
            if info.file_size != expected or info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"storage {key} has {info.file_size} bytes, not {expected}")
            checkpoint.raw[key] = archive.read(info)
    return checkpoint


def _stream(file: IO[bytes]) -> _TorchCheckpoint:
    """Read a stream: five pickles (magic, protocol, system, tensors, keys), then the storages."""
    file.seek(0)
    if Unpickler(file).load() != MAGIC or Unpickler(file).load() != PROTOCOL:
        raise ValueError("it starts with neither a zip's nor torch's magic number")
    if not Unpickler(file).load()["little_endian"]:
        raise ValueError(BIG_ENDIAN)
    unpickler = Unpickler(file)
    checkpoint = _TorchCheckpoint(unpickler.load())
    for key in Unpickler(file).load():
        storage = unpickler.storages[key]
        count = int.from_bytes(file.read(8), "little")
        content = file.read(storage.length * storage.dtype.itemsize)
        if count != storage.length or len(content) != count * storage.dtype.itemsize:
            raise ValueError(f"storage {key} is cut short")
        checkpoint.raw[key] = content
    return checkpoint
