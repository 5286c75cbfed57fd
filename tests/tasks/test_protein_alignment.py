"""Protein alignment: alignments as text, the rule, the look ahead, and the scores. Nothing here needs a network."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.codec.types import EOS
from core.data.batch import Batch, collate
from core.decode.constraints import UNLIMITED, teacher_forced
from core.doctor.examine import doctor
from core.errors import BadRecord, DataError
from core.record import Hypothesis, Prediction, Record
from tasks.protein_alignment import TASK
from tasks.protein_alignment.alignment import (
    canonical,
    canonical_path,
    cigar_of,
    consumed,
    fault,
    identity,
    path_of,
    path_of_cigar,
    rows_from,
    rows_of,
    spell,
    spelled,
)
from tasks.protein_alignment.codec import MOVES, ColumnCodec, ResidueCodec, read_as
from tasks.protein_alignment.config import AlignmentConfig
from tasks.protein_alignment.lookahead import NEVER, ahead, skewed
from tasks.protein_alignment.metrics import compared, identity_band
from tasks.protein_alignment.needleman_wunsch import needleman_wunsch
from tasks.protein_alignment.pairwise import facts
from tasks.protein_alignment.rule import LegalMoves
from tasks.protein_alignment.toy import family
from tasks.protein_alignment.values import read, read_target

# B batch, T target, V vocabulary, N residues of the first sequence and one more, M of the second

MOVE_OF = {token: move for move, token in MOVES.items()}
walks = st.text(alphabet="MDI", min_size=1, max_size=12).map(canonical_path)


def batch_of(*pairs: tuple[str, str], moves: list[str] | None = None) -> Batch:
    targets = None if moves is None else [[MOVES[one] for one in path] for path in moves]
    return collate([ResidueCodec().encode(pair) for pair in pairs], targets, range(len(pairs)))


def sequences_of(moves: str) -> tuple[str, str]:
    first, second = consumed(moves)
    return "A" * first, "C" * second


@given(walks)
def test_a_path_is_a_cigar_is_rows(moves: str) -> None:
    first, second = "ARNDCQEGHILKMFPSTWYV"[: consumed(moves)[0]], "vytsw*xbzuojKRHDEGAP"[: consumed(moves)[1]]
    rows = spell(moves, first, second)
    assert fault(rows, (first, second)) == ""
    assert path_of(*rows) == moves == path_of_cigar(cigar_of(moves))
    assert rows_from("\n".join(rows), (first, second), exact=True) == rows
    assert rows_from(cigar_of(moves), (first, second)) == rows
    assert ColumnCodec().decode(ColumnCodec().encode("\n".join(rows))) == cigar_of(moves)


def test_neighbouring_gaps_have_one_order() -> None:
    assert path_of("A-C-E", "-BCD-") == "DIMDI"
    assert path_of("-AC", "B-C") == "DIM"
    assert canonical("-AC\nB-C") == "A-C\n-BC"
    assert canonical("A.C~\n-BCD") == "A-C-\n-BCD"
    assert canonical("AC\nBCD") is None
    assert canonical("2I3M1D") == "2I3M1D"
    assert canonical("1I2D1M") == "2D1I1M"
    assert canonical("A-C-\nA-C-\nABC-") == "A-C\nA-C\nABC"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("",), "no columns"),
        (("AC", "A"), "rows of 2, 1 columns"),
        (("AC", "A1"), "row 2: '1' at position 2 is no residue"),
        (("AC-", "A-D", "---"), "3 rows for 2 sequences"),
        (("ac", "AD"), "row 1 does not spell its sequence"),
        (("AC-", "AD-"), "a column of gaps alone"),
    ],
)
def test_what_is_no_alignment_says_why(rows: tuple[str, ...], said: str) -> None:
    assert said in fault(rows, ("AC", "AD"))


def test_answers_of_other_tools_are_found_in_any_order_and_case() -> None:
    source = ("MKv", "MKAV", "MV")
    answer = "mk-v\nMKAV\nM--V"
    assert rows_from("M..V\nMK.V\nMKAV", source) == ("MK-V", "MKAV", "M--V")
    assert rows_from(answer, source) == ("mk-v", "MKAV", "M--V")
    assert rows_from(answer, source, exact=True) is None
    assert rows_from("M--V\nMK-v\nMKAV", source, exact=True) == ("MK-v", "MKAV", "M--V")
    assert rows_from("MK-V\nMKAV", source) is None
    assert rows_from("MK-V\nMKAV\nM--V\nM--V", source) is None
    assert rows_from("3M", ("AC", "AC")) is None


def test_residues_are_read_as_the_field_does() -> None:
    assert read_as("acUOBZJX*v") == "ACCKXXXXXV"
    one, other = (ResidueCodec().encode(pair) for pair in (("mku*", "AV"), ("MKCX", "av")))
    assert (one.values == other.values).all()
    assert one.position.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert one.segment.tolist() == [0] * 5 + [1] * 3
    assert ResidueCodec().decode(one.values.tolist()) == "MKCX\nAV"
    with pytest.raises(DataError, match="3 sequences; the model reads two"):
        ResidueCodec().encode(("A", "C", "D"))


def legal_paths(first: int, second: int) -> list[str]:
    """All that the rule lets through, by stepping."""
    rule, found = LegalMoves(), list[str]()
    state = rule.start(batch_of(("A" * first, "C" * second)))
    waiting = [("", rule.step(state, torch.tensor([[1]]), torch.full((1, 1), UNLIMITED)))]
    while waiting:
        said, (state, legal) = waiting.pop()
        for token in legal[0, 0].nonzero()[:, 0].tolist():
            if token == EOS:
                found.append(said)
            else:
                step = rule.step(state, torch.tensor([[token]]), torch.full((1, 1), UNLIMITED))
                waiting.append((said + MOVE_OF[token], step))
        assert legal.any()
    return found


@pytest.mark.parametrize(("first", "second"), [(1, 1), (3, 2), (2, 4), (4, 4)])
def test_the_rule_lets_every_alignment_through_once(first: int, second: int) -> None:
    every = {
        canonical_path("".join(moves))
        for length in range(1, first + second + 1)
        for moves in itertools.product("MDI", repeat=length)
        if consumed("".join(moves)) == (first, second)
    }
    found = legal_paths(first, second)
    assert len(found) == len(set(found))
    assert set(found) == every


@given(st.lists(walks, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_rule_at_once_is_the_rule_step_by_step(moves: list[str]) -> None:
    batch = batch_of(*map(sequences_of, moves), moves=moves)

    class Stepping:
        start, step = LegalMoves().start, LegalMoves().step

    real_BT = batch.wanted_BT != 0
    at_once, stepped = teacher_forced(LegalMoves(), batch), teacher_forced(Stepping(), batch)
    assert (at_once[real_BT] == stepped[real_BT]).all()
    assert at_once.gather(-1, batch.wanted_BT[..., None])[real_BT].all()


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_any_legal_walk_ends_in_time_and_spells_its_sequences(first: int, second: int, spare: int, seed: int) -> None:
    rule, draw = LegalMoves(), np.random.default_rng(seed)
    state, token, said = rule.start(batch_of(("A" * first, "C" * second))), 1, ""
    limit = max(first, second) + 1 + spare
    for step in range(limit):
        state, legal = rule.step(state, torch.tensor([[token]]), torch.tensor([[limit - step]]))
        token = int(draw.choice(legal[0, 0].nonzero()[:, 0].numpy()))
        if token == EOS:
            break
        said += MOVE_OF[token]
    assert token == EOS
    assert consumed(said) == (first, second)
    assert canonical_path(said) == said


SIZES = ((4, 3), (2, 3), (3, 1))


def ways(pair: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
    """`ahead` as the features use it."""
    n_B, m_B = torch.tensor(SIZES).T
    inside_BN = torch.arange(pair.shape[1]) < n_B[:, None]
    inside_BM = torch.arange(pair.shape[2]) < m_B[:, None]
    similar = pair.masked_fill(~(inside_BN[:, :, None] & inside_BM[:, None]), NEVER)
    leave = torch.tensor([True, True, False, False])
    cost_BN4 = first.masked_fill(~inside_BN[..., None] & leave, -NEVER)
    cost_BM4 = second.masked_fill(~inside_BM[..., None] & leave, -NEVER)
    return ahead(skewed(similar), cost_BN4, cost_BM4, SIZES)


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    make = partial(torch.randn, generator=generator, dtype=torch.float64)
    return make(3, 5, 4), make(3, 5, 4), make(3, 4, 4)


def test_the_ways_ahead_are_those_of_all_alignments() -> None:
    pair, first, second = drawn()
    found = ways(pair, first, second)
    for row, (n, m) in enumerate(SIZES):
        for i, j, (last, name) in itertools.product(range(n + 1), range(m + 1), enumerate("MDI")):
            sums = [
                walked(pair[row], first[row], second[row], i, j, name, path)
                for path in legal_from(n - i, m - j, after_second=name == "I")
            ]
            got = found[last][i + j, row, i]
            if sums:
                assert torch.allclose(got, torch.logsumexp(torch.stack(sums), 0))
            else:
                assert got < NEVER / 2


def legal_from(first: int, second: int, *, after_second: bool) -> list[str]:
    every = (
        "".join(moves)
        for length in range(first + second + 1)
        for moves in itertools.product("MDI", repeat=length)
        if consumed("".join(moves)) == (first, second)
    )
    return [path for path in every if "ID" not in path and not (after_second and path.startswith("D"))]


def walked(pair: Tensor, first: Tensor, second: Tensor, i: int, j: int, last: str, path: str) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for move in path:
        match move:
            case "M":
                total, i, j = total + pair[i, j], i + 1, j + 1
            case "D":
                more = int(last == "D")
                total, i = total - first[i, more] - second[j, 2 + more], i + 1
            case _:
                more = int(last == "I")
                total, j = total - second[j, more] - first[i, 2 + more], j + 1
        last = move
    return total


def test_the_gradient_of_the_ways_ahead_is_exact() -> None:
    def weighed(*given: Tensor) -> Tensor:
        found = ways(*given)
        weight = torch.linspace(-1, 1, found[0].numel(), dtype=torch.float64).view_as(found[0])
        return sum((torch.where(one > NEVER / 2, one, 0) * (weight + n) for n, one in enumerate(found)), weight).sum()

    assert torch.autograd.gradcheck(weighed, [x.requires_grad_() for x in drawn()])


def predicted(source: tuple[str, ...], target: str, output: str, **meta: object) -> Prediction:
    return Prediction(Record("r", source, target, meta), (Hypothesis(output, 0.0),))


def scores(prediction: Prediction) -> dict[str, float]:
    return {one.name: one.score(one.statistics([prediction])) for one in TASK.metrics(AlignmentConfig())}


def test_scores_by_hand() -> None:
    source, target = ("MKVLA", "MKIL"), "MKVLA\nMKIL-"
    assert scores(predicted(source, target, target)) == {
        "sp": 1, "modeler": 1, "column": 1, "modeler-all": 1, "validity": 100
    }  # fmt: skip
    shifted = scores(predicted(source, target, "MKVLA-\nMK--IL"))
    assert shifted == {"sp": 2 / 4, "modeler": 2 / 3, "column": 2 / 4, "modeler-all": 2 / 3, "validity": 100}
    marked = scores(predicted(source, target, "MKVLA-\nMK--IL", core="00110"))
    assert marked == {"sp": 0, "modeler": 0, "column": 0, "modeler-all": 2 / 3, "validity": 100}
    assert scores(predicted(source, target, "2M1D2M"))["validity"] == 0  # as an answer of ours it is none
    assert scores(predicted(source, target, "2M1D2M"))["sp"] == 2 / 4  # as a CIGAR of another tool it counts
    for wrong in ("", "MKVLA\nMKIL", "MKVLA\nMKILL", "MKVLA-\nMKIL--"):
        assert set(scores(predicted(source, target, wrong)).values()) == {0}


def test_scores_of_several_sequences_by_hand() -> None:
    source, target = ("AC", "AC", "AD"), "AC\nAC\nAD"
    counts = compared(Record("r", source, target), "AC-\nAC-\nA-D")
    assert (counts.reference, counts.found, counts.said) == (6, 4, 4)
    assert (counts.columns, counts.whole) == (2, 1)
    gapped = compared(Record("r", ("A", "AC", "C"), "A-\nAC\n-C"), "A--\nA-C\n-C-")
    assert (gapped.reference, gapped.found, gapped.columns, gapped.whole) == (2, 1, 2, 1)


def test_marks_must_fit_their_columns() -> None:
    with pytest.raises(BadRecord, match="a 0 or 1 for each of the 2 columns"):
        scores(predicted(("AC", "AC"), "AC\nAC", "AC\nAC", core="1"))


def test_utility_is_one_for_the_same_pairs_only() -> None:
    assert TASK.utility is not None
    assert TASK.utility("A-C\n-BC", "-AC\nB-C") == 1
    assert TASK.utility("AC\nBC", "A-C\n-BC") == pytest.approx(2 / 3)


def test_identity_is_of_aligned_pairs() -> None:
    assert identity(("MKv-", "MRVA")) == 2 / 3
    assert identity_band(Record("r", ("MKV", "MRVA"), "MKV-\nMRVA")) == "60-100 %"
    assert identity_band(Record("r", (), "", {"identity": 0.2})) == "20-30 %"


def test_needleman_wunsch_is_optimal_and_charges_ends() -> None:
    draw = np.random.default_rng(5)
    for _ in range(10):
        rows = family(2, draw, 4, 7)
        first, second = map(spelled, rows)
        best = facts(*spell(needleman_wunsch(first, second), first, second)).score
        assert best >= facts(*rows).score
    assert facts("MKVLA", "MKVL-").score == 5 + 5 + 4 + 4 - 11
    assert facts("MKVLA--", "MK--AVL").score == 5 + 5 - 11 - 1 + 4 - 11 - 1
    assert needleman_wunsch("", "AC") == "II"
    assert needleman_wunsch("AUOJ*b", "ACKX*B") == "MMMMMM"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("MKV", "1 sequence; 2 to 200 are right"),
        (["MKV", ""], "sequence 2 is empty"),
        (["MKV", "MK-V"], "sequence 2: '-' at position 3 is no residue"),
        (["A" * 10_001, "A"], "sequence 1 has 10,001 residues"),
        ({"a": "MKV"}, "a list of sequences"),
    ],
)
def test_what_is_no_sequences_is_refused(value: object, said: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BadRecord, match=said):
        read(AlignmentConfig(), value, tmp_path_factory.getbasetemp())


def test_targets_are_rows() -> None:
    assert read_target(AlignmentConfig(), ["MK.V", "MKAV"]) == "MK-V\nMKAV"
    assert rows_of(read_target(AlignmentConfig(), "MK-V\nMKAV")) == ("MK-V", "MKAV")
    with pytest.raises(BadRecord, match="rows of 2, 3 columns"):
        read_target(AlignmentConfig(), ["MK", "MKA"])


def test_augmentation_keeps_the_alignment() -> None:
    assert TASK.augment is not None
    assert TASK.augment(AlignmentConfig()) is None
    vary = TASK.augment(AlignmentConfig(mutate=0.5))
    assert vary is not None
    record = Record("r", ("MKVL", "MKAVL"), "MK-VL\nMKAVL")
    made = [vary(record, np.random.default_rng(seed)) for seed in range(20)]
    assert {one.key for one in made} == {"r"}
    assert {path_of(*rows_of(one.target)) for one in made} == {"MMIMM", "MMDMM"}
    assert all(fault(rows_of(one.target), one.source) == "" for one in made)
    assert len({one.source for one in made}) > 15


def test_the_doctor_sees_that_alignments_come_back_as_they_went_in(capsys: pytest.CaptureFixture[str]) -> None:
    """As another spelling: sequences a line each, columns as a CIGAR. A letter that is read as another one does not."""
    assert doctor(TASK, ["data.source=toy"]) == 0
    said = capsys.readouterr().out
    assert said.count("round trip 100.00 %") == 4
    codec = ResidueCodec()
    for pair, back in ((("MKV", "mv"), True), (("MKB", "MV"), False)):
        assert codec.same(codec.decode(codec.encode(pair).values.tolist()), pair) == back
