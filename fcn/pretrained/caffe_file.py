"""Caffe's models (`.caffemodel`), read without Caffe: one protobuf message `NetParameter`.

Of caffe.proto (BVLC/caffe, src/caffe/proto/caffe.proto) only names, blobs and shapes are described
here, in both its generations: `layers` with `V1LayerParameter` and four sizes per blob, as in
VGG_ILSVRC_16_layers.caffemodel of 2014, and `layer` with a `BlobShape`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from fcn.pretrained.layer import Layer, oihw

Field = descriptor_pb2.FieldDescriptorProto
SIZES = ("num", "channels", "height", "width")


def net_type() -> Any:
    """Return the protobuf class `NetParameter`, as far as weights go.

    `data` is a packed list of floats, which on the wire is a length and bytes: declared as bytes,
    138 million of them need not become Python objects.
    """
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")

    def message(title: str, /, **fields: tuple[int, bool, Any]) -> None:
        added = file.message_type.add(name=title)
        for field, (number, many, kind) in fields.items():
            label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
            described = added.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                described.type, described.type_name = Field.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                described.type = kind

    message("BlobShape", dim=(1, True, Field.TYPE_INT64))
    message(
        "BlobProto",
        **{size: (place, False, Field.TYPE_INT32) for place, size in enumerate(SIZES, start=1)},
        data=(5, False, Field.TYPE_BYTES),
        shape=(7, False, "BlobShape"),
    )
    message("V1LayerParameter", name=(4, False, Field.TYPE_STRING), blobs=(6, True, "BlobProto"))
    message("LayerParameter", name=(1, False, Field.TYPE_STRING), blobs=(7, True, "BlobProto"))
    message(
        "NetParameter", layers=(2, True, "V1LayerParameter"), layer=(100, True, "LayerParameter")
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


_Net = net_type()


def read(path: Path) -> dict[str, Layer]:
    """Return the layers of the model by their names, which are the paper's.

    Raises:
        ValueError: it is no such file, or a blob has other sizes than its numbers.
    """
    try:
        net = _Net.FromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path}: no model of Caffe ({error})") from None
    found = {}
    for one in [*net.layers, *net.layer]:
        layer = Layer.of(oihw(_blob(path, one.name, blob)) for blob in one.blobs)
        if layer is not None:
            found[one.name] = replace(layer, channels_first=True)
    return found


def _blob(path: Path, name: str, blob: Any) -> np.ndarray:
    """Return the numbers as out in H W of a convolution, out in of a dense layer, or out."""
    shape = list(blob.shape.dim)
    if not shape:  # the old generation: always four sizes, ones before the real ones
        shape = [getattr(blob, size) for size in SIZES]
        while len(shape) > 1 and shape[0] == 1:
            shape.pop(0)
    numbers = np.frombuffer(blob.data, "<f4") if len(blob.data) % 4 == 0 else np.empty(0)
    if min(shape) < 1 or np.prod(shape) != numbers.size:
        raise ValueError(f"{path}: a blob of {name} is {shape}, but has {numbers.size} numbers")
    return numbers.reshape(shape)
