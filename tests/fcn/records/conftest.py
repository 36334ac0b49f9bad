from pathlib import Path

import numpy as np
import pytest

from fcn.conversion import shards
from fcn.datasets.shared import catalogue
from fcn.records.sample import Sample


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a split whose only file holds two small examples."""
    folder = tmp_path_factory.mktemp("one")
    image = np.arange(4, dtype=np.uint8).reshape(2, 2)
    samples = [Sample(f"id-{number}", image, image, ("g",)) for number in range(2)]
    shards.write(folder, catalogue.load("digits"), {"train": samples}, 1)
    return folder
