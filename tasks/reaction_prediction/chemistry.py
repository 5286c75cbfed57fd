"""RDKit, silenced: canonical SMILES, why a text is none, and what two sides of a reaction are made of."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from core.errors import BadRecord, ConfigError

LONGEST = 3000
"""Characters of a SMILES: RDKit writes chains in quadratic time, and by recursion that ends the process at some 20,000."""
TRIES = 5
KEPT = 1 << 19
"""Canonical forms in memory: metrics ask for ten answers a record, one metric after another (some 100 MB)."""
_known: dict[str, str | None] = {}


@lru_cache(maxsize=1)
def rdkit() -> Any:
    """`rdkit.Chem`, with its log and its warnings off."""
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        raise ConfigError("reactions need RDKit: pip install 'transduce[reaction_prediction]'") from None
    RDLogger.DisableLog("rdApp.*")  # pyright: ignore[reportAttributeAccessIssue]
    return Chem


def version() -> str:
    """Of RDKit: canonical forms differ between releases."""
    rdkit()
    from rdkit import __version__

    return str(__version__)


def canonical(text: str) -> str | None:
    """One spelling for each set of molecules: maps cleared, written until it stays as it is, fragments in order of their text.

    None for what is no molecule to RDKit, sanitised. Stereo is kept. Known answers are kept, and each is its own.
    """
    if text not in _known:
        if len(_known) >= KEPT:
            _known.clear()
        found = spelled_once(text)
        _known[text] = found
        if found is not None:
            _known[found] = found
    return _known[text]


def spelled_once(text: str) -> str | None:
    """`canonical`, worked out."""
    if foreign(text):
        return None
    molecule = rdkit().MolFromSmiles(text)
    return None if molecule is None or not molecule.GetNumAtoms() else settled(molecule, text)


def settled(molecule: Any, text: str = "") -> str | None:
    """Write, read and write again: what is left of how it was spelled goes with the first writing."""
    clear_maps(molecule)
    seen: list[str] = []
    for _ in range(TRIES):
        written = fragments_in_order(rdkit().MolToSmiles(molecule))
        if written == text:
            return written
        if written in seen:  # RDKit going round in a circle: the same answer from any place on it
            return min(seen[seen.index(written) :])
        seen.append(written)
        text = written
        molecule = rdkit().MolFromSmiles(written)
        if molecule is None:
            return None
    return text


def fragments_in_order(text: str) -> str:
    """Molecules sorted by their text, so that the order in which they were given says nothing."""
    return ".".join(sorted(text.split(".")))


def clear_maps(molecule: Any) -> list[int]:
    """The atom maps, which are gone afterwards."""
    maps: list[int] = []
    for atom in molecule.GetAtoms():
        maps.append(atom.GetAtomMapNum())
        atom.SetAtomMapNum(0)
    return maps


def foreign(text: str) -> str:
    """Why RDKit is not even asked; empty where it is."""
    if not text:
        return "empty"
    if len(text) > LONGEST:
        return f"{len(text):,} characters; at most {LONGEST:,} are read"
    for at, character in enumerate(text, start=1):
        if not "!" <= character <= "~":
            return f"character {at} ({character!r}) belongs to no SMILES"
    return ""


def checked(text: str) -> str:
    """The canonical form, or BadRecord with RDKit's reason."""
    found = canonical(text)
    if found is None:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise BadRecord(f"{shown!r} is no molecule: {reason(text)}")
    return found


def reason(text: str) -> str:
    """What RDKit has against a SMILES."""
    if why := foreign(text):
        return why
    with heard() as messages:
        molecule = rdkit().MolFromSmiles(text, sanitize=False)
    if molecule is None:
        said = next((one for one in messages if "SMILES Parse Error" in one), "it cannot be parsed")
        said = said.split("SMILES Parse Error: ")[-1].split(" while parsing: ")[0].split(" for input: ")[0]
        place = next(
            (one.split("around position ")[1].rstrip(":") for one in messages if "around position " in one), ""
        )
        return said + (f" about character {place}" if place else "")
    try:
        rdkit().SanitizeMol(molecule)
    except ValueError as error:
        return str(error).splitlines()[0]
    return "it holds no atoms" if not molecule.GetNumAtoms() else "it cannot be written and read again"


@contextmanager
def heard() -> Generator[list[str], None, None]:
    """The messages of RDKit meanwhile."""
    rdkit()
    from rdkit import RDLogger, rdBase

    messages: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    log = logging.getLogger("rdkit")
    handlers, propagate = log.handlers[:], log.propagate
    log.handlers, log.propagate = [Keep()], False
    rdBase.LogToPythonLogger()
    RDLogger.EnableLog("rdApp.error")  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield messages
    finally:
        rdBase.LogToCppStreams()
        RDLogger.DisableLog("rdApp.*")  # pyright: ignore[reportAttributeAccessIssue]
        log.handlers, log.propagate = handlers, propagate


@lru_cache(maxsize=1 << 14)
def largest_fragment(text: str) -> str | None:
    """Canonical, by heavy atoms and then by its text; None where the whole is no molecule."""
    whole = canonical(text)
    return None if whole is None else max(whole.split("."), key=lambda part: (heavy_atoms(part), part))


@lru_cache(maxsize=1 << 14)
def heavy_atoms(text: str) -> int:
    """Of a SMILES that is known to be valid."""
    return int(rdkit().MolFromSmiles(text).GetNumHeavyAtoms())


def elements(text: str) -> Counter[str]:
    """Heavy atoms by element; none of what is no molecule."""
    molecule = None if foreign(text) else rdkit().MolFromSmiles(text)
    found: Counter[str] = Counter()
    if molecule is not None:
        found.update(atom.GetSymbol() for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1)
    return found


def missing_atoms(before: str, after: str) -> str:
    """Heavy atoms of the product that the other side has not, as `C2 N`; empty where it has all."""
    lacking = elements(after) - elements(before)
    return " ".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in sorted(lacking.items()))


@lru_cache(maxsize=1 << 14)
def fingerprint(text: str) -> Any:
    """Morgan, radius 2, 2,048 bits (Rogers and Hahn, 2010); None for what is no molecule."""
    molecule = None if foreign(text) else rdkit().MolFromSmiles(text)
    return None if molecule is None else fingerprints().GetFingerprint(molecule)


@lru_cache(maxsize=1)
def fingerprints() -> Any:
    """RDKit's generator of them."""
    rdkit()
    from rdkit.Chem import rdFingerprintGenerator

    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)


def tanimoto(left: str, right: str) -> float:
    """How alike two answers are, 0 to 1; answers that are no molecules are alike where they are equal."""
    from rdkit import DataStructs

    one, other = fingerprint(left), fingerprint(right)
    if one is None or other is None:
        return float(left == right)
    return float(DataStructs.TanimotoSimilarity(one, other))
