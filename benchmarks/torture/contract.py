"""What every reader of records promises, asked of one file: no crash, no hang, refusals with their place, good ones untouched."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.torture.rows import Breach, Trial, hold
from core.errors import BadRecord, UserError
from core.record import Record

LONGEST_SECONDS = 2.0
"""Of the processor's, for one record: longer is a hang."""
LONGEST_REASON = 4000


def read(
    trial: Trial, begin: Callable[[], Iterator[Record]], paths: Sequence[Path], *, lines: bool = True
) -> list[Record]:
    """All records that come; a crash, a hang, or a refusal without its place is a breach."""
    found: list[Record] = []
    reader: Iterator[Record] | None = None
    while True:
        begun = time.process_time()
        signal.signal(signal.SIGPROF, endless)
        signal.setitimer(signal.ITIMER_PROF, 2 * LONGEST_SECONDS)
        try:
            reader = reader or begin()
            found.append(next(reader))
        except StopIteration:
            return found
        except BadRecord as error:
            refused(error, paths, lines=lines)
            trial.count("records refused")
        except UserError as error:
            refused(error, paths, lines=False)
            trial.count("files refused")
            return found
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        spent = time.process_time() - begun
        trial.measure("longest record in seconds", spent)
        hold(spent < LONGEST_SECONDS, f"{spent:.1f} s for one record of {paths[0].read_bytes()[:200]!r}")


def endless(number: int, frame: FrameType | None) -> None:
    """Ends a reader that does not end; where it is written in C, the trial's own limit does."""
    place = frame.f_code if frame is not None else None
    raise Breach(f"no end, in {place.co_filename}: {place.co_name}" if place is not None else "no end")


def refused(error: UserError, paths: Sequence[Path], *, lines: bool) -> None:
    """One line that begins with the file, and the line in it, and goes on with a reason."""
    said = str(error)
    place = "|".join(re.escape(str(path)) for path in paths)
    fits = re.match(rf"(?:[\w.]+: )?(?:{place})(?P<line>:\d+)?: \S|(?:{place}) has \d", said)
    hold(fits is not None, f"a refusal without its file: {said[:300]!r}")
    hold(fits is not None and (not lines or fits["line"]), f"a refusal without its line: {said[:300]!r}")
    hold("\n" not in said and len(said) < LONGEST_REASON, f"no single line: {said[:300]!r}")


def kept(good: Sequence[tuple[str, Any]], found: Sequence[Record], what: Callable[[Record], Any]) -> None:
    """The good records, in order, with their keys, whatever stood between them."""
    at = 0
    for record in found:
        if at < len(good) and (record.key, what(record)) == good[at]:
            at += 1
    hold(at == len(good), f"a good record is gone or was changed: {good[at] if at < len(good) else ''!r}")
