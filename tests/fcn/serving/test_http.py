"""The real server over HTTP: pictures, arrays, and hostile requests."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from fcn.network import build, model_file
from fcn.settings.network import Network
from fcn.tracking import connection, runs
from tests.fcn.pictures.test_photos import encoded, png_of_size
from tests.waiting import SECONDS, wait_for

pytestmark = [pytest.mark.usefixtures("seeded"), pytest.mark.services]
COLOURS = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]


@pytest.fixture
def served(mlflow: Any, tiny: Network, tmp_path: Path) -> Iterator[str]:
    """The address of a server whose network predicts class 1 for pixels above 0, else 2."""
    network = build.network("fcn16s", "vgg16", tiny, 1, 4)
    score = network.get_layer("score_fr")
    kernel, bias = score.get_weights()
    kernel[..., 1], bias[2] = 1, 1e-6
    score.set_weights([kernel, bias])
    model_file.save(network, tmp_path / "model.keras", {"colours": COLOURS})
    with runs.open_run("train", "toy-fcn16s", "toy", {}) as run:
        run.log_model(tmp_path / "model.keras", 1, "tensorflow")
    (done,) = mlflow.MlflowClient().search_runs([connection.open_store().experiment("toy")])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"models:/{done.outputs.model_outputs[0].model_id}"
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", "-m", uri, *options],
            cwd=tmp_path,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: healthy(address) or server.poll() is not None)
        assert server.poll() is None, (tmp_path / "log").read_text()
        yield address
    finally:
        for child in [*psutil.Process(server.pid).children(recursive=True), server]:
            child.kill()
        server.wait()


def healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=60) as page:
            return bool(page.status == 200)
    except OSError:
        return False


def ask(address: str, body: bytes | Any, kind: str = "application/json") -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/invocations", content, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def test_the_server_answers_pictures_and_arrays_and_survives_hostile_requests(served: str) -> None:
    tall = encoded(Image.new("RGB", (40, 60), "white"), "JPEG", exif=turned())
    code, body = ask(served, {"inputs": [text(tall), text(encoded(Image.new("L", (9, 5))))]})
    assert code == 200, body
    first, second = (
        Image.open(io.BytesIO(base64.b64decode(mask))) for mask in json.loads(body)["predictions"]
    )
    assert (first.mode, first.size, np.unique(np.asarray(first)).tolist()) == ("P", (60, 40), [1])
    assert first.convert("RGB").getpixel((0, 0)) == COLOURS[1]
    assert (second.size, np.unique(np.asarray(second)).tolist()) == ((9, 5), [2])

    column = {"dataframe_split": {"columns": ["image"], "data": [[text(tall)]]}}
    assert json.loads(ask(served, column)[1])["predictions"] == json.loads(body)["predictions"][:1]

    pixels = np.full((2, 8, 9, 1), 200).tolist()
    code, body = ask(served, {"inputs": pixels})
    assert code == 200, body
    assert np.array(json.loads(body)["predictions"]).shape == (2, 8, 9)

    noise = np.random.default_rng(0).bytes(5_000_000)
    hostile: dict[str, Any] = {
        "noise": noise,
        "noise as text": {"inputs": [text(noise)]},
        "deep": b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "a number": {"inputs": 5},
        "nothing": {"inputs": []},
        "null": {"inputs": [None]},
        "a dict": {"inputs": {"a": ["b"]}},
        "dicts": {"inputs": [{"a": 1}]},
        "not base64": {"inputs": ["not base64 ü"]},
        "huge": {"inputs": [text(png_of_size(30_000, 30_000))]},
        "cut short": {"inputs": [text(tall[:-200])]},
        "ragged": {"inputs": [[[1, 2], [3]]]},
        "words": {"inputs": [[[["a"]]]]},
        "beyond": {"inputs": [[[[256]]]]},
        "channels": {"inputs": np.zeros((1, 4, 4, 3), int).tolist()},
        "flat": {"inputs": [[[1]]]},
        "no key": {"pictures": []},
        "a list": [],
        "not finite": b'{"inputs": [[[[NaN]]]]}',
        "empty": b"",
    }
    answers = {name: ask(served, body) for name, body in hostile.items()}
    wrong = {
        name: (code, body[:300])
        for name, (code, body) in answers.items()
        if not 400 <= code < 500 or "Traceback" in body
    }
    assert wrong == {}
    assert "nested too deep" in answers["deep"][1]
    assert "the limit is" in answers["huge"][1]
    assert len(answers["noise as text"][1]) < 500
    assert ask(served, noise, "image/png")[0] == 415
    assert healthy(served)
    assert ask(served, {"inputs": [text(tall)]})[0] == 200


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif
