"""Ctrl-C for a child process of a test."""

import signal


def heed() -> None:
    """Let the child react to Ctrl-C, as `preexec_fn`: a shell's background job would ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
