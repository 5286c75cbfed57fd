"""Top-k exactly, validity, the largest fragment, votes, and the way back."""

import math
from collections.abc import Sequence

import pytest

from core.codec.types import Codecs
from core.errors import MetricSkipped
from core.record import Hypothesis, Prediction, Record
from core.task import Metric
from tasks.reaction_prediction import TASK
from tasks.reaction_prediction.chemistry import canonical
from tasks.reaction_prediction.codec import SmilesTokenizer
from tasks.reaction_prediction.metrics import TopK, ranking
from tasks.reaction_prediction.settings import ReactionConfig
from tasks.reaction_prediction.validity import compared, first_by_key
from tasks.reaction_prediction.voting import elected, solve, variants


def answered(target: str, *outputs: str, references: Sequence[str] = ()) -> Prediction:
    meta = {"references": tuple(references)} if references else {}
    hypotheses = tuple(Hypothesis(output, -float(rank)) for rank, output in enumerate(outputs))
    return Prediction(Record("1", "CCO", target, meta), hypotheses)


def top(k: int, prediction: Prediction, invalid: str = "removed") -> float:
    return TopK(k, "retro", invalid).statistics([prediction])[0, 0]  # pyright: ignore[reportArgumentType]


def test_both_sides_are_canonical() -> None:
    assert top(1, answered("OC(C)=O.CN", "NC.CC(O)=O")) == 1
    assert top(1, answered("N[C@@H](C)C(=O)O", "C[C@@H](C(=O)O)N")) == 1
    assert top(1, answered("N[C@@H](C)C(=O)O", "C[C@H](C(=O)O)N")) == 0, "the mirror image is another answer"
    assert top(1, answered("CO.CO", "CO")) == 0, "two of a molecule are not one"


@pytest.mark.parametrize(
    ("outputs", "removed", "ranked"),
    [
        (["CCN"], 1, 1),
        (["CCO", "CCN"], 2, 2),
        (["CCO", "OCC", "C(O)C", "CCN"], 2, 2),  # three spellings of one molecule take one place
        (["C(", "CCN"], 1, 2),  # an invalid string is passed over, or takes its place
        (["C(", "C(", ")", "CCN"], 1, 4),  # and each takes one of its own
        (["CCO", "C(", "OCC", "CCN"], 2, 3),
        (["NCC", "CCN", "CCO"], 1, 1),  # the right one twice: its better rank
        (["CCO", "CCC"], 0, 0),
        ([], 0, 0),
        (["", "CCN"], 1, 2),
    ],
)
def test_the_rank_of_the_right_answer(outputs: list[str], removed: int, ranked: int) -> None:
    for how, rank in (("removed", removed), ("ranked", ranked)):
        for k in range(1, 6):
            assert top(k, answered("C(C)N", *outputs), how) == float(0 < rank <= k), (how, k)


def test_equal_scores_rank_in_the_order_given() -> None:
    tied = [Hypothesis("CCO", -1.0), Hypothesis("CCN", -1.0)]
    record = Record("1", "C", "CCN")
    assert top(1, Prediction(record, tuple(tied))) == 0
    assert top(1, Prediction(record, tuple(reversed(tied)))) == 1
    assert top(2, Prediction(record, tuple(tied))) == 1


def test_any_reference_will_do_and_an_unreadable_one_is_never_met() -> None:
    assert top(1, answered("CCC", "OCC", references=["CCO"])) == 1
    assert top(1, answered("C(", "C(")) == 0
    assert top(1, answered("C(", "C("), "ranked") == 0


def test_a_score_of_several_is_the_share_in_percent() -> None:
    metric = TopK(1, "retro")
    rows = metric.statistics([answered("CO", "OC"), answered("CO", "CN"), answered("CO"), answered("CO", "C(", "CO")])
    assert rows.tolist() == [[1], [0], [0], [1]]
    assert metric.score(rows) == 50
    assert math.isnan(metric.score(rows[:0]))


def test_ranking_shows_what_top_k_sees() -> None:
    prediction = answered("C", "OCC", "C(", "CCO", "CN")
    assert ranking(prediction, "removed") == ["CCO", "CN"]
    assert ranking(prediction, "ranked") == ["CCO", None, "CN"]


def metric(name: str, **task: object) -> Metric:
    cfg = ReactionConfig(**task)  # pyright: ignore[reportArgumentType]
    return {one.name: one for one in TASK.metrics(cfg)}[name]


def test_validity_is_of_what_was_said_not_of_the_ranking() -> None:
    prediction = answered("C", "C(", "CC", "CC", "c1cccc1")
    assert metric("validity").statistics([prediction])[0, 0] == 0
    assert metric("validity@10").statistics([prediction])[0, 0] == 0.5
    assert metric("validity").statistics([answered("C")])[0, 0] == 0


def test_the_largest_fragment_alone() -> None:
    maxfrag = metric("maxfrag@1")
    target = "CC(=O)Cl.Nc1ccccc1"
    hits = [answered(target, "Nc1ccccc1.CC(=O)O"), answered(target, "CC(=O)Cl.Nc1ccccc1C"), answered(target, "C(")]
    assert maxfrag.statistics(hits)[:, 0].tolist() == [1, 0, 0]


def test_a_signature_says_all_that_could_change_the_number() -> None:
    import rdkit

    said = metric("top@5", augmentation="root-aligned", votes=4, invalid="ranked", rule=False).signature
    for part in ("k:5", "retro", "votes:4(alpha:1)", "rule:no", f"rdkit:{rdkit.__version__}", "stereo:yes"):
        assert part in said
    assert "duplicates:removed|invalid:ranked" in said
    assert "forward|reagents:separated" in metric("top@1", direction="forward", reagents="separated").signature


def test_the_way_back_is_skipped_without_a_forward_run() -> None:
    with pytest.raises(MetricSkipped, match=r"task\.forward_run names no run"):
        metric("round_trip").statistics([answered("C", "C")])
    assert "round_trip" not in [one.name for one in TASK.metrics(ReactionConfig(direction="forward"))]


CODECS = Codecs(SmilesTokenizer.fit([]), SmilesTokenizer.fit([]))


def test_one_search_gives_canonical_answers_in_its_order() -> None:
    def search(records: Sequence[Record]) -> list[Prediction]:
        return [
            Prediction(one, (Hypothesis("OCC", -1), Hypothesis("C(", -2), Hypothesis("CCO", -3))) for one in records
        ]

    (found,) = solve(ReactionConfig(), CODECS, search, [Record("1", "CC")])
    assert [one.output for one in found.hypotheses] == ["CCO", "C(", "CCO"]
    assert [one.score for one in found.hypotheses] == [-1, -2, -3]
    assert found.record.meta["direction"] == "retro"


def said(*outputs: str) -> Prediction:
    return Prediction(Record("1", "C"), tuple(Hypothesis(one, -n, (), (-1.0 - n,)) for n, one in enumerate(outputs)))


def test_votes_are_counted_by_rank() -> None:
    found = elected([said("CCO", "CCN"), said("NCC", "CCC"), said("OCC", "C(", "NCC")], 1.0)
    scores = {one.output: one.score for one in found}
    assert scores["CCO"] == pytest.approx((1 + 0 + 1) / 3)
    assert scores["CCN"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3), "the invalid string does not take a rank"
    assert scores["CCC"] == pytest.approx(1 / 6)
    assert [one.output for one in found] == ["CCN", "CCO", "CCC"] or scores["CCO"] == scores["CCN"]
    assert scores.get("C(", 0.0) == 0


def test_ties_of_votes_go_to_the_higher_then_the_likelier() -> None:
    found = elected([said("CCO", "CCN", "CCC"), said("CCN", "CCO", "CCC")], 1.0)
    assert [one.output for one in found] == ["CCN", "CCO", "CCC"], "equal in all: by text"
    likelier = Prediction(Record("1", "C"), (Hypothesis("CCO", 0, (), (-0.1,)), Hypothesis("CCN", 0, (), (-3.0,))))
    found = elected([likelier, said("CCN", "CCO")], 1.0)
    assert [one.output for one in found] == ["CCO", "CCN"]
    assert found[0].logp == (-0.1,), "as it was said where it stood highest"


def test_alpha_says_how_much_lower_ranks_count() -> None:
    predictions = [said("CCO", "CCN"), said("CCC", "CCN"), said("CCF", "CCN")]
    assert elected(predictions, 0.0)[0].output == "CCN"
    assert elected(predictions, 5.0)[0].output != "CCN"
    assert len(elected(predictions, 1.0)) == 2, "no more answers than one search gives"


def test_invalid_strings_come_last_without_votes() -> None:
    found = elected([said("C(", "CCO"), said("C(", "CCO")], 1.0)
    assert [(one.output, one.score) for one in found] == [("CCO", 1.0), ("C(", 0.0)]


def test_variants_are_the_same_source_and_the_same_each_time() -> None:
    for how in ("random", "root-aligned"):
        cfg = ReactionConfig(augmentation=how, votes=6)
        record = Record("1", "COC(=O)c1ccc(CN)cc1")
        made = variants(cfg, record)
        assert [one.source for one in made] == [one.source for one in variants(cfg, Record("other", record.source))]
        assert made[0].source == record.source
        assert len({one.key for one in made}) == 6
        assert len({one.source for one in made}) > 3
        assert {canonical(one.source) for one in made} == {canonical(record.source)}


def test_votes_are_gathered_record_by_record() -> None:
    asked: list[str] = []

    def search(records: Sequence[Record]) -> list[Prediction]:
        asked.extend(one.key for one in records)
        return [Prediction(one, (Hypothesis(one.source, 0.0, (), (-1.0,)),)) for one in records]

    cfg = ReactionConfig(augmentation="root-aligned", votes=3)
    records = [Record("a", "CCCO"), Record("b", "CCCN")]
    found = solve(cfg, CODECS, search, records)
    assert asked == ["a#0", "a#1", "a#2", "b#0", "b#1", "b#2"]
    assert [[one.output for one in each.hypotheses] for each in found] == [["CCCO"], ["CCCN"]]
    assert [each.record.key for each in found] == ["a", "b"]
    assert [each.hypotheses[0].score for each in found] == [1.0, 1.0]


def test_validity_is_compared_on_the_same_records() -> None:
    ruled = [answered("CCN", "CCN", "CCO"), answered("CCN", "CCO", "C(")]
    free = [answered("CCN", "C(", "CCN"), answered("CCN", ")", "C(")]
    _, with_rule, without = compared(ruled, free).splitlines()
    assert with_rule.startswith("with the rule")
    assert without.startswith("without")
    first = [line.replace("with the rule", "").replace("without", "").split("]") for line in (with_rule, without)]
    values = [[cell.split("[")[0].strip() for cell in line if cell] for line in first]
    assert values == [["100.0", "75.0", "50.0"], ["0.0", "25.0", "50.0"]]


def test_records_to_compare_are_drawn_by_their_keys_alone() -> None:
    records = [Record(str(number), "CC", "CC") for number in range(40)]
    some = [one.key for one in first_by_key(records, 7)]
    assert some == [one.key for one in first_by_key(records[::-1], 7)]
    assert len(some) == 7
    assert len(first_by_key(records, 0)) == 40


@pytest.mark.parametrize(
    ("direction", "source", "answers", "expected"),
    [
        ("retro", "OCC", ("CCO", "CC.OCC", "C=C.O", "C("), ["C=C.O", "C(", "CCO", "CC.CCO"]),
        ("forward", "C=C.O>[Na+]", ("C=C", "OCC", "[Na+]", "C(", "O"), ["CCO", "C(", "C=C", "[Na+]", "O"]),
        ("reagents", "C=C.O>>CCO", ("O", "OCC"), ["O", "CCO"]),
    ],
)
def test_answers_in_which_nothing_happens_stand_last(
    direction: str, source: str, answers: Sequence[str], expected: Sequence[str]
) -> None:
    def search(records: Sequence[Record]) -> list[Prediction]:
        return [Prediction(record, tuple(Hypothesis(one, 0.0) for one in answers)) for record in records]

    (found,) = solve(ReactionConfig(direction=direction), CODECS, search, [Record("1", source)])  # pyright: ignore[reportArgumentType]
    assert [one.output for one in found.hypotheses] == list(expected)
