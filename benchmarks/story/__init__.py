"""The canon of sequence-to-sequence learning, told with one's own runs: `python -m benchmarks.story`."""
