"""A decoder step in C++, compiled where it runs."""
