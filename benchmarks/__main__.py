"""`python -m benchmarks [NAME …]`: the table of docs/benchmarks.md on this machine."""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from benchmarks import formats, ledger, pixels, predicting, scores, training
from benchmarks.harness import Benchmark, Result, machine, measure, save

MODULES = (formats, scores, pixels, training, predicting, ledger)
ALL = tuple(b for module in MODULES for b in module.BENCHMARKS)
BENCHMARKS: dict[str, Benchmark] = {b.name: b for b in ALL}


def line(result: Result) -> str:
    """One row of the table."""
    goal = "" if result.goal is None else f"{'<=' if result.at_most else '>='} {result.goal:g}x"
    met = "" if result.met is None else "met" if result.met else "MISSED"
    times = f"{result.ours_ms:10.3f} {result.peer_ms:10.3f} {result.ratio:8.2f}x"
    return f"{result.name:14} {times} {goal:>9} {met:7} {result.clock:5} {result.note}; peer: {result.peer}"


def main() -> None:
    """Run the benchmarks that were asked for, print and save them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS) + "; all if none is given")
    parser.add_argument("--tiny", action="store_true", help="small data, one round: does everything run?")
    parser.add_argument("--full", action="store_true", help="20,000 rows for score (minutes)")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each benchmark")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="folder for the JSON file")
    options = parser.parse_args()
    unknown = [n for n in options.names if n not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called '{unknown[0]}'; there are: {', '.join(BENCHMARKS)}")
    if options.full:
        scores.ROWS = 20_000
    facts = machine()
    print(f"{facts['processor']}, {facts['cores']} cores; medians in ms of processor (cpu) or wall-clock time, in turn")
    print(f"{'name':14} {'podium':>10} {'peer':>10} {'ratio':>9} {'goal':>9}")
    results = []
    for name in options.names or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="podium-bench-") as folder:
            results.append(measure(BENCHMARKS[name], Path(folder), tiny=options.tiny, seconds=options.seconds))
        print(line(results[-1]), flush=True)
    path = options.results / f"{datetime.now():%Y%m%d-%H%M%S}.json"
    save(results, path)
    print(f"saved: {path}")


if __name__ == "__main__":
    sys.exit(main())
