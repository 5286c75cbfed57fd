"""The rule that keeps SMILES parseable: against RDKit's parser, with and without time to spare."""

import pytest
import torch
from torch import Tensor

from core.codec.types import BOS, EOS, as_encoded
from core.data.batch import Batch, collate
from core.decode.constraints import teacher_forced
from tasks.reaction_prediction.brackets import automaton
from tasks.reaction_prediction.chemistry import canonical, rdkit
from tasks.reaction_prediction.codec import SmilesTokenizer
from tasks.reaction_prediction.rule import DEPTH, SmilesRule
from tasks.reaction_prediction.toy import reactions

CODEC = SmilesTokenizer.fit(["[C@@H](N)[N+](=O)[O-]", "[nH]", "C[Si](C)C"])
RULE = SmilesRule(CODEC)


def parsed(text: str) -> bool:
    """Whether RDKit's grammar has it; valences are another matter."""
    return rdkit().MolFromSmiles(text, sanitize=False) is not None


def batch_of(texts: list[str]) -> Batch:
    return collate([as_encoded([5])] * len(texts), [CODEC.encode(text) for text in texts], range(len(texts)))


def refused(text: str, limit: int | None = None) -> str | None:
    """The first symbol that the rule forbids (`end` is EOS), or None."""
    batch = batch_of([text])
    legal_BTV = teacher_forced(RULE, batch, None if limit is None else torch.tensor([limit]))
    for t, token in enumerate(batch.wanted_BT[0].tolist()):
        if not legal_BTV[0, t, token]:
            return "end" if token == EOS else CODEC.label(token)
    return None


@pytest.mark.parametrize(
    "text",
    [
        "C",
        "CC(C)(C)OC(=O)n1ccc2cc(C(C)=O)ccc21",
        "C1CC12CC2",
        "C1CCC11CC1",
        "F/C=C/F.[Na+].[Cl-]",
        "[13CH4]",
        "[2H]C",
        "C%12CCC%12",
        "C=1CCCCC=1",
        "[NH3]->[Fe+2]",
        "N[C@@H](C)C(=O)O",
        "[C@@](F)(Cl)(Br)I",
        "[Pt@SP1](Cl)(Cl)(N)N",
        "*c1ccccc1",
        "[se]1cccc1",
        "C(C(C(C)C)C)C",
        "C0CC0",
    ],
)
def test_what_rdkit_reads_is_legal(text: str) -> None:
    assert parsed(text)
    assert refused(text) is None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", "end"),
        ("C(", "end"),
        ("C(C", "end"),
        ("C)", ")"),
        ("C()", ")"),
        ("C((C))", "("),
        ("(C)", "("),
        ("C1CC", "end"),
        ("C11", "1"),
        ("C1C1", "1"),
        ("C12CCC12", "2"),
        ("1CC1", "1"),
        ("C(1CC1)", "1"),
        ("C==C", "="),
        ("=C", "="),
        ("C=", "end"),
        ("C=(C)C", "("),
        ("C.", "end"),
        ("C..C", "."),
        ("C(.C)", "."),
        ("[C", "end"),
        ("[Xx]", "x"),
        ("[]", "]"),
        ("[C@@@H]", "@"),
        ("[H@]", "@"),
        ("[012C]", "1"),
        ("[C+-]", "-"),
        ("[CH4:1]", ":"),
        ("C]", "]"),
        ("C>C", ">"),
        ("H", "H"),
        ("X", "X"),
    ],
)
def test_what_rdkit_cannot_read_is_stopped(text: str, at: str) -> None:
    assert refused(text) == at
    if text and text not in ("[CH4:1]", "C>C"):
        assert not parsed(text)


def test_every_toy_answer_is_legal_even_with_no_token_to_spare() -> None:
    answers = [one.reactants for one in reactions()[::50]]
    for text in answers:
        assert refused(text) is None
        assert refused(text, len(CODEC.encode(text)) + 1) is None, "with just enough room"


def test_branches_do_not_grow_without_end() -> None:
    assert refused("C(" * DEPTH + "C" + ")" * DEPTH) is None
    assert refused("C(" * (DEPTH + 1) + "C" + ")" * (DEPTH + 1)) == "("


def walk(seed: int, weight_V: Tensor, longest: int) -> list[tuple[str, int]]:
    """Random answers drawn from what is legal, each with a limit of its own: (text, limit); all of them end."""
    random = torch.Generator().manual_seed(seed)
    B = 64
    batch = batch_of(["C"] * B)
    limit_B1 = torch.randint(2, longest, (B, 1), generator=random)
    state, token_B1 = RULE.start(batch, 1), torch.full((B, 1), BOS)
    said: list[list[int]] = [[] for _ in range(B)]
    over = [False] * B
    for t in range(longest):
        state, legal_B1V = RULE.step(state, token_B1, (limit_B1 - t).clamp(min=1))
        weight_BV = legal_B1V[:, 0] * weight_V
        for row in range(B):
            assert over[row] or weight_BV[row].any(), (
                f"{CODEC.decode(said[row])!r} cannot go on, {limit_B1[row, 0] - t}"
            )
        token_B1 = torch.multinomial(weight_BV + 1e-30 * (weight_BV.sum(-1, keepdim=True) == 0), 1, generator=random)
        for row, token in enumerate(token_B1[:, 0].tolist()):
            over[row] = over[row] or token == EOS
            if not over[row]:
                said[row].append(token)
                assert len(said[row]) < limit_B1[row, 0]
    assert all(over)
    return [(CODEC.decode(ids), int(limit)) for ids, limit in zip(said, limit_B1[:, 0], strict=True)]


@pytest.mark.parametrize(("rings", "branches", "brackets"), [(0.1, 5, 2), (4, 20, 1), (2, 30, 30), (10, 2, 0.5)])
def test_random_legal_answers_parse_and_end_in_time(rings: float, branches: float, brackets: float) -> None:
    weight_V = torch.ones(CODEC.size)
    for number, symbol in enumerate(CODEC.symbols, start=4):
        if symbol.isdigit() or symbol[0] == "%":
            weight_V[number] = rings
        elif symbol in "()":
            weight_V[number] = branches
        elif symbol == "[":
            weight_V[number] = brackets
        elif symbol in "CNOc.":
            weight_V[number] = 8
    texts = [one for seed in range(3) for one in walk(seed, weight_V, 50)]
    broken = [text for text, _ in texts if not parsed(text)]
    assert not broken, broken[:5]
    assert len({text for text, _ in texts}) > 150
    assert sum(canonical(text) is None for text, _ in texts) > 0, "valences are not the rule's business"


def test_a_rule_stands_being_fed_what_is_over() -> None:
    batch = batch_of(["C", "C"])
    state = RULE.start(batch, 3)
    for token in (BOS, EOS, EOS, 0, 0, 3, CODEC.size + 5):
        state, legal_BKV = RULE.step(state, torch.full((2, 3), token), torch.full((2, 3), 5))
        assert legal_BKV.shape == (2, 3, CODEC.size)


def test_every_state_within_brackets_leads_out() -> None:
    made = automaton()
    assert len(made.moves) == len(made.left) < 400
    assert min(made.left) == 1
    assert made.left[0] == 2, "an element and the bracket"
