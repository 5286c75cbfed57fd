"""Every architecture with every attention that it has, on four toys: `python -m benchmarks.toys`."""
