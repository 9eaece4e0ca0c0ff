"""Access to the dashboard: from the station itself, or with the token."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Response, current_app, request
from itsdangerous import BadSignature, TimestampSigner

from moodflix.config import Settings
from moodflix.errors import MoodflixError

PATH: Final = "/dashboard"
_COOKIE: Final = "moodflix_keeper"
_KEEPER: Final = b"keeper"
_VALID: Final = 30 * 24 * 3600
_KEY_BYTES: Final = 32
# Whoever sends one of these came by way of another machine, whatever the last hop was.
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


class KeyFileError(MoodflixError):
    """The key that cookies are signed with can't be made or read; the text says why."""


def has_token() -> bool:
    """Whether there is a token to log in with."""
    return _token() is not None


def is_local() -> bool:
    """Whether the request comes from this machine, to it by a name that no stranger can have."""
    if any(name in request.headers for name in _FORWARDED):
        return False
    # A stranger's name may be made to mean this machine (DNS rebinding); these can't.
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    return _is_loopback(request.remote_addr) and (host == "localhost" or _is_loopback(host))


def is_authenticated() -> bool:
    """Whether the request carries the token, or the cookie of somebody who did.

    Raises:
        KeyFileError: the key can't be made or read.
    """
    given = request.authorization
    if given is not None and given.type == "bearer":
        return is_token(given.token or "")
    cookie = request.cookies.get(_COOKIE)
    if cookie is None:
        return False
    with suppress(BadSignature):
        return _signer().unsign(cookie, max_age=_VALID) == _KEEPER
    return False


def is_token(given: str) -> bool:
    """Whether this is the token, in a time that doesn't tell how much of it is."""
    token = _token()
    return token is not None and hmac.compare_digest(given.encode(), token)


def set_session(response: Response) -> None:
    """Set the session cookie, valid until the token changes.

    Raises:
        KeyFileError: the key can't be made or read.
    """
    response.set_cookie(
        _COOKIE,
        _signer().sign(_KEEPER).decode(),
        max_age=_VALID,
        path=PATH,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )


def clear_session(response: Response) -> None:
    """Delete the session cookie."""
    response.delete_cookie(
        _COOKIE, path=PATH, secure=request.is_secure, httponly=True, samesite="Strict"
    )


def _is_loopback(address: str | None) -> bool:
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback


def _token() -> bytes | None:
    settings: Settings = current_app.extensions["moodflix.settings"]
    return settings.api_token.get_secret_value().encode() if settings.api_token else None


def _signer() -> TimestampSigner:
    # The token is part of the key: another one, and no cookie of before is valid.
    return TimestampSigner(
        _key(Path(current_app.instance_path)),
        salt=_token() or b"",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )


def _key(folder: Path) -> bytes:
    """Return the station's key, made by whichever process needs it first."""
    path = folder / "dashboard.key"
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"{path.name} can't be kept in the instance folder: {error.strerror}"
        ) from error
    if len(key) != _KEY_BYTES:
        raise KeyFileError(f"{path.name} in the instance folder is damaged; delete it")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, spare = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # only ours: 0600
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a file that is open already
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link takes no other's place: of all who try at once, one wins.
        with suppress(FileExistsError):
            os.link(spare, path)
    finally:
        Path(spare).unlink()
