"""The address to listen on, and whether it is free.

``make run`` runs this module before anything is installed, so it needs the standard library alone.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

HOST: Final = "0.0.0.0"  # noqa: S104 - documented
PORT: Final = 8000
# A line of .env.
_LINE = re.compile(
    r"""(?i)\s*(?:export\s+)?(MOODFLIX_(?:HOST|PORT))\s*=\s*(['"]?)(.*?)\2\s*(?:\s#.*)?"""
)
_HANDED_OVER: Final = {"GUNICORN_FD", "LISTEN_FDS"}


def is_handed_over() -> bool:
    """Whether a socket that listens already was handed to us, as systemd does."""
    return not _HANDED_OVER.isdisjoint(os.environ)


def problem(host: str, port: int) -> str:
    """Return why an address can't be listened on and the remedy, in one line; empty if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return (
                f"moodflix: port {port} of {host} can't be used ({error.strerror}); stop what "
                f"uses it or choose another: MOODFLIX_PORT={min(port + 1, 65535)} make run"
            )
    return ""


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address, the IPv4 one that an IPv6 socket shows mapped; ``None`` if it isn't."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found


def configured() -> tuple[str, int]:
    """Return host and port as the settings will read them from the environment and ``.env``."""
    file = Path(".env")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    found = [each.group(1, 3) for each in map(_LINE.fullmatch, lines) if each]
    named = {name.upper(): value for name, value in [*found, *os.environ.items()] if value}
    return named.get("MOODFLIX_HOST", HOST), int(named.get("MOODFLIX_PORT", PORT))


# gunicorn's own arguments may name another address.
if __name__ == "__main__" and "GUNICORN_CMD_ARGS" not in os.environ and not is_handed_over():
    sys.stdout.write(problem(*configured()))
