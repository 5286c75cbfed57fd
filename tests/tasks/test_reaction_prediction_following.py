"""The place in the source that an answer has arrived at."""

import torch

from core.codec.types import BOS, EOS, PAD
from core.model.said import Said
from core.model.state import Memory
from core.nn.layout import Padded
from tasks.reaction_prediction import TASK
from tasks.reaction_prediction.codec import SmilesTokenizer
from tasks.reaction_prediction.following import Following, moved
from tasks.reaction_prediction.settings import ReactionConfig

CODEC = SmilesTokenizer.fit([])


def places(source: str, answer: str, pads: int = 0) -> list[tuple[int, int, int, int]]:
    """(near, best, run, lost) after BOS and after each symbol."""
    ids = CODEC.encode(source)
    ids_BE = torch.tensor([[*ids, EOS, *[EOS] * pads]])
    zero = torch.zeros(1, 1, dtype=torch.int64)
    state = {"near": zero, "lost": zero, "runs": torch.zeros(1, 1, ids_BE.shape[1], dtype=torch.int64)}
    found: list[tuple[int, int, int, int]] = []
    for token in (BOS, *CODEC.encode(answer)):
        state, place = moved(state, torch.tensor([[token]]), ids_BE, torch.tensor([len(ids)]))
        near, best, run, lost = (int(one) for one in place)
        found.append((near, best, run, lost))
    return found


def test_a_copy_is_followed_to_its_end() -> None:
    near = [place[0] for place in places("CNOF", "CNOF")]
    assert near == [0, 1, 2, 3, 4]
    assert places("CNOF", "CNOF")[-1] == (4, 4, 4, 0)


def test_what_is_put_in_is_waited_for() -> None:
    found = places("CNOF", "CNSSOF")
    assert [place[0] for place in found] == [0, 1, 2, 2, 2, 3, 4]
    assert [place[3] for place in found] == [0, 0, 0, 1, 2, 0, 0]


def test_what_is_left_out_is_found_again_when_it_is_sure() -> None:
    near = [place[0] for place in places("CNSSSOFCl", "CNOFCl")]
    assert near[:3] == [0, 1, 2]
    assert near[3] == near[4] == 2, "one or two symbols might be a chance"
    assert near[5] == 8, "three in a row are not"
    best = [place[1] for place in places("CNSSSOFCl", "CNOFCl")]
    assert best[3:] == [6, 7, 8], "the other place goes at once"


def test_of_equal_runs_the_nearest_counts() -> None:
    assert places("CONCONCO", "CON")[-1][:3] == (3, 3, 3)
    assert places("NCCCN", "CCCN")[-1][1] == 5


def test_pads_change_nothing() -> None:
    assert places("CNOFCl", "CNSFClO", pads=5) == places("CNOFCl", "CNSFClO")


def test_what_comes_next_is_likelier_from_the_first_step_on() -> None:
    V, D, source = CODEC.size, 64, CODEC.encode("CNOF")
    torch.manual_seed(1)
    word_VD = torch.randn(V, D) / D**0.5
    told = Following(V).make(D)
    said = Said(told.width(D), D)
    told.begin(said, word_VD)
    ids = torch.tensor([[*source, PAD, PAD]])
    mask = torch.tensor([[True] * 4 + [False] * 2])
    layout = Padded(mask)
    cache = {"features." + name: x for name, x in told.cache(torch.randn(1, 6, D), layout, ids).items()}
    memory = Memory(torch.randn(1, 6, D), layout, ids, cache)
    given = torch.tensor([[BOS, *source]])
    feature = told.teacher_forced(given, memory)
    logits = said(torch.zeros(1, 5, D), feature) @ word_VD.T
    assert logits.argmax(-1)[0].tolist() == [*source, EOS]


def test_it_can_be_left_out() -> None:
    from core.codec.types import Codecs

    made = Codecs(CODEC, CODEC)
    assert TASK.features is not None
    assert TASK.features(ReactionConfig(follow=False), made) is None
    assert TASK.features(ReactionConfig(), made) is not None
    assert TASK.rule is not None
    assert TASK.rule(ReactionConfig(rule=False), made) is None
