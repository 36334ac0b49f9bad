"""Caffe's models (`.caffemodel`), read without Caffe: one protobuf message `NetParameter`.

Only names, blobs and shapes of caffe.proto (BVLC/caffe, src/caffe/proto/caffe.proto) are described
here, in both its versions: `layers` with `V1LayerParameter` and four sizes per blob, as in
VGG_ILSVRC_16_layers.caffemodel of 2014, and `layer` with a `BlobShape`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from fcn.pretrained.layer_weights import LayerWeights, move_out_last

Field = descriptor_pb2.FieldDescriptorProto
SIZES = ("num", "channels", "height", "width")


def net_type() -> Any:
    """Return the protobuf class `NetParameter`, with the fields that hold weights.

    `data` is a packed list of floats, which is serialised as a length and bytes. It is declared as
    bytes, so that 138 million floats do not become Python objects.
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
        **{size: (number, False, Field.TYPE_INT32) for number, size in enumerate(SIZES, start=1)},
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


def read(path: Path) -> dict[str, LayerWeights]:
    """Return the layers of the model by their names, which are the paper's.

    Raises:
        ValueError: the file is no model of Caffe, or a blob's sizes do not fit its values.
    """
    try:
        net = _Net.FromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path}: not a model of Caffe ({error})") from None
    layers = {}
    for layer in [*net.layers, *net.layer]:
        arrays = [move_out_last(_blob(path, layer.name, blob)) for blob in layer.blobs]
        weights = LayerWeights.from_arrays(arrays)
        if weights is not None:
            layers[layer.name] = replace(weights, channels_first=True)
    return layers


def _blob(path: Path, name: str, blob: Any) -> np.ndarray:
    """Return (out, in, height, width) of a convolution, (out, in) of a dense layer, or (out,)."""
    shape = list(blob.shape.dim)
    if not shape:  # the old version: always four sizes, padded with ones in front
        shape = [getattr(blob, size) for size in SIZES]
        while len(shape) > 1 and shape[0] == 1:
            shape.pop(0)
    values = np.frombuffer(blob.data, "<f4") if len(blob.data) % 4 == 0 else np.empty(0)
    if min(shape) < 1 or np.prod(shape) != values.size:
        raise ValueError(f"{path}: a blob of {name} is {shape}, but has {values.size} values")
    return values.reshape(shape)
