"""torchvision's VGG-16 checkpoint, read without torch and without running what is pickled in it.

A checkpoint is a pickle that names tensors, and their storages as plain bytes. Two layouts are in
use (torch/serialization.py): since torch 1.6 a zip, before that one stream; the published
vgg16-397923af.pth is of 2017. Of the pickle only what makes tensors is allowed; the names of all
else are refused before anything is called.
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

from fcn.pretrained.layer import Layer, oihw

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a stream."""
BIG = "it was written on a big-endian machine"
CONVOLUTIONS = (2, 2, 3, 3, 3)
"""VGG-16's blocks. In `features` a ReLU stands after each convolution, a pool after each block."""
DENSE = {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
STD = np.array([0.229, 0.224, 0.225], np.float32)
"""Divides R, G, B of 0..1 after the mean (transforms of torchvision's IMAGENET1K_V1)."""


class Storage(NamedTuple):
    """Where the numbers of some tensors are."""

    key: str
    dtype: np.dtype
    numbers: int


class Tensor(NamedTuple):
    """A view of a storage, in elements; what follows in the pickle does not change its numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def rebuilt(cls, storage: Storage, offset: int, size: Any, stride: Any, *_: Any) -> "Tensor":
        """Take what torch._utils._rebuild_tensor and its second version are given."""
        return cls(storage, offset, tuple(size), tuple(stride))

    def array(self, raw: Mapping[str, bytes]) -> np.ndarray:
        """Return the numbers; NumPy refuses a view that leaves the storage."""
        storage, dtype = self.storage, self.storage.dtype
        if math.prod(self.size) > storage.numbers:
            raise ValueError(f"a tensor of {self.size} in {storage.numbers} numbers")
        strides = tuple(step * dtype.itemsize for step in self.stride)
        offset = self.offset * dtype.itemsize
        return np.ndarray(self.size, dtype, raw[storage.key], offset, strides)


ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": Tensor.rebuilt,
    "torch._utils._rebuild_tensor_v2": Tensor.rebuilt,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.LongStorage": np.dtype("<i8"),
}
"""All that a pickle may name, and what stands in for it."""


class Unpickler(pickle.Unpickler):
    """Makes tensors' descriptions; whatever else the pickle names is refused."""

    def __init__(self, file: IO[bytes]) -> None:
        """Read from `file`; `storages` are those that were named."""
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands in for a name."""
        if f"{module}.{name}" not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no tensor needs")
        return ALLOWED[f"{module}.{name}"]

    def persistent_load(self, saved: Any) -> Storage:
        """Return the storage that the tuple describes: a word, type, key, device, count, view."""
        match saved:
            case ("storage", np.dtype() as dtype, str() as key, str(), int() as numbers, *view):
                if all(part is None for part in view):
                    return self.storages.setdefault(key, Storage(key, dtype, numbers))
        raise pickle.UnpicklingError(f"it asks for {str(saved)[:60]}, which is no storage")


@dataclass
class _Checkpoint:
    tensors: Any
    raw: dict[str, bytes] = field(default_factory=dict)


def read(path: Path) -> dict[str, Layer]:
    """Return the layers of the checkpoint by the paper's names; it takes R, G, B minus the mean.

    torchvision also divides the picture by the channels' standard deviations; here conv1_1's kernel
    is divided by them, which is the same (its zero padding comes after the mean) but for rounding.

    Raises:
        ValueError: it is no checkpoint, is damaged, or its pickle asks for more than tensors.
    """
    try:
        with path.open("rb") as file:
            checkpoint = _zip(file) if zipfile.is_zipfile(file) else _stream(file)
        layers = _layers(checkpoint)
    except Exception as error:  # a damaged pickle fails in every way there is
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path}: no checkpoint of torch ({reason})") from None
    first = layers.get("conv1_1")
    if first is not None and first.kernel.ndim == 4 and first.kernel.shape[2] == len(STD):
        kernel = first.kernel / (255 * STD[:, None])
        layers["conv1_1"] = replace(first, kernel=kernel)
    return layers


def _layers(checkpoint: _Checkpoint) -> dict[str, Layer]:
    if not isinstance(checkpoint.tensors, dict):
        raise ValueError("it holds no state_dict")
    parts: dict[str, list[np.ndarray]] = {}
    for name, tensor in checkpoint.tensors.items():
        if isinstance(tensor, Tensor) and tensor.storage.dtype.kind == "f":
            numbers = tensor.array(checkpoint.raw).astype(np.float32, copy=False)
            parts.setdefault(str(name).rpartition(".")[0], []).append(oihw(numbers))
    names = paper_names()
    found = {names.get(theirs, theirs): Layer.of(arrays) for theirs, arrays in parts.items()}
    return {name: replace(one, channels_first=True) for name, one in found.items() if one}


def paper_names() -> dict[str, str]:
    """Return torchvision's names of VGG-16's layers and the paper's."""
    names, place = {}, 0
    for block, convolutions in enumerate(CONVOLUTIONS, start=1):
        for number in range(1, convolutions + 1):
            names[f"features.{place}"] = f"conv{block}_{number}"
            place += 2
        place += 1
    return names | DENSE


def _zip(file: IO[bytes]) -> _Checkpoint:
    """Read a zip: NAME/data.pkl, and a storage in each NAME/data/KEY, uncompressed."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        top = pickled.removesuffix("data.pkl")
        order = f"{top}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError(BIG)
        with archive.open(pickled) as opened:
            unpickler = Unpickler(opened)
            checkpoint = _Checkpoint(unpickler.load())
        for key, storage in unpickler.storages.items():
            info = archive.getinfo(f"{top}data/{key}")
            expected = storage.numbers * storage.dtype.itemsize
            if info.file_size != expected or info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"storage {key} has {info.file_size} bytes, not {expected}")
            checkpoint.raw[key] = archive.read(info)
    return checkpoint


def _stream(file: IO[bytes]) -> _Checkpoint:
    """Read a stream: five pickles (magic, protocol, system, tensors, keys), then the storages."""
    file.seek(0)
    if Unpickler(file).load() != MAGIC or Unpickler(file).load() != PROTOCOL:
        raise ValueError("it begins as no other")
    if not Unpickler(file).load()["little_endian"]:
        raise ValueError(BIG)
    unpickler = Unpickler(file)
    checkpoint = _Checkpoint(unpickler.load())
    for key in Unpickler(file).load():
        storage = unpickler.storages[key]
        numbers = int.from_bytes(file.read(8), "little")
        content = file.read(storage.numbers * storage.dtype.itemsize)
        if numbers != storage.numbers or len(content) != numbers * storage.dtype.itemsize:
            raise ValueError(f"storage {key} was cut short")
        checkpoint.raw[key] = content
    return checkpoint
