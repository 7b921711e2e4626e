"""Columns of text made in bulk: identifiers, moments, money and joins, as Arrow arrays."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dawnlist.simulate.world import DAY_MS, SECOND_MS, Array

_HEX: Final = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_UUID_DIGITS: Final = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])
_CLOCK: Final = np.frombuffer("".join(f"{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(86_400)).encode(), np.uint8).reshape(-1, 8)
_THOUSANDTHS: Final = np.frombuffer("".join(f".{ms:03}Z" for ms in range(1000)).encode(), np.uint8).reshape(-1, 5)
MOMENT_LENGTH: Final = 24


def join(*pieces: Any) -> pa.StringArray:
    """The pieces, arrays or constants, one after the other, row by row."""
    return pc.binary_join_element_wise(*(pa.scalar(piece) if isinstance(piece, str) else piece for piece in pieces), "")


def fixed(characters: Array) -> pa.StringArray:
    """Rows of ASCII codes of one length as strings."""
    rows, length = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * length
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters)))


def hexadecimal(identifiers: Array) -> pa.StringArray:
    """Rows of bytes as hex digits."""
    return fixed(_HEX[identifiers].reshape(len(identifiers), -1))


def uuid(identifiers: Array) -> pa.StringArray:
    """Rows of 16 bytes in the form 8-4-4-4-12."""
    characters = np.full((len(identifiers), 36), ord("-"), np.uint8)
    characters[:, _UUID_DIGITS] = _HEX[identifiers].reshape(len(identifiers), 32)
    return fixed(characters)


def moment(milliseconds: Array) -> pa.StringArray:
    """UTC moments (ms since 1970) in ISO 8601, with thousandths and Z."""
    day, rest = np.divmod(milliseconds, DAY_MS)
    days, number = np.unique(day, return_inverse=True)
    names = np.frombuffer("".join(f"{name}T" for name in days.astype("datetime64[D]").astype(str)).encode(), np.uint8).reshape(-1, 11)
    characters = np.empty((len(milliseconds), MOMENT_LENGTH), np.uint8)
    characters[:, :11] = names[number]
    characters[:, 11:19] = _CLOCK[rest // SECOND_MS]
    characters[:, 19:] = _THOUSANDTHS[rest % SECOND_MS]
    return fixed(characters)


def integer(values: Array, digits: int = 1) -> pa.StringArray:
    """Whole numbers, filled with zeros on the left up to `digits`."""
    text = pa.array(values).cast(pa.string())
    return pc.utf8_lpad(text, digits, padding="0") if digits > 1 else text


def money(cents: Array) -> pa.StringArray:
    """1290 cents as 12.90."""
    return join(integer(cents // 100), ".", integer(cents % 100, 2))


def moment_of(milliseconds: int) -> str:
    """One moment as `moment` writes it."""
    return str(moment(np.array([milliseconds]))[0])
