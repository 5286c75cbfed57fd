"""Who decodes: our search, Hugging Face's `generate` and CTranslate2, on the same weights.

`python -m benchmarks.speed.engines NAME SIZE THREADS FOLDER` is one of them waiting for its turns.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch

from benchmarks.marian import as_marian
from benchmarks.speed.turns import serve
from benchmarks.speed.workload import LONGEST, SIZES, VOCABULARY, model
from core.codec.types import EOS, PAD, UNK
from core.decode.config import SearchConfig
from core.decode.search import search
from core.decode.workers import side_by_side
from core.errors import ConfigError
from core.native.decoder import native
from core.native.packed import Precision
from core.testing.markov import batch_of

Rows = list[list[int]]


class Engine(Protocol):
    """What decodes."""

    def decode(self, sources: Sequence[Rows], lengths: Sequence[int], beams: int) -> list[Rows]:
        """The best output of each source of each batch, every one of the length given for its batch."""
        ...


class Ours:
    """`core.decode.search`, with a step in torch or a native one."""

    def __init__(self, size: str, threads: int, precision: Precision | None = None) -> None:
        torch.set_num_threads(threads)
        self.model = model(size) if precision is None else native(model(size), precision)
        self.workers = 1 if precision is None else threads

    def decode(self, sources: Sequence[Rows], lengths: Sequence[int], beams: int) -> list[Rows]:
        """One search a batch; those of a native step side by side, where there are threads for it."""

        def said(batch: tuple[Rows, int]) -> Rows:
            cfg = SearchConfig(beams=beams, length_ratio=0.0, length_extra=batch[1])
            return [list(best.tokens) for best, *_ in search(self.model, batch_of(batch[0]), cfg)]

        batches = list(zip(sources, lengths, strict=True))
        return [rows for _, rows in side_by_side(said, batches, self.workers)]


class HuggingFace:
    """MarianMTModel.generate in float32; its settings as in tests/test_hugging_face.py, but for what forced lengths make needless."""

    def __init__(self, size: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.model = as_marian(model(size), SIZES[size], longest=LONGEST)

    @torch.inference_mode()
    def decode(self, sources: Sequence[Rows], lengths: Sequence[int], beams: int) -> list[Rows]:
        """One call a batch."""
        found: list[Rows] = []
        for rows, length in zip(sources, lengths, strict=True):
            width = max(map(len, rows))
            ids = torch.tensor([[*row, *[PAD] * (width - len(row))] for row in rows])
            said = self.model.generate(
                input_ids=ids,
                attention_mask=(ids != PAD).long(),
                max_new_tokens=length,
                num_beams=beams,
                do_sample=False,
            )
            found.append(said[:, 1:].tolist())
        return found


class CTranslate2:
    """A Translator; with several threads as many workers of one thread each, which take the batches between them."""

    def __init__(self, folder: Path, threads: int, compute: Precision) -> None:
        library = importlib.import_module("ctranslate2")
        self.translator = library.Translator(
            str(folder), device="cpu", compute_type=compute, inter_threads=threads, intra_threads=1
        )
        self.threads = threads

    def decode(self, sources: Sequence[Rows], lengths: Sequence[int], beams: int) -> list[Rows]:
        """All batches at once, where there are workers to share them."""
        asked: list[Any] = []
        found: list[Rows] = []
        for rows, length in zip(sources, lengths, strict=True):
            asked.append(
                self.translator.translate_batch(
                    [[str(token) for token in row] for row in rows],
                    beam_size=beams,
                    max_decoding_length=length,
                    asynchronous=True,
                )
            )
            if self.threads == 1:
                found.append(_said(asked.pop()))
        return found + [_said(one) for one in asked]


def _said(results: Sequence[Any]) -> Rows:
    return [[int(token) for token in one.result().hypotheses[0]] for one in results]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What CTranslate2's converter asks of a tokenizer: tokens are their numbers, the last is taken for a pad."""

    eos_token: str = str(EOS)
    unk_token: str = str(UNK)
    bos_token: str = str(EOS)
    pad_token: str = "<pad>"

    def get_vocab(self) -> dict[str, int]:
        """Every token's number."""
        return {**{str(n): n for n in range(VOCABULARY - 1)}, self.pad_token: VOCABULARY - 1}


def convert(size: str, folder: Path) -> Path:
    """Our weights, by way of Hugging Face's form and CTranslate2's own TransformersConverter."""
    marian = as_marian(model(size), SIZES[size], longest=LONGEST)
    marian.save_pretrained(folder / "marian")
    parent: type[Any] = importlib.import_module("ctranslate2.converters").TransformersConverter
    converter = type("Converter", (parent,), {"load_tokenizer": lambda *_, **__: Vocabulary()})(str(folder / "marian"))  # pyright: ignore[reportUnknownLambdaType]
    return Path(converter.convert(str(folder / "ctranslate2")))


PEERS: dict[str, tuple[str, ...]] = {"hf": ("hf",), "ctranslate2": ("ct2-float32", "ct2-int8")}
"""What `--against` may name, and the engines it stands for."""
PACKAGES = {"hf": ("transformers",), "ctranslate2": ("transformers", "ctranslate2")}
OWN = ("torch", "native", "int8")
"""Our own search: its step in torch, in C++, and there with weights of eight bits."""
ENGINES: Mapping[str, Callable[[str, int, Path], Engine]] = {
    "torch": lambda size, threads, _: Ours(size, threads),
    "native": lambda size, threads, _: Ours(size, threads, "float32"),
    "int8": lambda size, threads, _: Ours(size, threads, "int8"),
    "hf": lambda size, threads, _: HuggingFace(size, threads),
    "ct2-float32": lambda _, threads, folder: CTranslate2(folder / "ctranslate2", threads, "float32"),
    "ct2-int8": lambda _, threads, folder: CTranslate2(folder / "ctranslate2", threads, "int8"),
}


def command(name: str, size: str, threads: int, folder: Path) -> list[str]:
    """What starts an engine in a process of its own."""
    return [sys.executable, "-m", "benchmarks.speed.engines", name, size, str(threads), str(folder)]


def check_installed(peers: Sequence[str]) -> None:
    """Refuse to run without a peer that was asked for."""
    for peer in peers:
        for package in PACKAGES[peer]:
            if importlib.util.find_spec(package) is None:
                raise ConfigError(f"--against {peer} needs the package {package}, which `make bench` installs")


def versions(peers: Sequence[str]) -> dict[str, str]:
    """Of the peers' packages."""
    named = {package for peer in peers for package in PACKAGES[peer]}
    return {name: importlib.metadata.version(name) for name in sorted(named)}


def main(argv: Sequence[str]) -> None:
    """One engine, waiting for its turns."""
    warnings.simplefilter("ignore")  # of others' libraries
    name, size, threads, folder = argv

    def make() -> Callable[[Any], list[Rows]]:
        engine = ENGINES[name](size, int(threads), Path(folder))

        def work(request: Any) -> list[Rows]:
            asked = cast(dict[str, Any], request)
            return engine.decode(asked["sources"], asked["lengths"], asked["beams"])

        return work

    serve(make)


if __name__ == "__main__":
    main(sys.argv[1:])
