"""The verbs: the only place where all parts meet."""

from core.run.evaluation import evaluate
from core.run.prediction import predict
from core.run.training import train

__all__ = ["evaluate", "predict", "train"]
