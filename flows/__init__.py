"""Prefect flows that read DVC's graph and run its stages."""

import os

from fcn.runtime import interrupts

interrupts.explain_unhandled()  # First: importing Prefect takes seconds.
# Prefect reads these once, when it is imported; every flow imports this package first.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The first start of a server creates its database, which took 25 s; Prefect's default is 20 s.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "90")
