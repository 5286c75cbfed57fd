"""`predict --attention FOLDER/`: where the model looked for each input, as pages, pictures, numbers and alignments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ConfigError, DataError
from core.record import Prediction
from core.report.attended import NO_EXPLANATION, heads, own_sections, several
from core.report.attention import Attention, attend_to
from core.report.examples import ALIGNED, example
from core.report.forced import encoded, needs_decoder, target_ids
from core.report.page import page, text
from core.report.svg import svg
from core.report.words import Aligned
from core.run.folder import write_text
from core.run.stored import StoredRun
from core.run.written import named_once

Look = Callable[[Sequence[Prediction]], None]


@contextmanager
def attention_folder(run: StoredRun, folder: Path | None) -> Generator[Look, None, None]:
    """To be shown every answer; the index and the alignments of all are written at the end."""
    if folder is None:
        yield lambda predictions: None
        return
    needs_decoder(run.model)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--attention {folder}: a file; name a folder")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise ConfigError(f"--attention {folder}: no such folder {folder.parent}")
    folder.mkdir(exist_ok=True)
    looked = Looked(run, folder)
    yield looked
    looked.close()


class Looked:
    """The folder as it grows: KEY.html, KEY.json, KEY.npz and KEY/*.svg of each input."""

    def __init__(self, run: StoredRun, folder: Path) -> None:
        self.run, self.folder, self.name = run, folder, named_once()
        self.rows: list[tuple[str, str, str]] = []
        self.tokens: list[str] = []
        self.words: list[str] = []
        self.times: list[str] = []

    def __call__(self, predictions: Sequence[Prediction]) -> None:
        for one in predictions:
            self.add(one)

    def add(self, prediction: Prediction) -> None:
        """One input; a blank one, or one that was refused, has an empty line among the alignments."""
        record, output = prediction.record, prediction.output
        found, why = None, "nothing was said, so nothing was looked at"
        if not record.meta.get("error") and output.strip():
            try:
                found = self.look(prediction)
            except DataError as reason:  # of an answer that several searches gave, the model cannot read all at once
                why = f"put together from several searches, so there is no one map: {reason}"
        self.tokens.append("" if found is None else found.alignment())
        self.words.append("" if found is None or found.words is None else str(found.words))
        if found is None:
            self.rows.append((record.key, "", why))
            return
        name = self.name(record.key)
        self.times += [f"{record.key}\t{token}\t{begin:.3f}\t{end:.3f}" for token, begin, end in found.times()]
        write_text(
            self.folder / f"{name}.json", json.dumps(numbers(found, record.key, output), ensure_ascii=False) + "\n"
        )
        with (self.folder / f"{name}.npz").open("wb") as file:
            np.savez_compressed(file, weights_LHTS=found.weights_LHTS.astype(np.float32))
        pictures = self.folder / name
        pictures.mkdir(exist_ok=True)
        for one in [found.map(), *several(found), *heads(found)]:
            write_text(pictures / f"{one.name.removeprefix('attention-')}.svg", svg(one, alone=True) + "\n")
        task = self.run.task
        drawn = record if found.words is None else replace(record, meta={**record.meta, ALIGNED: found.words})
        shown = example(replace(prediction, record=drawn), "", task.present, task.present_target)
        shown = f'<div class="examples wide">{shown}</div>'
        whole = page(f"Attention: {record.key}", [shown], own_sections(found), style=task.present_style)
        write_text(self.folder / f"{name}.html", whole)
        self.rows.append((record.key, f"{name}.html", output))

    def look(self, prediction: Prediction) -> Attention | None:
        """Of the best answer's own tokens; an answer that was put together (of pieces, votes) is read as one."""
        run, record, best = self.run, prediction.record, prediction.hypotheses[0]
        longest, tokens = run.config.batch.longest, list(best.tokens)
        if not tokens or len(best.logp) - len(tokens) not in (0, 1):
            source = encoded(record, run.codecs, longest=longest, copy=run.model.copies)
            tokens = target_ids(replace(record, target=best.output), run.codecs, source, run.model.copies)
        found = attend_to(run.model, run.codecs, record, tokens, longest=longest, full=True)
        if found is None:
            raise ConfigError("--attention: the decoder of this run has no attention into the source")
        return found

    def close(self) -> None:
        """What all inputs share."""
        write_text(self.folder / "alignment.tokens.txt", "".join(f"{line}\n" for line in self.tokens))
        if any(self.words):
            write_text(self.folder / "alignment.words.txt", "".join(f"{line}\n" for line in self.words))
        if self.times:
            head = "input\ttoken\tbegin\tend\n"
            write_text(self.folder / "alignment.times.tsv", head + "".join(f"{line}\n" for line in self.times))
        cells = [
            f'<tr><td><a href="{escape(name)}">{escape(key)}</a></td><td><code class="whole">{escape(output)}</code></td></tr>'
            if name
            else f"<tr><td>{escape(key)}</td><td>{escape(output)}</td></tr>"
            for key, name, output in self.rows
        ]
        body = f'<div class="scroll"><table><tr><th>input</th><th>output</th></tr>{"".join(cells)}</table></div>'
        said = (
            "Each page has the maps of its input; beside it lie the same as SVG, as JSON, and the raw weights as NPZ."
        )
        write_text(self.folder / "index.html", page("Attention", [text(said), body, text(NO_EXPLANATION, "note")], ()))
        print(f"{self.folder}/index.html: where the model looked, for {len(self.rows)} inputs", file=sys.stderr)


def together(found: Attention) -> dict[str, np.ndarray]:
    """Float32 [T, S] by how it was put together."""
    hows = ("mean", "max", "rollout", "saliency")
    return {how: found.together(how).astype(np.float32) for how in hows}


def numbers(found: Attention, key: str, output: str) -> dict[str, Any]:
    """All but the raw weights of each layer and head, which are in the NPZ."""
    entropy = found.entropy_LHT
    maps: dict[str, Any] = {how: rounded(values) for how, values in together(found).items()}
    return {
        "id": key,
        "output": output,
        "source": list(found.source),
        "target": list(found.target),
        **maps,
        "coverage": rounded(found.coverage_S),
        "entropy": rounded(entropy),
        "entropy_uniform": float(np.log(max(found.weights_LHTS.shape[-1], 1))),
        "alignment": found.alignment(),
        **({} if found.words is None else {"words": in_words(found.words)}),
        **({"times": found.times()} if found.seconds else {}),
    }


def in_words(found: Aligned) -> dict[str, Any]:
    """The same alignment as word alignment tools have it."""
    return {"alignment": str(found), "source": list(found.source), "target": list(found.target)}


def rounded(values: np.ndarray) -> Any:
    """Five digits behind the point, as nested lists."""
    return np.round(values.astype(float), 5).tolist()
