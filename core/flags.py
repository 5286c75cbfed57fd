"""The words of a command line -> flags with values, and the rest. No abbreviations; settings are key=value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import ConfigError
from core.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag; without a `value` it is a switch."""

    name: str
    meaning: str
    value: str = ""
    """What stands for the value in the help: DIR."""
    choices: tuple[str, ...] = ()
    hidden: bool = False


SHELLS = ("bash", "zsh", "fish")
HELP = (
    Flag("--help", "this page"),
    Flag("--help-all", "every config key with its default and meaning"),
    Flag("--completion", "print a completion script", "SHELL", SHELLS),
    Flag("--keys", "the names of the config keys, for completion", hidden=True),
)


@dataclass(frozen=True, slots=True)
class Words:
    """A command line, taken apart."""

    plain: tuple[str, ...]
    """In order; those after `--` too."""
    flags: dict[str, str] = field(default_factory=dict[str, str])
    """A switch that is on has an empty value."""

    def on(self, name: str) -> bool:
        """Whether a flag was given."""
        return name in self.flags

    def path(self, name: str) -> Path | None:
        """A flag's value as a path."""
        return Path(self.flags[name]) if name in self.flags else None

    def paths(self, name: str) -> tuple[Path, ...]:
        """A flag's value as paths with commas between them."""
        return tuple(Path(one) for one in self.flags.get(name, "").split(",") if one)

    def share(self, name: str) -> float | None:
        """A flag's value as a number from 0 to 1."""
        if name not in self.flags:
            return None
        text = self.flags[name]
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} {text}: must be a number from 0 to 1")
        return value

    def whole_number(self, name: str, *, least: int) -> int | None:
        """A flag's value as an integer."""
        if name not in self.flags:
            return None
        text = self.flags[name]
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < least:
            raise ConfigError(f"{name} {text}: must be an integer, at least {least}")
        return int(text)


def taken_apart(argv: Sequence[str], known: Sequence[Flag], is_setting: Callable[[str], bool]) -> Words:
    """`--run DIR` and `--run=DIR` alike; a flag that is unknown, given twice or without its value is refused."""
    names = {one.name: one for one in (*HELP, *known)}
    plain: list[str] = []
    found: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        if word == "--":
            plain += words
        elif word == "-" or not word.startswith("-") or is_setting(word):
            plain.append(word)
        else:
            name, equals, value = word.partition("=")
            name = "--help" if name == "-h" else name
            if name not in names:
                raise ConfigError(f"{name}: no such flag{guess(name, list(names.values()))}")
            if name in found:
                raise ConfigError(f"{name}: given twice")
            found[name] = _value(names[name], value if equals else None, words)
    return Words(tuple(plain), found)


def _value(flag: Flag, attached: str | None, words: Iterator[str]) -> str:
    if not flag.value:
        if attached is not None:
            raise ConfigError(f"{flag.name}={attached}: {flag.name} takes no value")
        return ""
    value = attached if attached is not None else next(words, "")
    if not value or (attached is None and value.startswith("--")):
        raise ConfigError(f"{flag.name}: needs a value: {flag.name} {flag.value}")
    if flag.choices and value not in flag.choices:
        raise ConfigError(
            f"{flag.name} {value}: must be one of {', '.join(flag.choices)}{did_you_mean(value, flag.choices)}"
        )
    return value


def guess(name: str, known: Sequence[Flag]) -> str:
    """The nearest flag, else all of them."""
    shown = [one.name for one in known if not one.hidden]
    return did_you_mean(name, shown) or f"; there are {', '.join(shown)}"
