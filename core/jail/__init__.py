"""The jail in which generated code runs, and the grader outside it. There is no way to run a program without one."""

from core.jail.choose import Jail, jail
from core.jail.grader import passed, same
from core.jail.job import Call, Job, NoJail, Outcome, Value
from core.jail.plain import canonical

__all__ = ["Call", "Jail", "Job", "NoJail", "Outcome", "Value", "canonical", "jail", "passed", "same"]
