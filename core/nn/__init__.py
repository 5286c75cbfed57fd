"""Layers: one idea a file, the formula and the paper in its docstring."""
