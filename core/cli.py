"""From words to a verb: everything is checked before torch is imported, and a user's mistake is one line.

A verb is one entry of VERBS: what it takes, and the function that reads its words and runs it.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from core import completion, help
from core.config import Impossible
from core.config_shape import fields_of
from core.config_toml import Loaded, is_override, load, show
from core.data.noise import listed
from core.data.text_noise import TEXT_NOISES
from core.errors import ConfigError, DataError, Interrupted, UserError
from core.flags import HELP, SHELLS, Flag, Words, taken_apart
from core.idle import refuse_idle
from core.looking import LOOKING
from core.nearest import did_you_mean
from core.settings import RunConfig, run_config
from core.task import Task
from core.train.signals import AskedToStop, ending_cleanly
from core.words import CHANGEABLE, SIGNED, Verb, default_config, run_folder, settings, signed, stored_config

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 85}
"""85 asks a batch system to queue the job again."""
STORAGE = (
    errno.EACCES,
    errno.EPERM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


@dataclass(frozen=True, slots=True)
class TrainArguments:
    """What `train` was told."""

    config: Loaded[RunConfig] | None
    """None: go on with the stored one."""
    run: Path | None
    resume: bool
    show: bool
    dry_run: bool
    config_path: Path | None
    force: tuple[str, ...] = ()
    """Fields that may have changed since the run was saved."""


@dataclass(frozen=True, slots=True)
class EvaluateArguments:
    """What `evaluate` was told."""

    run: Path | None
    """None where outputs are given."""
    split: Literal["dev", "test"]
    data: Path | None
    json: Path | None
    overrides: tuple[str, ...]
    predictions: Path | None = None
    """Anyone's outputs, to be scored in place of a run's."""
    by: str | None = None
    """One of the task's breakdowns."""
    others: tuple[Path, ...] = ()
    """Runs that decide together with this one."""
    config: Loaded[RunConfig] | None = None
    """Of outputs without a run."""
    noise: tuple[str, ...] = ()
    """Perturbations under which the run is scored as well."""
    noise_seed: int = 1


@dataclass(frozen=True, slots=True)
class PredictArguments:
    """What `predict` was told."""

    run: Path
    inputs: tuple[str, ...]
    """Files in order; `-` is standard input, as is none at all."""
    output: Path | None
    format: str | None
    n_best: int | None
    overrides: tuple[str, ...]
    folder: bool = False
    """`--output` names a folder, for a file an input."""
    stream: bool = False
    """Answer standard input record by record, as it comes."""
    others: tuple[Path, ...] = ()
    """Runs that decide together with this one."""
    attention: Path | None = None
    """A folder for where the model looked."""
    tokens: bool = False
    """Write each answer of the stream while it is being found."""
    abstain: float | None = None
    """Answers that are less probable than this are left blank."""


def train(task: Task[Any], words: Words) -> int:
    """Read, check, and go."""
    arguments = train_arguments(task, words)
    if arguments.show and arguments.config is not None:
        print(show(arguments.config), end="")
        return 0
    from core.run import train

    return train(task, arguments)


def train_arguments(task: Task[Any], words: Words) -> TrainArguments:
    """With the config loaded and valid; `--resume` without CONFIG takes the stored one where there is one."""
    overrides, rest = settings(words.plain)
    given: Path | None = None
    for word in rest:
        if not word.endswith(".toml"):
            raise ConfigError(f"{word}: neither a CONFIG.toml nor key=value nor a flag")
        if given is not None:
            raise ConfigError(f"{word}: one CONFIG is enough, {given} was given before")
        given = Path(word)
    run, resume, asked = words.path("--run"), words.on("--resume"), words.on("--show")
    if words.on("--run-folder"):
        if run is not None:
            raise ConfigError("--run-folder: is --run; one of them is enough")
        run = words.path("--run-folder")
    stored = run / "config.toml" if run else None
    kind = run_config(task.config)
    config, path = None, given
    if resume and given is None and stored is not None and stored.is_file():
        loaded = stored_config(task, stored, overrides)
        config = loaded if overrides or asked else None
    elif resume and given is None and run is None:
        if overrides or asked:
            raise ConfigError("--resume: name a CONFIG or --run to show it or to compare key=value with it")
    else:
        path = given or default_config(task)
        config = load(kind, path, overrides)
        refuse_idle(config)
    force = tuple(one.strip() for one in words.flags.get("--force", "").split(",") if one.strip())
    if force and not resume:
        raise ConfigError("--force goes with --resume: nothing has changed of a run that begins")
    return TrainArguments(config, run, resume, asked, words.on("--dry-run"), path, force)


def evaluate(task: Task[Any], words: Words) -> int:
    """Read, check, and go."""
    overrides, rest = settings(words.plain)
    outputs, noise = words.path("--predictions"), words.flags.get("--noise", "")
    if noise == "list":
        print("\n".join(listed(TEXT_NOISES if task.noises is None else task.noises)))
        return 0
    if noise and outputs is not None:
        raise ConfigError("--noise asks a run again; outputs in a file are what they are")
    if "--noise-seed" in words.flags and not noise:
        raise ConfigError("--noise-seed: goes with --noise")
    alone = outputs is not None and not rest
    config = load(run_config(task.config), default_config(task), overrides) if alone else None
    run = None if alone else run_folder(task, rest, overrides)
    if len(rest) > 1:
        raise ConfigError(f"{rest[1]}: one RUN at a time; your own data is --data {rest[1]}")
    split: Literal["dev", "test"] = "test" if words.flags.get("--split") == "test" else "dev"
    precision = any(one.partition("=")[0].strip() == "search.precision" for one in overrides)
    if words.on(SIGNED.name) and (run is None or precision):
        raise ConfigError(
            f"{SIGNED.name}: goes with a RUN, and without search.precision, which is measured in RUN itself"
        )
    from core.run import evaluate

    def evaluated(run: Path | None, others: tuple[Path, ...]) -> int:
        arguments = EvaluateArguments(
            run,
            split,
            words.path("--data"),
            words.path("--json"),
            overrides,
            predictions=outputs,
            by=words.flags.get("--by"),
            others=others,
            config=config,
            noise=tuple(one.strip() for one in noise.split(",") if one.strip()),
            noise_seed=words.whole_number("--noise-seed", least=1) or 1,
        )
        return evaluate(task, arguments)

    if run is None:
        return evaluated(None, words.paths("--with"))
    with signed(task, words, run, overrides) as (trusted, others):
        return evaluated(trusted, others)


def predict(task: Task[Any], words: Words) -> int:
    """Read, check, and go."""
    overrides, rest = settings(words.plain)
    n_best = words.whole_number("--n-best", least=1)
    run = run_folder(task, rest, overrides)
    inputs = tuple(rest[1:])
    if inputs.count("-") > 1:
        raise ConfigError("-: standard input can be read once")
    output, form = words.path("--output"), words.flags.get("--format")
    stream = words.on("--stream")
    if stream and inputs not in ((), ("-",)):
        raise ConfigError(f"--stream listens to standard input; {inputs[0]} is a file")
    folder = output is not None and (output.is_dir() or words.flags["--output"].endswith("/"))
    looks, tokens = words.path("--attention"), words.on("--tokens")
    if tokens and (
        not stream or n_best not in (None, 1) or any(words.on(one) for one in ("--output", "--attention", "--abstain"))
    ):
        raise ConfigError("--tokens goes with --stream, and not with --output, --attention, --abstain or --n-best")
    abstain = words.share("--abstain")
    from core.run import predict

    with signed(task, words, run, overrides) as (trusted, others):
        arguments = PredictArguments(
            trusted, inputs, output, form, n_best, overrides, folder, stream, others, looks, tokens, abstain
        )
        return predict(task, arguments)


VERBS: dict[str, Verb] = {
    "train": Verb(
        "Train a model, or go on training one.",
        "[CONFIG.toml] [key=value ...] [flags]",
        (
            Flag("--run", "the run folder; default: a new one under runs/", "DIR"),
            Flag("--run-folder", "the same, under torchrun, which takes --run for a flag of its own", "DIR"),
            Flag("--resume", "go on with --run, else with the newest unfinished run"),
            Flag("--force", "with --resume: go on though these have changed: threads,data.train,train.lr", "FIELDS"),
            Flag("--show", "print the resolved config and where each value came from"),
            Flag("--dry-run", "build everything, try one step, say what it would cost"),
        ),
        (
            "CONFIG defaults to configs/{task}/default.toml. key=value overrides it: train.steps=1000.",
            "Ctrl-C saves and says how to go on. Exit codes: 0 done, 2 usage, 3 data, 4 numbers, 130 stopped.",
        ),
        ("configs/{task}/tiny.toml --run runs/first", "train.steps=2000 model.kind=rnn --show"),
        train,
    ),
    "evaluate": Verb(
        "Score a run on held-out data.",
        "[RUN] [key=value ...] [flags]",
        (
            Flag("--split", "which part of the run's data; default: dev", "SPLIT", ("dev", "test")),
            Flag("--data", "your own data: a file, or a folder", "PATH"),
            Flag("--predictions", "score the outputs in this file; RUN may then be left out", "FILE"),
            Flag("--by", "break the scores down: by identity band, ..., by what training has `seen`", "NAME"),
            Flag("--with", "other runs that decide together with this one", "RUN,RUN"),
            Flag("--noise", "score again with sources perturbed: typos,drop@0.2; `list` shows all", "NAMES"),
            Flag("--noise-seed", "which noise; default: 1, the same for every run", "N"),
            Flag("--json", "write the scores there", "OUT"),
            SIGNED,
        ),
        ("key=value changes how it decodes: search.beams=1, train.device=cpu.",),
        ("runs/first --split test --json scores.json", "--predictions theirs.jsonl --data mine.jsonl"),
        evaluate,
    ),
    "predict": Verb(
        "Answer inputs, one answer each, in order.",
        "RUN [INPUT ... | -] [key=value ...] [flags]",
        (
            Flag("--output", "write there, not to standard output; FOLDER/: a file an input", "OUT"),
            Flag("--format", "jsonl has scores; other formats are the task's", "FORMAT"),
            Flag("--n-best", "so many answers an input; as text N lines each, blank where there are fewer", "N"),
            Flag("--stream", "answer standard input as it arrives"),
            Flag("--abstain", "leave answers blank of which the run is less sure than P", "P"),
            Flag("--tokens", "with --stream: write each answer while it is being found"),
            Flag("--with", "other runs that decide together with this one", "RUN,RUN"),
            Flag("--attention", "write there where the model looked: maps, numbers, alignments", "FOLDER"),
            SIGNED,
        ),
        (
            "Inputs are in the task's own formats or JSONL, told by the ending; a folder stands for the files",
            "in it; - or none: standard input.",
        ),
        ("runs/first inputs.txt", "runs/first - --format jsonl --n-best 5 search.beams=10"),
        predict,
    ),
    **LOOKING,
}


def main(verb: str, task: Task[Any], argv: Sequence[str] | None = None) -> int:
    """For `python -m tasks.<name>.<verb>`; returns the exit code."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"python -m {spec.name}" if spec and spec.name.endswith(f".{verb}") else None
    return dispatch(verb, lambda: task, task.name, sys.argv[1:] if argv is None else argv, program=program)


def dispatch(
    verb: str, load_task: Callable[[], Task[Any]], name: str, argv: Sequence[str], *, program: str | None = None
) -> int:
    """Run a verb; the task is loaded only when it is needed. Returns the exit code, having said what went wrong."""
    try:
        with ending_cleanly():
            code = run_verb(verb, load_task, name, argv, program or f"python -m tasks {verb} {name}")
        sys.stdout.flush()
        return code
    except UserError as error:
        return said(str(error), error.exit_code)
    except Impossible as error:
        return said(str(error), ConfigError.exit_code)
    except Interrupted as stop:
        return exit_code(stop.signal_number)
    except AskedToStop as stop:
        return said(str(stop), exit_code(stop.signal_number))
    except KeyboardInterrupt:
        return said("stopped", EXIT_CODES["SIGINT"])
    except BrokenPipeError:  # `| head`: nobody reads any more, which is no mistake
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in STORAGE:
            raise
        return said(f"{error.filename or 'writing'}: {error.strerror}", DataError.exit_code)


def run_verb(verb: str, load_task: Callable[[], Task[Any]], name: str, argv: Sequence[str], program: str) -> int:
    """Help needs no task, the list of keys does, the rest is the verb's."""
    if verb not in VERBS:
        raise ConfigError(f"{verb}: no such verb; one of {', '.join(VERBS)}{did_you_mean(verb, VERBS)}")
    this = VERBS[verb]
    words = taken_apart(argv, this.flags, is_override)
    if words.on("--help"):
        notes, examples = ([one.replace("{task}", name) for one in part] for part in (this.notes, this.examples))
        print(help.page(program, this.summary, this.usage, this.flags, notes, examples), end="")
        return 0
    if words.on("--completion"):
        print(completion_script(words.flags["--completion"]), end="")
        return 0
    task = load_task()
    keys = list(fields_of(cast("type", run_config(task.config))))
    if words.on("--help-all"):
        print(help.all_keys(keys), end="")
        return 0
    if words.on("--keys"):
        shown = [one.key for one in keys if verb == "train" or one.key.startswith((*CHANGEABLE, *task.changeable))]
        print("\n".join(dict.fromkeys(shown)))
        return 0
    return this.run(task, words)


def exit_code(signal_number: int) -> int:
    """Of a verb that this signal ended."""
    return EXIT_CODES.get(signal.Signals(signal_number).name, 128 + signal_number)


def completion_script(shell: str) -> str:
    """Of all verbs."""
    if shell not in SHELLS:
        raise ConfigError(f"--completion {shell}: must be one of {', '.join(SHELLS)}")
    return completion.script(shell, {name: (*verb.flags, *HELP) for name, verb in VERBS.items()})


def said(message: str, code: int) -> int:
    """To standard error: one line, but for a plugin's own traceback."""
    print(f"error: {message}", file=sys.stderr)
    return code
