"""`python -m tasks check NAME`: every law, held against one task, its data, its configs and the models that these name."""

from __future__ import annotations

import contextlib
import io
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from core.data.copying import Copying
from core.errors import UserError
from core.model.config import ModelConfig
from core.settings import RunConfig
from core.task import Task
from core.testing.config_laws import CONFIG_LAWS, ConfigCase
from core.testing.ctc_laws import CTC_LAWS
from core.testing.model_laws import MODEL_LAWS
from core.testing.search_laws import SEARCH_LAWS
from core.testing.task_case import TaskCase, task_case
from core.testing.task_laws import TASK_LAWS
from core.testing.tiny import ModelCase, Moot, Pair, law_name, model_case, small, spread
from core.testing.training_laws import TRAINING_LAWS, TrainingCase, training_case

C = TypeVar("C")
Claim = tuple[str, Callable[[], None]]
"""A law and what it is held against, in words, and the call that fails if it does not hold."""
PAIRS = 6
"""So many records stand for a task before its models."""


def check(
    task: Task[Any], configs: Sequence[Path], *, report: Callable[[str], None] = print, quick: bool = False
) -> int:
    """How many laws fail. One line each; `quick` leaves out those that train. Data is that of tiny.toml, or of the first config."""
    count = {"ok": 0, "FAILED": 0, "moot": 0}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # at the sizes of laws, more of them only wait for each other
    for name, claim in claims(task, configs, quick=quick):
        begun = time.perf_counter()
        verdict, reason = judged(claim)
        seconds = time.perf_counter() - begun
        count[verdict] += 1
        report(f"{verdict:<6} {seconds:5.1f} s  {name}" + (f": {reason}" if reason else ""))
    torch.set_num_threads(threads)
    moot = f"; {count['moot']} speak of parts that this task does not have" if count["moot"] else ""
    report(f"{task.name}: {count['ok']} laws hold, {count['FAILED']} fail{moot}")
    return count["FAILED"]


def claims(task: Task[Any], configs: Sequence[Path], *, quick: bool) -> Iterator[Claim]:
    """One after the other, so that what cannot be built is itself a law that fails."""
    cases = [ConfigCase(task, path) for path in configs]
    for case in cases:
        yield from laws(CONFIG_LAWS, case, case.path.name)
    loaded = {case.path: cfg for case in cases if (cfg := attempt(case.load)) is not None}
    if not loaded:
        yield "a config file", lambda: refuse(f"{task.name} has no config file that loads: there must be a tiny.toml")
        return
    tiny = next((path for path in loaded if path.name == "tiny.toml"), next(iter(loaded)))
    made: list[TaskCase] = []
    yield (
        f"the data and codecs of {tiny.name} can be had",
        lambda: made.append(task_case(task, loaded[tiny], card_of(task))),
    )
    if not made:
        return
    yield from laws(TASK_LAWS, made[0], tiny.name)
    models: list[ModelCase] = []
    chosen = {path.name: cfg for path, cfg in loaded.items() if path == tiny or not quick}
    yield "the models can be built", lambda: models.extend(model_cases(made[0], chosen))
    for case in models:
        hears = case.make().ctc is not None
        yield from laws((*MODEL_LAWS, *SEARCH_LAWS, *(CTC_LAWS if hears else ())), case, case.name)
    if not quick:
        training: list[TrainingCase] = []
        yield "a short run can be set up", lambda: training.append(training_case(made[0]))
        for case in training:
            yield from laws(TRAINING_LAWS, case, tiny.name)


def laws(them: Sequence[Callable[[C], None]], case: C, subject: str) -> Iterator[Claim]:
    """Each, held against one case."""
    for law in them:
        yield f"{law_name(law)} ({subject})", lambda law=law: law(case)


def judged(claim: Callable[[], None]) -> tuple[Literal["ok", "FAILED", "moot"], str]:
    """Whether it holds, and on one line why not; what it prints is kept back."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            claim()
        except Moot as reason:
            return "moot", str(reason)
        except AssertionError as error:
            return "FAILED", one_line(str(error) or "an assertion without a message")
        except UserError as error:
            return "FAILED", one_line(str(error))
        except Exception as error:
            frame = error.__traceback__
            while frame is not None and frame.tb_next is not None:
                frame = frame.tb_next
            place = f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else ""
            return "FAILED", one_line(f"{type(error).__name__}: {error}{place}")
    return "ok", ""


def one_line(text: str, most: int = 600) -> str:
    """Cut where nobody reads on."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def attempt(load: Callable[[], RunConfig]) -> RunConfig | None:
    """None where a law has already said why."""
    try:
        return load()
    except UserError:
        return None


def refuse(reason: str) -> None:
    """Fail."""
    raise AssertionError(reason)


def card_of(task: Task[Any]) -> dict[str, Any] | None:
    """The card.toml beside the module that defines the task's config."""
    module = sys.modules.get(task.config.__module__)
    place = getattr(module, "__file__", None)
    path = Path(place).parent / "card.toml" if place else None
    return tomllib.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else None


def model_cases(case: TaskCase, configs: Mapping[str, RunConfig]) -> list[ModelCase]:
    """The different models of these files, at a small size, over the task's own records, rule and prefix features."""
    task, cfg = case.task, case.config
    rule = task.rule(cfg.task, case.codecs) if task.rule else None
    features = task.features(cfg.task, case.codecs) if task.features else None
    files: dict[ModelConfig, str] = {}
    for name, one in configs.items():
        files.setdefault(small(one.model), name)
    return [
        model_case(
            f"the {model.kind} of {name}",
            model,
            case.codecs,
            short_pairs(case, copy=model.copies),
            rule=rule,
            features=features,
        )
        for model, name in files.items()
    ]


def short_pairs(case: TaskCase, *, copy: Copying) -> list[Pair]:
    """Records of different lengths, from the shorter half, so that laws stay cheap."""
    records = spread(case.records["train"], 400)
    pairs = sorted(case.pairs(records, copy=copy), key=lambda pair: max(len(pair[0].values), len(pair[1])))
    pairs = [pair for pair in pairs if pair[1]]
    found = spread(pairs[: max(PAIRS, len(pairs) // 2)], PAIRS)
    return found[::2] + found[1::2]
