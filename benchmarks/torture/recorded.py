"""What a process does to a folder, operation by operation, and the states in which a power cut can leave the disk.

Recording: Python announces every open, rename, mkdir, removal and truncation before it happens (sys.addaudithook), and os.fsync is
wrapped; what was written in between is read off the files themselves. Replaying follows the model of ALICE (Pillai et al., 2014), made
as strict as POSIX allows: a folder is a list of changes of its names, of which a prefix survives that reaches at least to its last
fsync; a file's content is what it was at its last fsync, or anything later, whole or cut off; a folder's fsync says nothing of the
folder above it. What real file systems order beyond that (most do) is not relied on.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["link", "unlink", "rename", "data", "sync"]


@dataclass(slots=True)
class Node:
    """A file or a folder, whatever it is called at the moment."""

    folder: bool
    contents: list[bytes] = field(default_factory=list[bytes])
    """A file's, after each change."""
    synced: int = 0
    """A file's: so many of them count from; a folder's: so many of its changes are certain."""
    changes: list[tuple[str, int | None]] = field(default_factory=list[tuple[str, "int | None"]])
    """A folder's: name -> node, or None where it went."""


@dataclass(slots=True)
class Recording:
    """Nodes by number, 0 the folder itself; `marks` are what the watcher noted between operations."""

    nodes: list[Node] = field(default_factory=lambda: [Node(folder=True)])
    names: dict[str, int] = field(default_factory=lambda: {"": 0})
    """Paths below the folder that are there now."""
    marks: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def made(self, path: str, *, folder: bool) -> None:
        """A new name with a new node."""
        self.nodes.append(Node(folder=folder, contents=[] if folder else [b""]))
        self.names[path] = len(self.nodes) - 1
        self.change(path, len(self.nodes) - 1)

    def change(self, path: str, node: int | None) -> None:
        """A name of its folder leads there now."""
        above, _, name = path.rpartition("/")
        if above in self.names:
            self.nodes[self.names[above]].changes.append((name, node))

    def removed(self, path: str) -> None:
        """A name is gone."""
        if path in self.names:
            del self.names[path]
            self.change(path, None)

    def renamed(self, old: str, new: str) -> None:
        """With all that is below it; in one folder it is one change, as file systems have it."""
        if old not in self.names:
            return
        node = self.names.pop(old)
        for path in [one for one in self.names if one == new or one.startswith(f"{new}/")]:
            del self.names[path]
        for path in [one for one in self.names if one.startswith(f"{old}/")]:
            self.names[new + path[len(old) :]] = self.names.pop(path)
        self.names[new] = node
        above = new.rpartition("/")[0]
        changes = self.nodes[self.names[above]].changes
        changes.append((f"{old.rpartition('/')[2]}\0{new.rpartition('/')[2]}", node))

    def synced(self, path: str) -> None:
        """All of a file's content, or all changes of a folder's names so far."""
        node = self.nodes[self.names[path]]
        node.synced = len(node.changes) if node.folder else len(node.contents) - 1


class Recorder:
    """Watches a folder in this process, from now on; `step` is called after each operation with the recording as it then is."""

    def __init__(self, root: Path, step: Any) -> None:
        self.root, self.step, self.recording = os.path.realpath(root), step, Recording()
        self.asleep, self.stamps = False, dict[int, tuple[int, int]]()
        real = os.fsync

        def fsync(handle: int) -> None:
            self.look()
            real(handle)
            path = self.below(os.readlink(f"/proc/self/fd/{handle}"))
            if path is not None and path in self.recording.names:
                self.recording.synced(path)
                self.said()

        os.fsync = fsync
        sys.addaudithook(self.hear)

    def below(self, path: Any, folder: Any = None) -> str | None:
        """A path relative to the root, or None for one elsewhere."""
        if isinstance(path, int):
            return None
        text = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0:
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        text = os.path.abspath(text)
        if text == self.root:
            return ""
        return text[len(self.root) + 1 :] if text.startswith(self.root + "/") else None

    def hear(self, event: str, given: tuple[Any, ...]) -> None:
        """An operation is about to happen: those before it are over."""
        if self.asleep or event not in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate"):
            return
        self.asleep = True  # what is done in here is not recorded
        try:
            self.recorded(event, given)
        finally:
            self.asleep = False

    def recorded(self, event: str, given: tuple[Any, ...]) -> None:
        """Note it as if it were done; should it fail, its name is not there when the files are looked at next."""
        record = self.recording
        match event:
            case "open":
                path = self.below(given[0])
                flags = given[2] if len(given) > 2 and isinstance(given[2], int) else 0
                if path is None or not flags & os.O_CREAT:
                    return
                self.seen()
                if path not in record.names:
                    record.made(path, folder=False)
                    self.said()
            case "os.mkdir":
                path = self.below(given[0], given[2] if len(given) > 2 else None)
                if path and path not in record.names and path.rpartition("/")[0] in record.names:
                    self.seen()
                    record.made(path, folder=True)
                    self.said()
            case "os.rename":
                old, new = self.below(given[0], given[2]), self.below(given[1], given[3])
                if old and new:
                    self.seen()
                    record.renamed(old, new)
                    self.said()
            case "os.remove" | "os.rmdir":
                path = self.below(given[0], given[1] if len(given) > 1 else None)
                if path and path in record.names:
                    self.seen()
                    record.removed(path)
                    self.said()
            case _:
                self.seen()

    def look(self) -> None:
        """Take in what was written."""
        asleep, self.asleep = self.asleep, True
        try:
            self.seen()
        finally:
            self.asleep = asleep

    def seen(self) -> None:
        """Contents that differ from those last seen."""
        for path, number in list(self.recording.names.items()):
            node = self.recording.nodes[number]
            if node.folder:
                continue
            try:
                content = Path(self.root, path).read_bytes()
            except OSError:
                continue
            if content != node.contents[-1]:
                node.contents.append(content)
                self.said()

    def said(self) -> None:
        """One operation more."""
        self.step(self.recording)


Choice = Literal["all", "none", "torn", "random"]
CHOICES: Sequence[Choice] = ("all", "none", "torn", "random")
"""Of what was not synced: everything survives; nothing; names do and contents are cut off; or each as it falls."""


def after_the_cut(recording: Recording, choice: Choice, draw: random.Random, into: Path) -> None:
    """Lay down a state in which the disk may be."""
    into.mkdir(parents=True)
    laid(recording, 0, choice, draw, into)


def laid(recording: Recording, number: int, choice: Choice, draw: random.Random, into: Path) -> None:
    """A folder's names, and what they lead to."""
    node = recording.nodes[number]
    most = len(node.changes)
    kept = {"all": most, "none": node.synced, "torn": most}.get(choice, draw.randint(node.synced, most))
    names: dict[str, int] = {}
    for name, target in node.changes[:kept]:
        old, _, new = name.rpartition("\0")
        if old:
            names.pop(old, None)
        if target is None:
            names.pop(new, None)
        else:
            names[new] = target
    for name, target in names.items():
        inner = recording.nodes[target]
        if inner.folder:
            (into / name).mkdir()
            laid(recording, target, choice, draw, into / name)
        else:
            (into / name).write_bytes(content_of(inner, choice, draw))


def content_of(node: Node, choice: Choice, draw: random.Random) -> bytes:
    """A file's."""
    last = len(node.contents) - 1
    at = {"all": last, "none": node.synced, "torn": last}.get(choice, draw.randint(node.synced, last))
    content = node.contents[at]
    certain = node.contents[node.synced]
    if at == node.synced or choice == "all":
        return content
    if choice == "torn" or draw.random() < 0.5:
        grows = content.startswith(certain)
        least = len(certain) if grows else 0
        cut = (least + len(content)) // 2 if choice == "torn" else draw.randint(least, len(content))
        lost = len(content) - cut
        return content[:cut] + (b"\0" * lost if draw.random() < 0.3 else b"")  # a length that came before its blocks
    return content
