"""`python -m benchmarks.torture`: runs that survive, files that cannot hurt, records that cannot crash; held to it, with counts.

It stands in `benchmarks`, the topmost layer, because a row needs everything below it: the tiny configs of all tasks (`tasks`), the laws'
small models (`core.testing`), and the product itself. Nothing in the product knows of it: what goes wrong is brought about from
outside, in a process that was forked to suffer it.

How to add rows. A row (rows.py) is a threat, a promise, and a function that is one trial of it:

    def trial(trial: Trial) -> None:
        ...                             # in a process of its own, in the empty folder trial.place, drawing from trial.random alone
        trial.count("kills")            # what was done, counted by name; the row's `unit` is the name whose sum must reach its `goal`
        trial.measure("peak MB", 31.5)  # least, median and most are kept
        raise Breach("what was promised and not kept")  # any other exception is one, too, as is a hang or a crash

    ROWS = (Row("S1", threat="...", promise="...", trial=trial, unit="pickles", goal=200, full=20, quick=1),)

A module with `ROWS` goes into `FAMILIES` (registry.py). Trial n of a row with a seed is always the same trial, whatever ran before:
that is what lets a killed torture go on, and a breach be played again (`--rows S1 --only 17`). A trial may be a batch (a hundred fuzzed
records): a fork costs some hundredths of a second. What all trials of a row share is made ready by `Row.warm`, once, before the forks
(it is told the numbers of the trials); it must start no thread. `quick` trials of each row run in every check
(tests/torture/test_quick.py), `full` ones by `make torture`, which writes benchmarks/results/torture/ROW.json; docs/reliability.md is
made from these (`--page`).
"""
