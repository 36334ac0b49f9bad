"""Checkpoints in the formats of torch.save, pickled without torch; torchvision's VGG-16.

torch 2.13 loads these files with `weights_only=True`.
"""

import collections
import io
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests import vgg_files


class Global:
    """Pickled as the global of this name, which need not exist."""

    def __init__(self, module: str, name: str) -> None:
        self.line = f"c{module}\n{name}\n".encode()


class Call:
    """Pickled as a call, as `__reduce__` would."""

    def __init__(self, function: Global, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


class Saved:
    """Pickled as torch's persistent id."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


def pickled(content: Any) -> bytes:
    """Pickle by protocol 2; `Global`, `Call` and `Saved` become the opcodes they describe."""
    out = io.BytesIO(b"\x80\x02")
    out.seek(2)

    def write(value: Any) -> None:
        match value:
            case Global():
                out.write(value.line)
            case Call():
                write(value.function)
                write(value.arguments)
                out.write(b"R")
            case Saved():
                write(value.parts)
                out.write(b"Q")
            case tuple():
                out.write(b"(")
                for part in value:
                    write(part)
                out.write(b"t")
            case collections.OrderedDict():
                write(Call(Global("collections", "OrderedDict")))
                out.write(b"(")
                for pair in value.items():
                    write(pair[0])
                    write(pair[1])
                out.write(b"u")
            case _:
                out.write(pickle.dumps(value, 2)[2:-1])

    write(content)
    return out.getvalue() + b"."


def vgg_tensors(vgg: vgg_files.Vgg) -> dict[str, np.ndarray]:
    """VGG-16's tensors by torchvision's names."""
    names, index = [], 0
    for convolutions, _ in vgg_files.BLOCKS:
        for _ in range(convolutions):
            names.append(f"features.{index}")
            index += 2
        index += 1
    names += ["classifier.0", "classifier.3", "classifier.6"]
    return {
        f"{name}.{part}": array
        for name, arrays in zip(names, vgg.values(), strict=True)
        for part, array in zip(("weight", "bias"), arrays, strict=True)
    }


def parts(tensors: Mapping[str, np.ndarray], stream: bool) -> tuple[Any, dict[str, bytes]]:
    """A state_dict of these tensors, and the storages that it refers to."""
    state, storages = collections.OrderedDict(), {}
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    view = (None,) if stream else ()
    for name, array in tensors.items():
        key = str(len(storages))
        storages[key] = array.astype("<f4").tobytes()
        kind = Global("torch", "FloatStorage")
        storage = Saved("storage", kind, key, "cpu", array.size, *view)
        stride = tuple(int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim))
        hooks = collections.OrderedDict()
        state[name] = Call(rebuild, storage, 0, array.shape, stride, False, hooks)
    return state, storages


def saved_zip(vgg: vgg_files.Vgg, path: Path, state: Any = None) -> Path:
    """The format of torch.save since 1.6."""
    own, storages = parts(vgg_tensors(vgg), stream=False)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(own if state is None else state))
        archive.writestr("archive/byteorder", "little")
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    return path


def saved_stream(vgg: vgg_files.Vgg, path: Path, state: Any = None) -> Path:
    """The format of torch.save before 1.6, and of vgg16-397923af.pth."""
    return save_stream(vgg_tensors(vgg), path, state)


def save_stream(tensors: Mapping[str, np.ndarray], path: Path, state: Any = None) -> Path:
    """The same of any tensors."""
    own, storages = parts(tensors, stream=True)
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    with path.open("wb") as file:
        for content in (0x1950A86A20F9469CFC6C, 1001, system):
            file.write(pickle.dumps(content, 2))
        file.write(pickled(own if state is None else state) + pickle.dumps(list(storages), 2))
        for content in storages.values():
            file.write(struct.pack("<q", len(content) // 4) + content)
    return path
