"""podium's benchmarks: each beside what people use for the same work, in one run. `python -m benchmarks --help`."""
