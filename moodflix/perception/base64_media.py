"""Turns base64 as browsers and scripts send it into bytes."""

from __future__ import annotations

import base64
import re

# data:audio/webm;codecs=opus;base64,GkXf...
_DATA_URL = re.compile(r"\s{0,99}data:[^,]{0,200}?(;\s{0,9}base64\s{0,9})?,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


def decode(text: str) -> bytes:
    """Decode base64: plain or URL-safe, with or without line breaks and padding.

    The prefix of a data URL is skipped, whatever type it declares.

    Raises:
        ValueError: the text says why it can't be decoded, and continues a field's name.
    """
    head = _DATA_URL.match(text)
    if head and not head[1]:
        raise ValueError("is a data URL that is not base64")
    body = "".join(text[head.end() if head else 0 :].split()).translate(_URL_SAFE).rstrip("=")
    if not body:
        raise ValueError("is empty")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
