"""How the two trusted processes talk: a length, JSON of that length, then as many bytes as that JSON announces."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import Any, cast

HEAD = struct.Struct("=I")
LARGEST = 1 << 30


class Silence(Exception):
    """The other side has gone, or took too long."""


def send(descriptor: int, message: dict[str, Any], *blobs: bytes) -> None:
    """A message with what belongs to it."""
    body = json.dumps({**message, "blobs": [len(blob) for blob in blobs]}).encode("ascii")
    rest = memoryview(b"".join((HEAD.pack(len(body)), body, *blobs)))
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BrokenPipeError as error:
        raise Silence("it has gone") from error


def receive(descriptor: int, seconds: float | None = None) -> tuple[dict[str, Any], list[bytes]]:
    """The next message; Silence if there is none in time, or ever."""
    end = None if seconds is None else time.monotonic() + seconds
    (length,) = HEAD.unpack(exactly(descriptor, HEAD.size, end))
    message = cast("dict[str, Any]", json.loads(exactly(descriptor, length, end)))
    return message, [exactly(descriptor, size, end) for size in message["blobs"]]


def exactly(descriptor: int, size: int, end: float | None) -> bytes:
    """As many bytes."""
    if size > LARGEST:
        raise Silence(f"{size} bytes announced")
    parts: list[bytes] = []
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while size:
        if end is not None and not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            raise Silence("no answer in time")
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            raise Silence("it has gone")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
