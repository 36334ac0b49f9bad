"""Rows of a record index for tests of what reads them."""

from typing import Any

from fcn.records.index import IndexRow


def index_row(split: str, name: str, **fields: Any) -> IndexRow:
    """Return a row of a 64×84 image; its hashes are its name unless `fields` say otherwise."""
    defaults: dict[str, Any] = {
        "group": (name,),
        "shard": f"{split}-00000-of-00001.tfrecord",
        "offset": 0,
        "length": 100,
        "height": 64,
        "width": 84,
        "bytes": 50,
        "image_sha256": name,
        "label_sha256": name,
        "pixels": (64 * 84,),
        "ignored": 0,
        "notes": (),
    }
    return IndexRow(id=name, split=split, **(defaults | fields))
