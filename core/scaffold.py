"""`new`: a plugin package that trains, predicts and passes every law as written, for its author to change piece by piece."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from core.errors import ConfigError

TEMPLATES = Path(__file__).parent / "templates" / "plugin"


def scaffold(name: str, folder: Path, taken: Collection[str]) -> None:
    """Write the package of a new task; a name or a folder that cannot be is refused before anything is written."""
    if not re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name}: not a name for a task, which is a lower-case Python identifier such as dates or code_review"
        )
    if name in taken:
        raise ConfigError(f"{name}: there is such a task already; choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: not an empty folder; name one that does not exist yet")
    put(folder, rendered(name))


def rendered(name: str) -> dict[str, str]:
    """Every file of the package, by its place in it."""
    title = "".join(word.capitalize() for word in name.split("_"))
    files: dict[str, str] = {}
    for template in sorted(TEMPLATES.rglob("*.template")):
        place = template.relative_to(TEMPLATES).as_posix().removesuffix(".template").replace("NAME", name)
        text = template.read_text(encoding="utf-8")
        files[place] = text.replace("{{name}}", name).replace("{{Name}}", title)
    return files


def put(folder: Path, files: Mapping[str, str]) -> None:
    """All of them, or what was written is taken back."""
    written: list[Path] = []
    try:
        for place, text in files.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            written.append(path)
            path.write_text(text, encoding="utf-8")
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise
