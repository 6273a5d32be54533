"""The ledger for other programs: a Markdown table, CSV, and a LaTeX table that can go into a paper."""

from __future__ import annotations

import csv
import io
import re

from podium.ledger.views.entries import Entry, Ledger
from podium.ledger.views.table import delta, folds
from podium.ledger.views.totals import Totals
from podium.ledger.views.tree import branches
from podium.ledger.views.words import printable, signed
from podium.progress import duration

# ---------------------------------------------------------------------- CSV

CSV_COLUMNS = (
    *("id", "name", "parent", "change", "why", "link", "verdict", "reason", "gain", "se", "raw_gain", "noise_floor"),
    *("evidence", "folds", "fold_runs", "cv", "mean", "sd", "seconds", "public", "champion", "crowned_by", "created"),
)


def to_csv(ledger: Ledger) -> str:
    """A row an attempt, by number; numbers as they are, gains positive when better.

    Text that a spreadsheet would run as a formula begins with an apostrophe.
    Source: OWASP, CSV Injection.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for entry in ledger.entries:
        mean, sd = entry.mean_and_sd() or (None, None)
        known = entry.tree() | {"mean": mean, "sd": sd, "champion": int(entry is ledger.champion)}
        known |= {"change": ""} if entry.parent is None else {}
        writer.writerow([harmless(v) if isinstance(v := known[name], str) else v for name in CSV_COLUMNS])
    return text.getvalue()


def harmless(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    line = printable(text)
    return f"'{line}" if line[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") else line


# ---------------------------------------------------------------------- Markdown


def to_markdown(ledger: Ledger) -> str:
    """A table with the tree's marks, and the sums below it."""
    lines = [
        "| id | attempt | change | ΔCV ± SE | verdict | folds | time | public |",
        "|--:|:--|:--|--:|:--|:--|--:|--:|",
    ]
    for marks, entry in branches(ledger):
        tree = marks.replace(" ", "\N{NO-BREAK SPACE}")
        time = duration(entry.seconds) if entry.fold_runs else ""
        public = "" if entry.public is None else f"{entry.public:.5f}"
        cells = [f"{tree} {in_markdown(entry.name)}", in_markdown(entry.change), delta(entry, ledger), entry.standing()]
        lines.append("| " + " | ".join([str(entry.id), *cells, folds(entry), time, public]) + " |")
    return "\n".join([*lines, "", *(f"- {in_markdown(line)}" for line in Totals.of(ledger).told())]) + "\n"


def in_markdown(text: str) -> str:
    """Text of which nothing is markup, in a table's cell too."""
    return re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", printable(text))


# ---------------------------------------------------------------------- LaTeX

LONG = 40
"""Characters of a change that a paper's table has room for in one line."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "→": r"$\to$",
} | {c: f"\\{c}" for c in "{}$&#_%"}


def to_latex(ledger: Ledger) -> str:
    """An ablation table: mean and standard deviation over folds, raw gains with their standard errors; no stars."""
    rows = []
    for marks, entry in branches(ledger):
        depth = 0 if len(marks) == 1 else 1 + len(marks) // 3
        rows.append(" & ".join(_cells(entry, ledger, depth, entry is ledger.champion)) + r" \\")
    better = "higher" if ledger.greater_is_better else "lower"
    caption = (
        f"Ablation by cross-validated {in_latex(ledger.metric)} ({better} is better). Rows without indentation are the "
        "successive best recipes, each a change of the one before; indented rows are changes of the row that they hang "
        f"under. Mean $\\pm$ standard deviation over those $n$ of {ledger.k} folds that were trained; "
        r"$\Delta$: mean gain over the parent on the same folds $\pm$ its standard error, which counts the noise of "
        "retraining; positive is better. The best recipe is bold."
    )
    return "\n".join(
        [
            r"% \usepackage[T1]{fontenc}, \usepackage{array} and \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering" + (r"\footnotesize" if _column(ledger) != "l" else ""),
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{_column(ledger)}rrll}}",
            r"\toprule",
            rf"Attempt & Change & {in_latex(ledger.metric)} & $\Delta$ & $n$ & Verdict \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _column(ledger: Ledger) -> str:
    """Of the changes; where one is longer than a line has room for, all are broken into lines."""
    longest = max((len(entry.change) for entry in ledger.entries), default=0)
    return r">{\raggedright\arraybackslash}p{0.28\linewidth}" if longest > LONG else "l"


def _cells(entry: Entry, ledger: Ledger, depth: int, bold: bool) -> list[str]:
    n = max(4, ledger.decimals)
    name = in_latex(entry.name)
    found = entry.mean_and_sd()
    sd = "" if found is None or found[1] is None else rf" \pm {found[1]:.{n}f}"
    mean = "--" if found is None else f"${found[0]:.{n}f}{sd}$"
    error = "" if entry.se is None else rf" \pm {entry.se:.{n}f}"
    gain = entry.gain if entry.raw_gain is None else entry.raw_gain
    change = in_latex(entry.change).replace("-\\textgreater{}", r"$\to$") if entry.parent is not None else "--"
    return [
        r"\quad" * depth + " " * bool(depth) + (rf"\textbf{{{name}}}" if bold else name),
        change,
        mean,
        "--" if entry.parent is None or gain is None else f"${signed(gain, n)}{error}$",
        str(len(entry.fold_means())),
        in_latex(entry.standing()) or "--",
    ]


def in_latex(text: str) -> str:
    """Text of which nothing is a command."""
    return "".join(_LATEX.get(c, c) for c in printable(text))
