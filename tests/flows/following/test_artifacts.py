"""What a run shows in Prefect's pages: progress bars, reports, pictures."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter

from flows import reproduce
from flows.following import artifacts

REPORT = {
    "dataset": "digits",
    "verdict": "valid with warnings",
    "splits": {"train": {"examples": 24, "groups": 9, "ignored_share": 0.125}},
    "findings": [{"rule": "empty", "split": "train", "id": "train-00003"}],
}
SCRIPT = """
import json
from pathlib import Path
from PIL import Image
for step in (5, 10):
    print(f"digits  epoch 1/1  step {step}/10  loss 0.5")
Path("labels.json").write_text(Path("report").read_text())
Path("pictures").mkdir()
Image.new("RGB", (2, 2)).save("pictures/a.png")
"""


@pytest.mark.usefixtures("prefect_server")
def test_a_stage_has_a_progress_bar_its_report_and_a_gallery_of_its_pictures(
    pipeline: Callable[..., None],
) -> None:
    pipeline("  show: {cmd: python show.py, deps: [report], outs: [labels.json, pictures]}\n")
    Path("show.py").write_text(SCRIPT)
    Path("report").write_text(json.dumps(REPORT))
    state = reproduce.reproduce(return_state=True)
    assert state.is_completed(), state.message
    run = {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}
    with get_client(sync_client=True) as client:
        artifacts_read = client.read_artifacts(artifact_filter=ArtifactFilter.model_validate(run))
    shown = {artifact.key: artifact for artifact in artifacts_read}
    assert sorted(shown) == ["gallery-show", "progress-show", "show"]
    assert shown["progress-show"].data == 100
    assert "| train | 24 | 9 | 12.50% |" in shown["show"].data
    picture = base64.b64encode(Path("pictures/a.png").read_bytes()).decode()
    assert shown["gallery-show"].data == f"**a**\n\n![a](data:image/png;base64,{picture})"


def test_a_report_lists_its_findings() -> None:
    text = artifacts.labels(REPORT)
    assert text.startswith("# digits: labels valid with warnings\n")
    assert text.endswith("\n1 finding\n- rule: empty, split: train, id: train-00003")
    assert artifacts.labels(REPORT | {"findings": []}).endswith("\nNo findings")


def test_a_gallery_contains_a_few_small_pictures(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(artifacts.PICTURES + 2)]
    for path in paths:
        Image.new("RGB", (2, 2)).save(path)
    paths[0].write_bytes(bytes(artifacts.PICTURE_BYTES + 1))
    text = artifacts.gallery(paths)
    assert text.count("](data:image/png;base64,") == artifacts.PICTURES
    assert "**0**" not in text
