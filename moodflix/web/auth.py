"""Access to the dashboard: from the station itself, or with the token."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from flask import Response, current_app, request
from itsdangerous import BadSignature, TimestampSigner

from moodflix import address, instance
from moodflix.config import Settings
from moodflix.errors import MoodflixError

PATH: Final = "/dashboard"
_COOKIE: Final = "moodflix_keeper"
# Signed; cookies that are in use have this name and value.
_COOKIE_VALUE: Final = b"keeper"
_MAX_AGE: Final = 30 * 24 * 3600  # seconds
_KEY_BYTES: Final = 32
# A request with one of these came through a proxy, so its sender is unknown.
_PROXY_HEADERS: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


class KeyFileError(MoodflixError):
    """The key that cookies are signed with can't be made or read; the text says why."""


def has_token() -> bool:
    """Whether a token is set."""
    return _token() is not None


def is_local() -> bool:
    """Whether the request comes from this machine and is addressed to it as localhost."""
    if any(name in request.headers for name in _PROXY_HEADERS):
        return False
    # Any other name may be made to resolve to this machine (DNS rebinding).
    try:
        host = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return False
    return _is_loopback(request.remote_addr) and (host == "localhost" or _is_loopback(host))


def is_authenticated() -> bool:
    """Whether the request carries the token or a valid session cookie.

    Raises:
        KeyFileError: the key can't be made or read.
    """
    authorization = request.authorization
    if authorization is not None and authorization.type == "bearer":
        return is_token(authorization.token or "")
    cookie = request.cookies.get(_COOKIE)
    if cookie is None:
        return False
    with suppress(BadSignature):
        return _signer().unsign(cookie, max_age=_MAX_AGE) == _COOKIE_VALUE
    return False


def is_token(text: str) -> bool:
    """Whether ``text`` is the token, compared in constant time."""
    token = _token()
    return token is not None and hmac.compare_digest(text.encode(), token)


def set_session(response: Response) -> None:
    """Set the session cookie, valid until the token changes.

    Raises:
        KeyFileError: the key can't be made or read.
    """
    response.set_cookie(
        _COOKIE,
        _signer().sign(_COOKIE_VALUE).decode(),
        max_age=_MAX_AGE,
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


def _is_loopback(host: str | None) -> bool:
    found = address.parsed(host or "")
    return found is not None and found.is_loopback


def _token() -> bytes | None:
    settings: Settings = current_app.extensions["moodflix.settings"]
    return settings.api_token.get_secret_value().encode() if settings.api_token else None


def _signer() -> TimestampSigner:
    # With the token as salt, a changed token invalidates all cookies.
    return TimestampSigner(
        _key(instance.of(current_app).dashboard_key),
        salt=_token() or b"",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )


def _key(path: Path) -> bytes:
    """Return the signing key; the first process that needs it creates the file."""
    try:
        if not path.exists():
            _create_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"{path.name} can't be kept in the instance folder: {error.strerror}"
        ) from error
    if len(key) != _KEY_BYTES:
        raise KeyFileError(f"{path.name} in the instance folder is damaged; delete it")
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Linking never replaces a file: the first process wins, the others read its key.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
