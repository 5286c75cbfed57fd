"""Runs that are signed: what a reader refuses, and that it answers with what was signed and nothing else."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import signature
from core.cli import dispatch
from core.errors import ConfigError, DataError
from core.signature import sign, trusted, verify
from tasks.__main__ import main
from tasks.roman import TASK

OPENSSH = serialization.Encoding.OpenSSH


def key_pair(folder: Path, name: str, seed: int, password: bytes = b"") -> Path:
    """As ssh-keygen leaves them: NAME and NAME.pub."""
    secret = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8 if password else serialization.PrivateFormat.OpenSSH
    path = folder / name
    path.write_bytes(secret.private_bytes(serialization.Encoding.PEM, form, locked))
    public = secret.public_key().public_bytes(OPENSSH, serialization.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b" someone\n")
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    key_pair(folder, "own", 1)
    key_pair(folder, "other", 2)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Path:
    folder = tmp_path_factory.mktemp("roman") / "run"
    config = Path(__file__).parents[2] / "configs" / "roman" / "tiny.toml"
    short = ("train.steps=2", "train.evaluate_every=2", "train.evaluate_records=4", "save.every=2", "save.shard_mib=1")
    assert dispatch("train", lambda: TASK, "roman", [str(config), *short, "--run", str(folder)]) == 0
    sign(folder, keys / "own")
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def predict(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"12\n7\n")))
    capsys.readouterr()
    code = dispatch("predict", lambda: TASK, "roman", words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_signed_run_answers_as_it_does_without(
    run: Path, keys: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = predict(capsys, monkeypatch, str(run), "--format", "jsonl")
    held = predict(capsys, monkeypatch, str(run), "--format", "jsonl", "--require-signature", str(keys / "own.pub"))
    assert plain[0] == held[0] == 0
    assert plain[1] == held[1]
    assert len(plain[1].splitlines()) == 2


def test_any_of_the_keys_will_do(run: Path, keys: Path, tmp_path: Path) -> None:
    both = tmp_path / "keys"
    both.write_bytes(b"# nobody\n" + (keys / "other.pub").read_bytes() + (keys / "own.pub").read_bytes())
    assert verify(run, both).by == verify(run, keys / "own.pub").by


def swapped(run: Path) -> None:
    """Two of the files that are listed change places: the digests are all still there."""
    best, last = run / "checkpoints/best/trainer.json", run / "checkpoints/best/config.json"
    one, other = best.read_bytes(), last.read_bytes()
    best.write_bytes(other)
    last.write_bytes(one)


def flipped(run: Path) -> None:
    path = next((run / "checkpoints/best").glob("weights*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def rewritten(run: Path) -> None:
    """Another key in the file, as one who signs it anew for himself would leave it, but with the old signature."""
    tree = json.loads((run / signature.NAME).read_text())
    tree["files"]["config.toml"]["bytes"] += 1
    (run / signature.NAME).write_text(json.dumps(tree))


def left_out(run: Path) -> None:
    tree = json.loads((run / signature.NAME).read_text())
    del tree["files"]["config.toml"]
    (run / signature.NAME).write_text(json.dumps(tree))


def edited(run: Path) -> None:
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("beams", "beams "))


def added(run: Path) -> None:
    (run / "precision.json").write_text("{}")


def linked(run: Path) -> None:
    (run / "config.toml").rename(run.parent / "config.toml")
    (run / "config.toml").symlink_to(run.parent / "config.toml")


def piped(run: Path) -> None:
    (run / "config.toml").unlink()
    os.mkfifo(run / "config.toml")


def sharded(run: Path) -> None:
    (run / "checkpoints/best/weights-00002-of-00002.safetensors").write_bytes(b"")


def beside(run: Path) -> None:
    (run / "checkpoints/best").rename(run / "checkpoints/best.old")


SPOILED: list[tuple[Callable[[Path], object], str]] = [
    (lambda run: (run / signature.NAME).unlink(), "is not signed"),
    (lambda run: (run / signature.NAME).write_text("{}"), "no signature of a run"),
    (lambda run: (run / signature.NAME).write_text("[" * 100_000), "no signature of a run"),
    (lambda run: (run / signature.NAME).write_bytes(b" " * (2 << 20)), "at most 1,048,576"),
    (lambda run: (run / "config.toml").unlink(), "No such file"),
    (swapped, "config.json: not what was signed"),
    (flipped, "not what was signed"),
    (rewritten, "changed since"),
    (left_out, "changed since"),
    (edited, "config.toml"),
    (added, "precision.json: not among"),
    (linked, "config.toml"),
    (piped, "not a regular file"),
    (sharded, "not among the files"),
    (beside, "best.old"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILED, ids=[getattr(one, "__name__", said) for one, said in SPOILED])
def test_whatever_changed_is_refused_and_named(
    run: Path, keys: Path, spoil: Callable[[Path], object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(run)
    with pytest.raises(DataError, match=said):
        verify(run, keys / "own.pub")
    with pytest.raises(DataError, match=said), trusted(run, keys / "own.pub"):
        pass
    if (run / "config.toml").is_file():
        code = dispatch("predict", lambda: TASK, "roman", [str(run), "--require-signature", str(keys / "own.pub")])
        assert code == 3
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_another_key_is_not_enough(run: Path, keys: Path) -> None:
    with pytest.raises(DataError, match="not signed by SHA256:"):
        verify(run, keys / "other.pub")
    sign(run, keys / "other")
    verify(run, keys / "other.pub")
    with pytest.raises(DataError, match="not signed by SHA256:"):
        verify(run, keys / "own.pub")


def test_names_that_lead_out_are_not_followed(run: Path, keys: Path, tmp_path: Path) -> None:
    """Not even where the right key has signed them."""
    secret = signature.private_key(keys / "own")
    for name in ("../secret", "/etc/passwd", "a/../../secret", "a//b", "a\nb", ""):
        tree: dict[str, Any] = json.loads((run / signature.NAME).read_text())
        tree["files"][name] = signature.entry(b"")
        signed = secret.sign(signature.PURPOSE + signature.statement(tree["files"]))
        tree["signature"] = signature.base64.b64encode(signed).decode()
        (run / signature.NAME).write_text(json.dumps(tree))
        with pytest.raises(DataError, match="no name of a run's file"):
            verify(run, keys / "own.pub")
        sign(run, keys / "own")


def test_what_is_read_is_what_was_compared(run: Path, keys: Path) -> None:
    """A file that is exchanged after the look is not the one that is used."""
    with trusted(run, keys / "own.pub") as copy:
        wanted = (run / "config.toml").read_bytes()
        (run / "config.toml").write_bytes(b"exchanged")
        assert (copy / "config.toml").read_bytes() == wanted
        assert copy.parent.stat().st_mode & 0o077 == 0
        left = copy
    assert not left.exists()


def test_what_is_no_key_is_said(run: Path, keys: Path, tmp_path: Path) -> None:
    curve = generate_private_key(SECP256R1())
    wrong = tmp_path / "curve"
    wrong.write_bytes(
        curve.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    with pytest.raises(ConfigError, match="not an Ed25519 key"):
        sign(run, wrong)
    with pytest.raises(ConfigError, match="no private key"):
        sign(run, keys / "own.pub")
    with pytest.raises(ConfigError, match="has a passphrase"):
        sign(run, key_pair(tmp_path, "locked", 3, b"secret"))
    with pytest.raises(ConfigError, match="No such file"):
        verify(run, tmp_path / "none.pub")
    with pytest.raises(ConfigError, match="holds no line such as"):
        verify(run, keys / "own")


def test_the_command(run: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", str(run), "--key", str(keys / "own")]) == 0
    assert main(["verify", str(run), "--key", str(keys / "own.pub")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == said[1]
    assert "files signed by SHA256:" in said[0]
    assert main(["verify", str(run), "--key", str(keys / "other.pub")]) == 3
    assert main(["verify", str(run)]) == 2
    assert main(["sign", str(tmp_path / "none"), "--key", str(keys / "own")]) == 2
    assert main(["sign", str(tmp_path), "--key", str(keys / "own")]) == 2


def test_what_would_not_be_looked_at_is_refused(run: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--require-signature", str(keys / "own.pub")]
    rerank = f'search.rerank=["run:{run}"]'
    assert dispatch("predict", lambda: TASK, "roman", [str(run), rerank, *own]) == 2
    assert "whose signature nobody looks at" in capsys.readouterr().err
    assert (
        dispatch("evaluate", lambda: TASK, "roman", [str(run), "search.engine=native", "search.precision=int8", *own])
        == 2
    )
    assert "measured in RUN itself" in capsys.readouterr().err
