"""`python -m benchmarks.validity`: what rules of decoding promise, held against models that know nothing.

In each domain with a rule a model with random weights, which has learned nothing that would help the rule, answers so many
sources under the rule and so many without it, by beams, greedily and by drawing, in turns. Every first answer is judged by the
field's own parser: alignments must spell both sequences to their ends, RDKit must read SMILES, Python's parser programs.
The cost is the time of both, for each token said. Writes benchmarks/results/validity.json, where domains that were measured before
under the same settings stay; 1 where an answer is invalid.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch

from core.config_toml import load
from core.decode.config import SearchConfig
from core.record import Hypothesis, Record
from core.run.answering import Answerer
from core.run.prepared import make_model, make_rule, read_split
from core.settings import run_config
from core.testing.tiny import stir
from core.train.environment import describe
from tasks import TASKS

ROOT = Path(__file__).resolve().parent
RESULT = ROOT / "results" / "validity.json"
TOGETHER = 25
"""Sources answered at a time, with the rule and without in turns."""
NOISE = 0.3
"""Added to every weight, for some begin as what a task knows before any training."""
STRATEGIES = ("beam", "greedy", "sample")


def is_alignment(record: Record, one: Hypothesis) -> bool:
    """A path over both sequences to their ends, whose columns spell them."""
    from tasks.protein_alignment.alignment import consumed, fault, path_of_cigar, spell

    first, second = record.source
    moves = path_of_cigar(one.output) if one.output else ""
    if consumed(moves) != (len(first), len(second)):
        return False
    return not fault(spell(moves, first, second), record.source)


def is_smiles(record: Record, one: Hypothesis) -> bool:
    """RDKit reads it; valences are no matter of grammar."""
    from tasks.reaction_prediction.chemistry import rdkit

    return bool(one.output) and rdkit().MolFromSmiles(one.output, sanitize=False) is not None


def is_python(record: Record, one: Hypothesis) -> bool:
    """A program."""
    from tasks.code_synthesis.canonical import parse

    return parse(one.output) is not None


Judge = Callable[[Record, Hypothesis], bool]
DOMAINS: dict[str, tuple[str, Judge]] = {
    "protein_alignment": ("alignments", is_alignment),
    "reaction_prediction": ("SMILES", is_smiles),
    "code_synthesis": ("Python", is_python),
}


@dataclass
class Tally:
    """Of answers under one condition."""

    answers: int = 0
    invalid: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def tree(self) -> dict[str, Any]:
        """As the result holds it."""
        per = 1e3 * self.seconds / max(self.tokens, 1)
        return {**vars(self), "milliseconds_per_token": per}


def measured(name: str, decodes: int, seed: int) -> dict[str, Any]:
    """One domain: by strategy, with the rule and without."""
    task = TASKS[name]
    cfg = load(run_config(task.config), ROOT.parent / "configs" / name / "tiny.toml", (f"seed={seed}",)).config
    train = read_split(task, cfg, "train").records
    codecs = task.codecs(cfg.task, train)
    model, rule = make_model(task, cfg, codecs).eval(), make_rule(task, cfg, codecs)
    stir(model, NOISE)
    if rule is None:
        raise ValueError(f"{name} has no rule to measure")
    answer = Answerer(task, cfg, codecs, model, rule)
    what, judge = DOMAINS[name]
    found: dict[str, Any] = {"what": what, "records": len(train), "strategies": {}}
    left = islice(cycle(train), decodes)
    for number, strategy in enumerate(STRATEGIES):
        share = decodes // len(STRATEGIES) + (number < decodes % len(STRATEGIES))
        settings = searching(cfg.search, strategy)
        tallies = {"rule": Tally(), "free": Tally()}
        while tallies["rule"].answers < share:
            part = [
                replace(one, key=f"{one.key}-{number}")
                for number, one in enumerate(islice(left, min(TOGETHER, share - tallies["rule"].answers)))
            ]
            for condition, tally in tallies.items():
                asked = answer if condition == "rule" else replace(answer, rule=None)
                tallied(tally, asked, part, settings, judge)
        ruled, free = tallies["rule"].tree(), tallies["free"].tree()
        cost = ruled["milliseconds_per_token"] / free["milliseconds_per_token"]
        found["strategies"][strategy] = {"rule": ruled, "free": free, "cost": cost}
        print(
            f"{what:<12}  {strategy:<8}  {ruled['answers']:>7,}  {ruled['invalid']:>7,}  {free['invalid']:>12,}  {cost:>6.2f} x",
            flush=True,
        )
    return found


def searching(search: SearchConfig, strategy: str) -> SearchConfig:
    """The task's own limits, by another strategy, for one answer."""
    beams = 1 if strategy == "sample" else search.beams
    return replace(search, strategy=strategy, beams=beams, n_best=1, rerank=())  # pyright: ignore[reportArgumentType]


def tallied(tally: Tally, answer: Answerer, records: Sequence[Record], settings: SearchConfig, judge: Judge) -> None:
    """Answer and judge."""
    begun = time.perf_counter()
    predictions = answer.search(records, settings=settings)
    tally.seconds += time.perf_counter() - begun
    for one in predictions:
        best = one.hypotheses[0]
        tally.answers += 1
        tally.tokens += len(best.tokens) + 1
        tally.invalid += not judge(one.record, best)


def kept(path: Path, settings: dict[str, int]) -> dict[str, Any]:
    """The domains of a result with these settings."""
    if not path.is_file():
        return {}
    tree = json.loads(path.read_text(encoding="utf-8"))
    return tree["domains"] if {name: tree.get(name) for name in settings} == settings else {}


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validity", description=__doc__)
    parser.add_argument("--decodes", type=int, default=1000, help="answers in each domain")
    parser.add_argument("--domains", nargs="+", choices=list(DOMAINS), default=list(DOMAINS), help="which")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and the draws")
    parser.add_argument("--output", type=Path, default=RESULT, help="where the figures go")
    given = parser.parse_args(argv)
    if given.decodes < len(STRATEGIES):
        parser.error(f"--decodes: at least {len(STRATEGIES)}")
    torch.set_num_threads(1)
    print(f"{'':<12}  {'':<8}  {'answers':>7}  {'invalid':>7}  {'without rule':>12}  cost of a token")
    found = {name: measured(name, given.decodes, given.seed) for name in given.domains}
    settings = {"decodes": given.decodes, "seed": given.seed}
    found = kept(given.output, settings) | found
    invalid = sum(one["rule"]["invalid"] for domain in found.values() for one in domain["strategies"].values())
    environment = describe(torch.device("cpu"), "fp32")
    tree = {**settings, "invalid": invalid, "domains": found, "environment": environment}
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(tree, indent=1) + "\n")
    print(f"{invalid} invalid answers under rules; written to {given.output}", file=sys.stderr)
    return 1 if invalid else 0


if __name__ == "__main__":
    sys.exit(main())
