"""When things run: Prefect flows that read DVC's graph and run its stages."""

import os
import sys
from pathlib import Path

# Prefect reads these once, as it is imported; every flow imports this package first.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The first start of a server creates its database, which took 25 s where Prefect allows 20.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")

# Prefect puts this folder on the path when it loads `flows/reproduce.py:reproduce`; `import dvc`
# would then find the dvc.py beside this file.
sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
