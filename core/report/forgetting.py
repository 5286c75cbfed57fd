"""The section on what a run that began from another has forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.report.facts import interval, number
from core.report.page import Section, table, text


def forgetting_section(forgetting: Mapping[str, Any]) -> Section:
    """Each metric of the old run on its own dev records, before and after; or why there is none."""
    before, after = forgetting.get("before", {}), forgetting.get("after", {})
    rows = [
        (name, *(f"{number(own[name]['value'])} {interval(own[name]['interval'])}" for own in (before, after)))
        for name in before
        if name in after
    ]
    if not rows:
        return Section("What it knew", (), missing=forgetting.get("skipped", "nothing was measured"))
    said = f"On {forgetting['n']:,} dev records of {forgetting['data']} ({forgetting['task']}), the data of the run begun from:"
    return Section("What it knew", (text(said), table(("metric", "before", "after"), rows)))
