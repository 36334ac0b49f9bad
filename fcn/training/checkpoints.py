"""The checkpoints of a training on disk: a killed training resumes from the newest one.

    data/checkpoints/<model>/<digest>/step-00001234/state.npz, meta.json

DVC removes a stage's outs before it runs, so this folder is not an out. The digest covers all that
determines the result: a training never resumes from a checkpoint of other settings, data or code.
A checkpoint is written to a temporary folder, flushed and renamed. The newest two are kept; a
finished training removes all of its own.
"""

import errno
import hashlib
import json
import os
import platform
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fcn.code import imports
from fcn.common import files, messages
from fcn.runtime import machine
from fcn.settings.common import Checkpoints, Compute

ROOT = Path("data/checkpoints")
"""Relative to the project's folder, in which every stage runs."""
STATE, META = "state.npz", "meta.json"
VERSION = 1
"""Of this layout; checkpoints of another version are not read."""
KEEP = 2
SHARE = 0.01
"""With `checkpoints.minutes`, writing takes at most this share of the training time."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of one checkpoint."""

    step: int
    metadata: dict[str, Any]
    """JSON values."""
    arrays: dict[str, np.ndarray]


def digest(compute: Compute, entry: Path, found_by_name: Sequence[str], **parts: Any) -> str:
    """Return the SHA-256 over all that determines a training's result.

    Args:
        compute: seed, backend, precision and devices.
        entry: the stage's file; the code that it depends on is part of the digest.
        found_by_name: modules named in the settings, as in `heads/fcn16s`; their code counts too.
        parts: settings, data and starting weights, as JSON values or hashes.

    Returns:
        64 hexadecimal digits over these, the versions of the numerical libraries and the kind of
        machine. Not over the CPU's model and the number of threads, although they decide how sums
        are rounded: a training resumes on another CPU, and `CheckpointStore` prints a warning.
    """
    import keras  # takes ten seconds; only a training needs it

    backend = sys.modules[keras.config.backend()]
    content = {
        "parts": parts,
        "compute": compute.model_dump(mode="json"),
        "code": imports.fingerprint(
            entry, [imports.ROOMS / f"{name}.py" for name in found_by_name]
        ),
        "versions": {name: version(name) for name in ("grain", "keras", "numpy")},
        "backend": f"{backend.__name__} {backend.__version__}",
        "machine": [platform.machine(), *keras.distribution.list_devices()],
        "layout": VERSION,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class CheckpointStore:
    """The checkpoints of one training; prints where it resumes, or why it starts at step 0."""

    def __init__(self, key: str, digest: str, interval: Checkpoints, root: Path = ROOT) -> None:
        """Load the newest complete checkpoint; remove those of other digests.

        Args:
            key: the model's key in the table file.
            digest: from `digest`.
            interval: how often a checkpoint is due.
            root: the folder of all checkpoints.

        Raises:
            OSError: the folder cannot be read or written.
        """
        self.key, self.digest, self.interval = key, digest, interval
        self.folder = root / key / digest[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.folder))
        self._remove_outdated()
        self.latest = self._load_latest()
        """What the training resumes from; None where it starts at step 0."""
        self.run_id: str | None = self.latest.metadata.get("run_id") if self.latest else None
        """MLflow's id of the training's run."""
        machines = self.latest.metadata.get("machines", []) if self.latest else []
        current = machine.describe_rounding()
        self.machines = machines if current in machines else [*machines, current]
        """Those on which the training ran (`fcn.runtime.machine.describe_rounding`)."""
        if changes := machine.list_changes(self.machines):
            messages.say(
                f"warning: {key}: trained on {len(self.machines)} machines ({changes}); the bits "
                "of its weights may be those of none of them"
            )
        self.last_step = self.latest.step if self.latest else 0
        """The step of the newest checkpoint; 0 without one."""
        self._write_seconds, self._written_at = 0.0, time.monotonic()

    def due(self, step: int) -> bool:
        """Return whether a checkpoint is to be written after `step`."""
        if self.interval.steps is not None:
            return step % self.interval.steps == 0
        assert self.interval.minutes is not None
        pause = max(60 * self.interval.minutes, self._write_seconds / SHARE)
        return time.monotonic() - self._written_at >= pause

    def save(
        self, step: int, metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Write a checkpoint; it appears under its name only when all of it is on the disk."""
        began = time.monotonic()
        path = self.folder / f"step-{step:08d}"
        with files.writing_folder(path) as temporary:
            with (temporary / STATE).open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            meta = {
                "version": VERSION,
                "digest": self.digest,
                "sha256": files.sha256(temporary / STATE),
                "step": step,
                "metadata": {**metadata, "run_id": self.run_id, "machines": self.machines},
            }
            files.write_json(temporary / META, meta)
            _fsync_folder(temporary)
        _fsync_folder(self.folder)
        self.last_step = step
        for old in self._paths()[KEEP:]:
            files.remove(old)
        self._written_at = time.monotonic()
        self._write_seconds = self._written_at - began

    def clear(self) -> None:
        """Remove all checkpoints; call it when the finished training's outputs are written."""
        files.remove(self.folder)
        if not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _paths(self) -> list[Path]:
        """Return the checkpoints, the newest first."""
        return sorted(
            (p for p in self.folder.iterdir() if p.name.startswith("step-")), reverse=True
        )

    def _remove_outdated(self) -> None:
        """Remove half-written checkpoints of a killed run, and those of other digests."""
        for path in self.folder.glob(f".*{files.PARTIAL}*"):
            files.remove(path)
        for folder in self.folder.parent.iterdir():
            if folder == self.folder:
                continue
            suffixes = (path.name.removeprefix("step-") for path in folder.glob("step-*"))
            steps = [int(suffix) for suffix in suffixes if suffix.isdecimal()]
            if steps:
                messages.say(
                    f"{self.key}: settings, data or code changed since the checkpoint at step "
                    f"{max(steps)}; starts from step 0"
                )
            files.remove(folder)

    def _load_latest(self) -> Checkpoint | None:
        paths = self._paths()
        for path in paths:
            try:
                checkpoint = self._read(path)
            except ValueError as error:
                messages.say(
                    f"warning: {path} cannot be used ({error}); trying the checkpoint before it"
                )
                files.remove(path)
            else:
                messages.say(f"{self.key}: resumes from the checkpoint at step {checkpoint.step}")
                return checkpoint
        if paths:
            messages.say(f"{self.key}: no checkpoint can be used; starts from step 0")
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
                return Checkpoint(int(meta["step"]), dict(meta["metadata"]), dict(arrays))
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename} is missing") from None
        except (KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ValueError(f"{META} or {STATE} has another layout: {error}") from None


def _fsync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
