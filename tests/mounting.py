"""Commands that see a file system of their own: a full disk, a read-only folder."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def mount(*command: str) -> tuple[str, ...]:
    """Return a command that runs in its own mount namespace; its mounts end with it."""
    return ("unshare", "--mount", "--map-root-user", "sh", "-ec", *command)


def can_mount() -> bool:
    """Return whether this machine allows mounts to a user."""
    if shutil.which("unshare") is None:
        return False
    tried = mount(f"mount -t tmpfs none {ROOT}")
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0
