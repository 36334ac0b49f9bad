"""Where a training stands, kept on disk so that a killed one goes on from there.

    data/checkpoints/<model>/<digest>/step-00001234/state.npz, meta.json

DVC removes a stage's outs before it runs, so this folder is none of them. The digest is made of all
that determines the result: whatever is changed, no training goes on from what was another's. A
checkpoint is written aside, flushed and renamed, the newest two are kept, and a finished training
leaves none.
"""

import errno
import hashlib
import json
import os
import platform
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fcn.common import files, messages
from fcn.settings.common import Checkpoints, Common

ROOT = Path("data/checkpoints")
"""In the project's folder, from which every stage runs."""
STATE, META = "state.npz", "meta.json"
VERSION = 1
"""Of this layout; another one is not read."""
KEPT = 2
SHARE = 0.01
"""At most this share of the time goes into checkpoints that are due by the clock."""
CHANGE_NO_RESULT = {"checkpoints", "intervals", "mirror", "workers"}
"""Of `Common`; a training goes on when one of these is changed."""
BESIDE = (
    *("backlog", "checkpoints", "consistency", "device", "door", "files", "logged_model"),
    *("progress", "schema", "settings", "text", "tracking"),
)
"""Modules that no number of a training goes through; they may change while it stands still."""


@dataclass(frozen=True)
class Checkpoint:
    """What one of them holds."""

    step: int
    facts: dict[str, Any]
    """What fits into JSON."""
    arrays: dict[str, np.ndarray]


def digest(common: Common, **parts: Any) -> str:
    """Return the SHA-256 over all that determines a training's result.

    Args:
        common: params.yaml; what changes no result is left out.
        parts: settings, data and starting weights, as values or hashes that JSON can say.

    Returns:
        64 hexadecimal digits: of these, the code of this project as it is loaded, the versions of
        what computes, and the kind of machine. Another CPU of the same kind may round otherwise:
        going on there works, but only the same one promises the same bits.
    """
    import keras  # ten seconds, and only a training needs them

    backend = sys.modules[keras.config.backend()]
    determined = {
        "parts": parts,
        "common": common.model_dump(mode="json", exclude=CHANGE_NO_RESULT),
        "code": dict(_code()),
        "versions": {name: version(name) for name in ("grain", "keras", "numpy")},
        "backend": f"{backend.__name__} {backend.__version__}",
        "machine": [platform.machine(), *keras.distribution.list_devices()],
        "layout": VERSION,
    }
    return hashlib.sha256(json.dumps(determined, sort_keys=True).encode()).hexdigest()


def _code() -> Iterator[tuple[str, str]]:
    """Yield name and SHA-256 of the stage and of each module of `fcn` that is loaded."""
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        ours = name == "__main__" or name.startswith("fcn.")
        if ours and file and name.removeprefix("fcn.").partition(".")[0] not in BESIDE:
            yield name, files.sha256(Path(file))


class Place:
    """The checkpoints of one training; says from where it goes on, or why it starts afresh."""

    def __init__(self, key: str, digest: str, every: Checkpoints, root: Path = ROOT) -> None:
        """Find the newest checkpoint that is whole.

        Args:
            key: the model's key in the table file.
            digest: of `digest`.
            every: when one is due.
            root: the folder of all checkpoints.

        Raises:
            OSError: the folder cannot be read or written.
        """
        self.key, self.digest, self.every = key, digest, every
        self.folder = root / key / digest[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.folder))
        self._forget_others()
        self.found = self._newest()
        """What the training goes on from; None where it starts at step 0."""
        self.run: str | None = self.found.facts.get("run") if self.found else None
        """MLflow's id of the training's run."""
        self.newest = self.found.step if self.found else 0
        """The step of the newest checkpoint; 0 where there is none."""
        self._seconds, self._written = 0.0, time.monotonic()

    def due(self, step: int) -> bool:
        """Return whether a checkpoint is to be written after `step`."""
        if self.every.steps is not None:
            return step % self.every.steps == 0
        assert self.every.minutes is not None
        pause = max(60 * self.every.minutes, self._seconds / SHARE)
        return time.monotonic() - self._written >= pause

    def save(self, step: int, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Write a checkpoint; it is there when all of it is on the disk, and not before."""
        began = time.monotonic()
        path = self.folder / f"step-{step:08d}"
        with files.writing_folder(path) as aside:
            with (aside / STATE).open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            meta = {
                "version": VERSION,
                "digest": self.digest,
                "sha256": files.sha256(aside / STATE),
                "step": step,
                "facts": {**facts, "run": self.run},
            }
            files.write_json(aside / META, meta)
            _flush(aside)
        _flush(self.folder)
        self.newest = step
        for old in self._paths()[KEPT:]:
            files.remove(old)
        self._written = time.monotonic()
        self._seconds = self._written - began

    def clear(self) -> None:
        """Remove all of them: the training is finished, and what it made is in place."""
        files.remove(self.folder)
        if not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _paths(self) -> list[Path]:
        """Return the checkpoints, the newest first."""
        return sorted(
            (p for p in self.folder.iterdir() if p.name.startswith("step-")), reverse=True
        )

    def _forget_others(self) -> None:
        """Remove what a killed run left half-written, and what other settings or code left."""
        for path in self.folder.glob(f".*{files.PARTIAL}*"):
            files.remove(path)
        for other in self.folder.parent.iterdir():
            if other == self.folder:
                continue
            ends = (path.name.removeprefix("step-") for path in other.glob("step-*"))
            steps = [int(end) for end in ends if end.isdecimal()]
            if steps:
                messages.say(
                    f"{self.key}: settings, data or code changed since the checkpoint of step "
                    f"{max(steps)}: starts afresh"
                )
            files.remove(other)

    def _newest(self) -> Checkpoint | None:
        paths = self._paths()
        for path in paths:
            try:
                found = self._read(path)
            except ValueError as error:
                messages.say(
                    f"warning: {path} cannot be used ({error}); looking for the one before"
                )
                files.remove(path)
            else:
                messages.say(f"{self.key}: goes on from the checkpoint of step {found.step}")
                return found
        if paths:
            messages.say(f"{self.key}: no checkpoint can be used: starts afresh")
        return None

    def _read(self, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises:
            ValueError: it is damaged, of another version, or of another training.
        """
        try:
            meta = json.loads((path / META).read_text("utf-8"))
            state = path / STATE
            if meta["version"] != VERSION:
                raise ValueError(f"version {meta['version']}, allowed: {VERSION}")
            if meta["digest"] != self.digest:
                raise ValueError("it belongs to a training with other settings, data or code")
            if files.sha256(state) != meta["sha256"]:
                raise ValueError(f"{STATE} does not match its SHA-256")
            with np.load(state, allow_pickle=False) as arrays:
                return Checkpoint(int(meta["step"]), dict(meta["facts"]), dict(arrays))
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename} is missing") from None
        except (KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{META} or {STATE} is of another layout: {error}") from None


def _flush(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
