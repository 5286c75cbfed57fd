"""`new`: a plugin package that trains, predicts and passes every law as written, for its author to change piece by piece."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from pathlib import Path

from core.errors import ConfigError

TEMPLATES = Path(__file__).parent / "templates" / "plugin"


def scaffold(name: str, folder: Path, taken: Sequence[str]) -> Path:
    """Write the package of a new task; refuse a name or a folder that cannot be."""
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise ConfigError(f"{name}: a task's name is a lower-case Python identifier, such as dates or code_review")
    if name in taken:
        raise ConfigError(f"{name}: there is such a task already; choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: not an empty folder; name one that does not exist yet")
    title = "".join(word.capitalize() for word in name.split("_"))
    for template in sorted(TEMPLATES.rglob("*.template")):
        relative = str(template.relative_to(TEMPLATES)).removesuffix(".template").replace("NAME", name)
        text = template.read_text(encoding="utf-8").replace("{{name}}", name).replace("{{Name}}", title)
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
