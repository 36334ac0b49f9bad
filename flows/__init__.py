"""Prefect flows that read DVC's graph and run its stages."""

import os

from fcn.runtime import interrupts

interrupts.explain_unhandled()  # First: importing Prefect takes seconds.
# Prefect reads these once, when it is imported; every flow imports this package first.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The first start of a server creates its database, which took 25 s; Prefect's default is 20 s.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "600")
# While SQLite is locked, the server answers 503. Prefect's clients repeat such requests after 2, 4,
# 8 … s: with 7 retries for four minutes, with Prefect's default of 5 for one. The price: after the
# end of its server, a flow also waits so long.
os.environ.setdefault("PREFECT_CLIENT_MAX_RETRIES", "7")
