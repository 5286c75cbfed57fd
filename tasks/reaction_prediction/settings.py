"""The [task] table."""

from __future__ import annotations

from typing import Literal

from core.config import AtLeast1, Impossible, NotNegative, config

Direction = Literal["retro", "forward", "reagents"]


@config
class ReactionConfig:
    """What is asked of a reaction, and how answers are looked for and compared."""

    direction: Direction = "retro"
    """`retro`: product -> reactants; `forward`: reactants (and reagents) -> product; `reagents`: reactants and product -> reagents."""
    reagents: Literal["mixed", "separated", "none"] = "mixed"
    """`forward`: reagents among the reactants, after a `>` of their own, or left out. The field reports mixed and separated apart."""
    augmentation: Literal["none", "random", "root-aligned"] = "none"
    """Training pairs anew each epoch. `random`: a random SMILES of the source, the canonical target. `root-aligned`: a random
    root for the source, and the target written from the atom that it became (Zhong et al., 2022); this needs atom maps, and
    pairs without any have the target as it is."""
    votes: AtLeast1 = 1
    """So many SMILES of each source are answered, and their answers vote (Tetko et al., 2020); 1 asks once."""
    vote_alpha: NotNegative = 1.0
    """An answer at rank r (from 0) of a variant has 1 / (1 + alpha * r) votes of it."""
    follow: bool = True
    """Tell the decoder which symbol of the source would come next, of what it has said so far: most of an answer is copied."""
    rule: bool = True
    """Decode under a rule that keeps brackets, rings and branches parseable."""
    invalid: Literal["removed", "ranked"] = "removed"
    """Whether an answer that is no molecule is passed over by top-k, or takes its place in the ranking."""
    forward_run: str = ""
    """`retro`: a run folder of a forward model; the metric round_trip asks it whether the predicted reactants give the product."""
    reaction_column: str = ""
    """CSV: the column of reaction SMILES; empty: found by its usual names."""
    reactants_column: str = ""
    """CSV: the column of reactants, where sides have columns of their own."""
    reagents_column: str = ""
    """CSV: the column of reagents."""
    product_column: str = ""
    """CSV: the column of the product."""

    def __post_init__(self) -> None:
        if self.votes > 1 and self.augmentation == "none":
            raise Impossible(
                "votes", f"{self.votes} variants of a source need a model trained with task.augmentation, not 'none'"
            )
        if self.forward_run and self.direction != "retro":
            raise Impossible("forward_run", f"a round trip is made from retro predictions, not {self.direction!r}")
