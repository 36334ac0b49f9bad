"""The model as MLflow serves it: pictures in, masks out. MLflow reads this file to load a model.

Input: uint8 B H W C in 0..255. Output: uint8 B H W, the index of each pixel's class.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class Segmenter(PythonModel):
    """Opens the `.keras` file among its artifacts and answers with masks."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the model; keras is imported only here, on the backend that trained the model."""
        os.environ.setdefault("KERAS_BACKEND", context.model_config["backend"])
        from fcn import models

        self.model = models.load(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: Any = None
    ) -> np.ndarray:
        """Return the masks uint8 B H W of images B H W C."""
        logits = self.model.predict_on_batch(np.asarray(model_input))
        return np.asarray(logits).argmax(axis=-1).astype(np.uint8)


set_model(Segmenter())
