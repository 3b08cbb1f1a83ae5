"""Reading little-endian numbers and text from a buffer, one after the other."""

import struct
from typing import Any


class Reader:
    """A buffer and a position in it, which moves with what is read; struct.error at its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """What `layout`, in the notation of the module struct, describes."""
        numbers = struct.unpack_from(f"<{layout}", self.data, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return numbers

    def bytes(self, size: int) -> bytes:
        (content,) = self.numbers(f"{size}s")
        return content

    def text(self) -> str:
        """A string after its length in two bytes; zeros at its end do not count."""
        (size,) = self.numbers("H")
        return self.bytes(size).rstrip(b"\0").decode()
