"""`python -m tasks doctor`: a task's data, looked at before anyone trains on it."""

from core.doctor.examine import doctor

__all__ = ["doctor"]
