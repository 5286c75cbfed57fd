"""A user's mistakes: one line each, with the exit code that says whose they are. Nothing else is shown to the user."""

from __future__ import annotations


class UserError(Exception):
    """Shown as one line, without a traceback."""

    exit_code = 2


class ConfigError(UserError):
    """A flag, a config key or a value that cannot be."""


class DataError(UserError):
    """A record or a file that cannot be read; the message begins with `file:line` where there is one."""

    exit_code = 3


class BadRecord(DataError):
    """One record among many: `data.bad` says whether to stop, skip or quarantine. Raised without the place, which the reader adds."""


class Diverged(UserError):
    """The loss or a gradient is no number."""

    exit_code = 4


class MetricSkipped(Exception):
    """Raised by a metric that cannot be computed here (no jail for generated code, no second model): the reason."""


class Interrupted(Exception):
    """A signal asked the run to stop; the state has been saved."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
