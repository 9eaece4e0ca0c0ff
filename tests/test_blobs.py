from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodflix.perception import base64_media

CLIP = bytes(range(256)) * 3


HEADS = [
    "",
    "data:image/jpeg;base64,",
    "data:audio/webm;codecs=opus;base64,",
    "data:;base64,",
    'DATA:audio/mp4; codecs="mp4a.40.2" ;BASE64,',
    "\n data:audio/webm;codecs=opus; base64 ,",
]


@given(
    st.binary(min_size=1, max_size=400),
    st.sampled_from(HEADS),
    st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
    st.sampled_from(["=", ""]),
    st.sampled_from(["", "\n", "\r\n", " \t"]),
)
def test_it_reads_base64_however_it_is_dressed(
    sent: bytes, head: str, encode: Callable[[bytes], bytes], padding: str, broken_by: str
) -> None:
    lines = re.findall(".{1,76}", encode(sent).decode().replace("=", padding))
    assert base64_media.decode(head + broken_by.join([*lines, ""])) == sent


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("====", "is empty"),
        ("data:image/png;base64,", "is empty"),
        ("data:text/plain,hello", "is a data URL that is not base64"),
        ("data:;charset=base64,aGk=", "is a data URL that is not base64"),
        ("A", "is not base64"),
        ("AAAAA", "is not base64"),
        ("AA=A", "is not base64"),
        ("AAA*", "is not base64"),
        ("caf\u00e9", "is not base64"),
        ("\uff21\uff21\uff21\uff21", "is not base64"),
        ("blob:http://127.0.0.1/5e0c", "is not base64"),
        ("aGk=,aGk=", "is not base64"),
    ],
)
def test_it_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        base64_media.decode(text)


@given(st.text())
def test_any_text_is_bytes_or_a_reason(text: str) -> None:
    try:
        assert base64_media.decode(text)
    except ValueError as error:
        assert str(error).startswith("is ")  # noqa: PT017 - either is right


def test_a_large_clip_is_read_in_one_go() -> None:
    sent = CLIP * 6000
    assert (
        base64_media.decode("data:audio/webm;codecs=opus;base64," + base64.b64encode(sent).decode())
        == sent
    )


def test_a_long_head_without_end_is_no_trap() -> None:
    with pytest.raises(ValueError, match="is not base64"):
        base64_media.decode("data:" + ";" * 200_000)
