"""Check that a server can listen on its port."""

import socket

import psutil


def require_free(host: str, port: int, name: str) -> None:
    """Check that the server `name` can listen on a port.

    Raises:
        ValueError: it cannot; the message names the process that listens there, if it is known.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"port {port} for {name} cannot be used on {host} ({error.strerror})"
                f"{_listener(port)}\n  next step: end what listens there, or choose another port: "
                f"python -m flows.serve --{name.lower()}-port {port + 1}"
            ) from None


def _listener(port: int) -> str:
    """Describe the process that listens on a port; empty if the system does not tell."""
    try:
        (pid,) = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr.port == port
            and connection.pid
        }
        return f"; process {pid} listens there: {' '.join(psutil.Process(pid).cmdline())[:200]}"
    except (psutil.Error, ValueError):
        return ""
