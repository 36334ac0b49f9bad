"""The model as MLflow serves it: pictures in, masks out. MLflow loads a model from this file.

Input, either of

* encoded pictures (JPEG, PNG, …), bytes or base64: an object array, a list or a column of them.
  Output: for each a PNG of class indices with the classes' colours, of the picture's own size, as
  base64;
* uint8 B H W C in 0..255. Output: uint8 B H W, the index of each pixel's class.
"""

import base64
import binascii
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

BYTES = 2**25
"""The largest encoded picture, 32 MiB."""
PIXELS = 2**24
"""The largest picture that a server takes, 16 million pixels: a limit on one request's memory."""


class Refused(MlflowException):
    """A request that cannot be answered: HTTP 400 with our message alone.

    MLflow would add the request's body to the message, which may be megabytes.
    """

    def __init__(self, message: str) -> None:
        """Keep the message."""
        super().__init__(message, error_code=INVALID_PARAMETER_VALUE)
        self._message = message

    def serialize_as_json(self) -> str:
        """Return the body of the answer."""
        return json.dumps({"error_code": self.error_code, "message": self._message})


class Segmenter(PythonModel):
    """Opens the `.keras` file among its artifacts and answers with masks."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the model; keras is imported only here, on the backend that trained the model."""
        os.environ.setdefault("KERAS_BACKEND", context.model_config["backend"])
        _refuse_deep_json()
        from fcn.datasets.shared import voc
        from fcn.network import model_file

        path = Path(context.artifacts["model"])
        self.model = model_file.load(path)
        with zipfile.ZipFile(path) as archive:
            named = model_file.LABELS in archive.namelist()
            labels = json.loads(archive.read(model_file.LABELS)) if named else {}
        self.colours = labels.get("colours", [voc.colour(n) for n in range(256)])

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: Any = None
    ) -> Any:
        """Return masks uint8 B H W of images B H W C, or base64 of PNGs for encoded pictures.

        Raises:
            Refused: the input is neither.
        """
        array = np.asarray(model_input)  # a table's column becomes N 1
        if array.dtype != object and array.dtype.kind not in "SU":
            return self._masks(array)
        if array.ndim == 4:  # JSON's nested lists of numbers
            return self._masks(_as_pixels(array))
        return np.array([self._mask_of_picture(picture) for picture in array.ravel()], object)

    def _masks(self, images: np.ndarray) -> np.ndarray:
        channels = self.model.input_shape[-1]
        if images.ndim != 4 or images.shape[-1] != channels or 0 in images.shape:
            raise Refused(f"got an array {images.shape}; allowed: B H W {channels}, or pictures")
        if images[..., 0].size > PIXELS:
            raise Refused(f"{images[..., 0].size:,} pixels; the limit is {PIXELS:,}")
        logits = self.model.predict_on_batch(images)
        return np.asarray(logits).argmax(axis=-1).astype(np.uint8)

    def _mask_of_picture(self, picture: Any) -> str:
        from fcn.pictures import photos, provenance

        try:
            image = photos.decode(_decode(picture), self.model.input_shape[-1], PIXELS)
        except ValueError as error:
            raise Refused(str(error)) from None
        (mask,) = self._masks(image[None])
        return base64.b64encode(provenance.encode_mask(mask, self.colours, {})).decode()


def _refuse_deep_json() -> None:
    """Make MLflow's server answer 400, not 500, to JSON nested deeper than Python can read."""
    server = sys.modules.get("mlflow.pyfunc.scoring_server")  # loaded in every server
    read = getattr(server, "_decode_json_input", None)
    if server is None or read is None or read.__name__ == "shallow":
        return  # no server, another release of MLflow, or replaced before

    def shallow(body: Any) -> Any:
        try:
            return read(body)
        except RecursionError:
            raise Refused("JSON nested too deep; allowed: pictures, or B H W C numbers") from None

    vars(server)["_decode_json_input"] = shallow


def _as_pixels(array: np.ndarray) -> np.ndarray:
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise Refused("an array with values that are not numbers; allowed: 0..255") from None
    if not ((numbers >= 0) & (numbers <= 255) & (numbers == np.floor(numbers))).all():
        raise Refused("numbers outside 0..255, or fractions; allowed: whole numbers 0..255")
    return numbers.astype(np.uint8)


def _decode(picture: Any) -> bytes:
    if isinstance(picture, str):
        if len(picture) > BYTES * 4 // 3 + 4:
            raise ValueError(f"a picture of more than {BYTES:,} bytes, which is the limit")
        try:
            return base64.b64decode(picture.partition("base64,")[2] or picture, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("text that is not base64; send a picture's bytes as base64") from None
    if not isinstance(picture, bytes):
        kind = type(picture).__name__
        raise ValueError(f"got {kind}; allowed: a picture's bytes or base64, or B H W C")
    if len(picture) > BYTES:
        raise ValueError(f"a picture of {len(picture):,} bytes; the limit is {BYTES:,}")
    return picture


set_model(Segmenter())
