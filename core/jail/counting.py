"""Threads and new files of a program, counted by the zygote, of whom the kernel asks leave for each (seccomp user notification).

What is decided upon (a call's number, flags in registers) cannot be changed by the program between the question and the call.
"""

from __future__ import annotations

import errno
import fcntl
import struct

from core.jail import kernel

RECEIVE, SEND = 0xC050_2100, 0xC018_2101
CONTINUE = 1
QUESTION, ANSWER = "=QIIi", "=QqiI"  # id, pid, flags, number of the call ...; id, value, error, flags
QUESTION_BYTES = 80


class Quota:
    """How many threads may still be started and how many files made."""

    def __init__(self, threads: int, files: int) -> None:
        self.threads = threads
        self.files = files

    def answer(self, listener: int) -> None:
        """One question."""
        question = bytearray(QUESTION_BYTES)
        try:
            fcntl.ioctl(listener, RECEIVE, question)
        except OSError:
            return  # the program died while asking
        asked, _, _, number = struct.unpack_from(QUESTION, question)
        if number == kernel.number("clone"):
            self.threads -= 1
            granted, refusal = self.threads >= 0, errno.EAGAIN
        else:
            self.files -= 1
            granted, refusal = self.files >= 0, errno.EDQUOT
        reply = struct.pack(ANSWER, asked, 0, 0 if granted else -refusal, CONTINUE if granted else 0)
        try:
            fcntl.ioctl(listener, SEND, reply)
        except OSError:
            return
