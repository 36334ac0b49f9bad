"""Models as files: equal bytes at each save, opened with Keras and the layers of this room."""

import json
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from fcn.common import files
from fcn.network import layers, upsampling  # noqa: F401  registers the layers that `load` meets

EPOCH = "2000-01-01@00:00:00"
"""The date inside every saved model: two saves of the same weights are the same bytes."""
ZIP_EPOCH = (2000, 1, 1, 0, 0, 0)
LABELS = "labels.json"
"""The member of a model's file that names its classes; `fcn.prediction.named_model` reads it."""


def save(model: keras.Model, path: Path, labels: Mapping[str, Any] | None = None) -> None:
    """Write the weights and the graph of `model` as a `.keras` file, the same bytes each time.

    The optimizer and the loss are left out: the file is for using the model. `labels`, the fields
    of `fcn.records.labels.Labels`, name its classes; Keras ignores them when it opens the file.
    """
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with files.writing(path) as aside:
        bare.save(aside)
        with zipfile.ZipFile(aside) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
        metadata = json.loads(members["metadata.json"]) | {"date_saved": EPOCH}
        members["metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
        if labels is not None:
            members[LABELS] = json.dumps(labels, sort_keys=True).encode()
        with zipfile.ZipFile(aside, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)


def load(path: Path) -> keras.Model:
    """Open a saved model.

    Raises:
        ValueError: the file is missing, damaged, or no model of this project.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; `dvc repro` makes it")
    try:
        return keras.models.load_model(path, compile=False)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise ValueError(
            f"{path} cannot be opened as a model ({reason}); delete it and run `dvc repro`"
        ) from error
