"""Reactions drawn by RDKit."""

from __future__ import annotations

import math
import re
from io import BytesIO
from typing import Any

from core.record import Prediction
from tasks.reaction_prediction.chemistry import canonical, elements, rdkit
from tasks.reaction_prediction.reaction import ARROW
from tasks.reaction_prediction.written import Answer, direction_of, ranked

HEIGHT, WIDTH, LABEL = 190, 900, 26
"""Of one drawn reaction, and of the line above it, in pixels."""


def reaction_smiles(prediction: Prediction, answer: str) -> str:
    """The whole reaction of which the answer is a part; the reagents over the arrow."""
    sides = ARROW.split(str(prediction.record.source))
    match direction_of(prediction):
        case "forward":
            return f"{sides[0]}>{sides[1] if len(sides) > 1 else ''}>{answer}"
        case "reagents":
            return f"{sides[0]}>{answer}>{sides[-1]}"
        case _:
            return f"{answer}>>{sides[0]}"


def drawn(prediction: Prediction, one: Answer, canvas: Any) -> bool:
    """On RDKit's canvas; whether there was anything to draw."""
    whole = reaction_smiles(prediction, one.smiles)
    if not one.valid or any(side and canonical(side) is None for side in ARROW.split(whole)):
        return False
    rdkit()
    from rdkit.Chem import rdChemReactions

    canvas.drawOptions().padding = 0.02
    canvas.DrawReaction(rdChemReactions.ReactionFromSmarts(whole, useSmiles=True))
    canvas.FinishDrawing()
    return True


def width_of(prediction: Prediction, one: Answer) -> int:
    """Room for its atoms."""
    atoms = sum(sum(elements(side).values()) for side in ARROW.split(reaction_smiles(prediction, one.smiles)) if side)
    return max(360, min(WIDTH, 140 + 14 * atoms))


def svg_of(prediction: Prediction, one: Answer) -> str:
    """One reaction as an <svg> element; empty where it cannot be drawn."""
    rdkit()
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DSVG(width_of(prediction, one), HEIGHT)
    if not drawn(prediction, one, canvas):
        return ""
    text: str = canvas.GetDrawingText()
    return re.sub(r"<\?xml.*?\?>\s*", "", text).strip()


def png_of(prediction: Prediction, one: Answer) -> Any:
    """One reaction as a picture of Pillow's, or None."""
    rdkit()
    from PIL import Image
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas = rdMolDraw2D.MolDraw2DCairo(width_of(prediction, one), HEIGHT)
    if not drawn(prediction, one, canvas):
        return None
    return Image.open(BytesIO(canvas.GetDrawingText())).convert("RGB")


def caption(one: Answer) -> str:
    """What stands above a drawing."""
    shown = chance(one.probability)
    return f"{one.rank}." + (f" probability {shown}" if shown else "") + (f"; {one.warning}" if one.warning else "")


def chance(probability: float) -> str:
    """Three digits; nothing where nobody said."""
    return "" if math.isnan(probability) else f"{probability:.3f}" if probability >= 0.001 else f"{probability:.1e}"


def svg(prediction: Prediction, n_best: int) -> str:
    """All answers of an input, one below the other."""
    parts: list[str] = []
    top = 0
    for one in ranked(prediction, n_best):
        picture = svg_of(prediction, one)
        words = escaped(caption(one) + ("" if picture else f": {shortened(one.smiles)}"))
        parts.append(f'<text x="8" y="{top + 18}" font-family="sans-serif" font-size="14">{words}</text>')
        top += LABEL
        if picture:
            parts.append(re.sub(r"<svg ", f'<svg y="{top}" ', picture, count=1))
            top += HEIGHT
    inside = "\n".join(['<rect width="100%" height="100%" fill="white"/>', *parts])
    size = f'width="{WIDTH}" height="{max(top, LABEL)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size}>\n{inside}\n</svg>'
    )


def png(prediction: Prediction, n_best: int) -> bytes:
    """The same as one picture."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        from core.errors import ConfigError

        raise ConfigError("PNG pictures need Pillow: pip install 'transduce[reaction_prediction]'") from None
    answers = ranked(prediction, n_best)
    pictures = [png_of(prediction, one) for one in answers]
    height = sum(LABEL + (HEIGHT if picture else 0) for picture in pictures)
    whole = Image.new("RGB", (WIDTH, max(height, LABEL)), "white")
    pen, top = ImageDraw.Draw(whole), 0
    for one, picture in zip(answers, pictures, strict=True):
        words = caption(one) + ("" if picture else f": {shortened(one.smiles)}")
        pen.text((8, top + 6), words.encode("ascii", "replace").decode(), fill="black", font_size=14)
        top += LABEL
        if picture:
            whole.paste(picture, (0, top))
            top += HEIGHT
    made = BytesIO()
    whole.save(made, "PNG")
    return made.getvalue()


def shortened(text: str) -> str:
    """For a caption."""
    return text if len(text) <= 80 else text[:77] + "..."


def escaped(text: str) -> str:
    """For XML and HTML, with what XML cannot hold replaced."""
    shown = "".join(one if one >= " " else "\N{REPLACEMENT CHARACTER}" for one in text)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
