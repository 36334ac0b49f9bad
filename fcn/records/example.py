"""The `tf.train.Example` of a record, to bytes and from bytes, without TensorFlow.

The message is tensorflow/core/example/{example,feature}.proto, built here with protobuf in a
separate pool, so that TensorFlow can be imported as well.
"""

from dataclasses import dataclass
from typing import Any, Self

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

Field = descriptor_pb2.FieldDescriptorProto


def _message_type() -> Any:
    """Return the protobuf class `Example`: a map from names to lists of bytes, floats or ints."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")

    def message(name: str, **fields: tuple[int, int, int] | tuple[int, int, int, str]) -> Any:
        added = file.message_type.add(name=name)
        for field, (number, label, kind, *type_name) in fields.items():
            added.field.add(
                name=field,
                number=number,
                label=label,
                type=kind,
                type_name=type_name[0] if type_name else None,
            )
        return added

    one, many, nested = Field.LABEL_OPTIONAL, Field.LABEL_REPEATED, Field.TYPE_MESSAGE
    message("BytesList", value=(1, many, Field.TYPE_BYTES))
    message("FloatList", value=(1, many, Field.TYPE_FLOAT))
    message("Int64List", value=(1, many, Field.TYPE_INT64))
    feature = message(
        "Feature",
        bytes_list=(1, one, nested, ".t.BytesList"),
        float_list=(2, one, nested, ".t.FloatList"),
        int64_list=(3, one, nested, ".t.Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message("Features", feature=(1, many, nested, ".t.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=one, type=Field.TYPE_STRING)
    entry.field.add(name="value", number=2, label=one, type=nested, type_name=".t.Feature")
    message("Example", features=(1, one, nested, ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


_Message = _message_type()


@dataclass(frozen=True)
class Example:
    """The features of one record; `image` and `label` are encoded, sizes in pixels."""

    id: str
    image: bytes
    format: str
    height: int
    width: int
    label: bytes
    label_format: str = "png"

    def to_bytes(self) -> bytes:
        """Return the serialised message, the same bytes for the same content."""
        message = _Message()
        feature = message.features.feature
        for name, content in (
            ("image/encoded", self.image),
            ("image/format", self.format.encode()),
            ("image/id", self.id.encode()),
            ("label/encoded", self.label),
            ("label/format", self.label_format.encode()),
        ):
            feature[name].bytes_list.value.append(content)
        feature["image/height"].int64_list.value.append(self.height)
        feature["image/width"].int64_list.value.append(self.width)
        serialised: bytes = message.SerializeToString(deterministic=True)
        return serialised

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the example in `data`.

        Raises:
            ValueError: `data` is no such message, or a feature is missing.
        """
        try:
            feature = _Message.FromString(data).features.feature
        except DecodeError as error:
            raise ValueError(f"{len(data)} bytes that are no tf.train.Example: {error}") from None

        def content(name: str, kind: str = "bytes_list") -> Any:
            # Test first: reading a missing key of this map would add it.
            values = getattr(feature[name], kind).value if name in feature else []
            if len(values) != 1:
                raise ValueError(f"a tf.train.Example without one {name}; it has {sorted(feature)}")
            return values[0]

        return cls(
            id=content("image/id").decode(),
            image=content("image/encoded"),
            format=content("image/format").decode(),
            height=content("image/height", "int64_list"),
            width=content("image/width", "int64_list"),
            label=content("label/encoded"),
            label_format=content("label/format").decode(),
        )
