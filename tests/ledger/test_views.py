"""What `podium attempts` and `podium show` print, from hand-made ledgers."""

import csv
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from ledger_drawing import CARVANA, ledger, row
from PIL import Image

from podium.ledger.verdict import RULE
from podium.ledger.views.curves import Curve, limits, mean_curve, ticks, to_text
from podium.ledger.views.curves_png import to_png
from podium.ledger.views.curves_scene import HEIGHT, WIDTH, Stroke, _pieces, scene
from podium.ledger.views.curves_svg import to_svg
from podium.ledger.views.exports import harmless, in_latex, to_csv, to_latex, to_markdown
from podium.ledger.views.gains import Gain, Gains
from podium.ledger.views.near import near_the_line, told
from podium.ledger.views.table import delta, first_of, shorter, table
from podium.ledger.views.talk import spoken, talk
from podium.ledger.views.totals import WORTH, Totals
from podium.ledger.views.tree import branches
from podium.ledger.views.words import cut, printable, signed


def test_champions_run_straight_down_and_what_was_tried_hangs_beside():
    drawn = [f"{marks} {entry.name}" for marks, entry in branches(ledger(*CARVANA))]
    assert drawn == [
        "● baseline",
        "├─ sgd",
        "│  └─ x1",
        "● more-augmentations",
        "├─ pspnet",
        "★ vgg11",
        "├─ vgg11-wide",
        "└─ longer",
    ]


def test_every_attempt_is_drawn_once_even_where_parents_are_missing_or_in_a_circle():
    rows = [row(0, "baseline", None), row(3, "lost", 2), row(4, "a", 5), row(5, "b", 4), row(6, "deep", 3)]
    assert sorted(entry.id for _, entry in branches(ledger(*rows))) == [0, 3, 4, 5, 6]


def test_a_deep_ledger_is_drawn():
    rows = [row(0, "baseline", None), *(row(n, f"t{n}", n - 1) for n in range(1, 2000))]
    marks = [marks for marks, _ in branches(ledger(*rows))]
    assert len(marks) == 2000
    assert max(map(len, marks)) < 30


def test_the_table():
    lines = table(ledger(*CARVANA, public={"0004-vgg11": 0.9971}))
    head, vgg = lines[0], next(line for line in lines if "★ vgg11" in line)
    assert head.split() == ["id", "attempt", "change", "ΔCV", "±", "SE", "verdict", "folds", "time", "public"]
    assert re.split(r"  +", vgg.strip()) == [
        *("4", "★ vgg11", "optim.lr 0.001 -> 0.004", "+0.0021 ± 0.0004", "YES", "3", "30s", "0.9971")
    ]
    assert "CV 0.5100" in lines[1]
    assert "3 (6)" in lines[1]
    assert next(line for line in lines if "longer" in line).rstrip().endswith("unfinished")


@pytest.mark.parametrize("width", [76, 80, 100])
def test_the_table_fits_the_terminal_and_keeps_the_end_of_a_change(width):
    long = row(1, "a-rather-long-name-for-an-attempt", 0, "NO", -0.001, change=f"model.encoder {'x' * 90} -> vgg11")
    lines = table(ledger(CARVANA[0], long), width)
    assert max(map(len, lines)) <= width
    assert "vgg11" in lines[2]
    assert "x" * 90 in table(ledger(CARVANA[0], long))[2]


def test_of_a_long_change_whole_settings_are_shown_and_the_others_counted():
    change = (
        "input.size [32, 32] -> [48, 48], optim.lr 0.005 -> 0.002, train.epochs 2 -> 5, loss.terms {a = 1, b = 2} -> x"
    )
    short = shorter(change)
    assert short.startswith("size [32, 32]→[48, 48], lr 0.005→0.002, epochs 2→5, terms {a = 1, b = 2}→x")
    assert first_of(short, 200) == short
    assert first_of(short, 60) == "size [32, 32]→[48, 48], lr 0.005→0.002, epochs 2→5, +1 more"
    assert first_of(short, 50) == "size [32, 32]→[48, 48], lr 0.005→0.002, +2 more"
    assert first_of(short, 33) == "size [32, 32]→[48, 48], +3 more"
    assert first_of(short, 25) == "size [32, 32]→[48, 48] +3"
    assert first_of(short, 16) == "size […8, 48] +3", "its end says what it changes to"
    for width in range(1, 120):
        assert len(first_of(short, width)) <= width


def test_a_wide_ledger_fits_every_terminal_and_is_whole_where_it_is_not_one():
    keys = ", ".join(f"augment.key{n} 0.{n} -> 1.{n}" for n in range(20))
    assert len(keys) > 400
    rows = [row(n, f"{'x' * 60}{n}", 0, "NO", -0.001, change=keys) for n in range(1, 4)]
    for width in (60, 80, 100, 200):
        lines = table(ledger(CARVANA[0], *rows, public={"0001": 0.5}), width)
        assert max(map(len, lines)) <= width, width
        assert all("NO" in line for line in lines[2:])
    assert "key0 0.0→1.0, +" in table(ledger(CARVANA[0], *rows), 100)[2]
    for whole in (table(ledger(CARVANA[0], *rows))[2], to_csv(ledger(*rows))):
        assert keys in whole
    assert keys.replace("->", "-\\>") in to_markdown(ledger(*rows))
    assert keys.replace("->", r"$\to$") in to_latex(ledger(*rows)).replace(r"\allowbreak{}", "")


def test_a_lower_error_reads_as_a_gain():
    assert delta(ledger(CARVANA[0], row(1, "a", 0, "YES", 0.0012), up=False).entries[1], ledger(*CARVANA)) == (
        "+0.0012 ± 0.0004"
    )
    assert "lower is better" in to_latex(ledger(*CARVANA, up=False))


def test_the_champion_is_the_one_that_was_crowned_last_whatever_its_number():
    rows = [row(0, "baseline", None)]
    rows += [row(n, f"a{n}", 0, "YES", 0.001, crowned=f"2026-01-0{day}") for n, day in ((1, 2), (2, 4), (3, 3))]
    found = ledger(*rows)
    assert found.champion.name == "a2"
    assert "★ champion: 2 a2" in found.told()
    assert ledger(*rows[:1]).champion.name == "baseline"


def test_the_slide():
    assert talk(ledger(*CARVANA)) == [
        "SGD => NO",
        "More augmentations => YES",
        "PSPNet => NO",
        "VGG11 => YES",
        "VGG11 wide => UNSURE",
        "optim.lr 0.001 -> 0.006 => NO",
    ]
    overruled = row(1, "resnet34-encoder", 0, "NO", -0.001, crowned="2026-02-01", crowned_by="person")
    assert talk(ledger(CARVANA[0], overruled)) == ["ResNet34 encoder => NO (overruled)"]
    assert spoken(ledger(row(1, "try-3", 0)).entries[0]) == "optim.lr 0.001 -> 0.001"


def test_what_it_adds_up_to():
    sums = Totals.of(ledger(*CARVANA))
    assert (sums.judged, sums.yes, sums.no, sums.unsure, sums.open, sums.fold_runs) == (6, 2, 3, 1, 1, 6 + 16)
    assert sums.expected_false == pytest.approx(0.18)
    assert (sums.judged_seconds, sums.whole_seconds, sums.saved_seconds) == (160, 180, 20)
    text = "\n".join(sums.told())
    assert "2 YES, 3 NO, 1 UNSURE of 6 judged; 1 unfinished" in text
    assert "2 accepted, where luck alone would give about 0.2" in text
    assert "20s saved (11%)" in text
    assert Totals.of(ledger()).told() == []


def test_a_no_with_a_gain_is_explained_below_the_table():
    assert RULE.d_min == WORTH
    gained, lost = row(1, "a", 0, "NO", 0.0003), row(2, "b", 0, "NO", -0.01)
    (line,) = [line for line in Totals.of(ledger(CARVANA[0], gained, lost)).told() if "worth having" in line]
    assert line == (
        "a NO with a gain may help a little; a gain worth having (1.5 noise floors, mostly about 0.00060) is unlikely"
    )
    assert "worth having" not in "\n".join(Totals.of(ledger(CARVANA[0], lost)).told())


def test_second_seeds_may_cost_more_than_they_save():
    sums = Totals.of(ledger(CARVANA[0], row(1, "a", 0, "UNSURE", 0.0, folds=3, seeds=2)))
    assert sums.saved_seconds == -30
    assert "30s more, for second seeds" in sums.told()[-1]


def test_csv_has_every_number_in_full_and_no_formulas():
    evil = row(1, "a", 0, "NO", 1 / 3, why='=HYPERLINK("x")', link="@x", change='a, "b" -> c')
    (got,) = list(csv.DictReader(io.StringIO(to_csv(ledger(CARVANA[0], evil)))))[1:]
    assert (float(got["gain"]), got["why"], got["link"]) == (1 / 3, '\'=HYPERLINK("x")', "'@x")
    assert got["change"] == 'a, "b" -> c'
    assert (got["champion"], got["verdict"]) == ("0", "NO")
    assert harmless("plain") == "plain"


def test_markdown_escapes_what_would_be_markup():
    text = to_markdown(ledger(CARVANA[0], row(1, "a", 0, "NO", -0.001, change="loss.terms {bce = 1} -> a|b <b>*")))
    assert "loss.terms \\{bce = 1\\} -\\> a\\|b \\<b\\>\\*" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {9}


def test_latex_is_a_table_without_stars():
    text = to_latex(ledger(*CARVANA))
    assert "*" not in text
    assert r"\raggedright\leftskip=0em \textbf{vgg11}: " in text
    assert r"\raggedright\leftskip=1em sgd: " in text
    assert r"optim.\allowbreak{}lr 0.001 $\to$ 0.00" in text
    assert "longtable" not in text
    assert "$0.5105 \\pm 0.0100$" in text.replace("0.5100", "0.5105")
    assert "$+0.0011 \\pm 0.0004$" in text
    assert text.count(r" \\") == 1 + len(CARVANA)
    rows = [row(0, "baseline", None), *(row(n, f"t{n}", 0) for n in range(1, 40))]
    long = to_latex(ledger(*rows))
    assert long.index(r"\endhead") < long.index("baseline") < long.index(r"\end{longtable}")
    assert r"\begin{table}" not in long
    assert in_latex("50% of a_b & {c} ± 1 \x1b[31m") == "50\\% of a\\_b \\& \\{c\\} $\\pm$ 1 \ufffd[31m"


def test_of_samples_that_gained_only_those_that_did_are_shown():
    def of(*gains):
        return Gains("dice", [Gain(f"s{n}", "g", 0, 0.5, 0.5 + gain, gain) for n, gain in enumerate(gains)])

    few = of(0.2, 0.1, 0.0, -0.3)
    assert [s.id for s in few.gained] == ["s0", "s1"]
    assert [s.id for s in few.lost] == ["s3"]
    assert of(0.2, 0.1).lost == of(-0.1).gained == []
    many = of(*(0.1 * n for n in range(9, -10, -1)))
    assert [s.gain for s in many.gained] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert [s.gain for s in many.lost] == pytest.approx([-0.9, -0.8, -0.7, -0.6, -0.5, -0.4])
    assert few.told() == "of 4 samples 2 gained, 1 lost, 1 as before (by dice)"


def test_text_cannot_steer_a_terminal():
    assert "\x1b" not in "\n".join(table(ledger(CARVANA[0], row(1, "a", 0, change="\x1b[2J\nx -> y"))))
    assert printable("a\tb\n c") == "a b c"
    assert (cut("abcdefghij", 5), cut("abc", 5), cut("abc", 1)) == ("ab…ij", "abc", "…")
    assert (signed(0.00012, 3), signed(-0.0004, 3), signed(0.0016, 3)) == ("0.000", "0.000", "+0.002")


def test_near_the_line_are_those_that_careful_mode_would_go_on_with():
    close = row(1, "close", 0, "NO", 0.0003, se=0.0004)  # 0.0003 + 1.28 * 0.0004 is beyond 1.5 floors of 0.0004
    best = row(2, "best", 0, "NO", 0.0005, se=0.0004)
    far, worse = row(3, "far", 0, "NO", 0.0001, se=0.0002), row(4, "worse", 0, "NO", -0.0001, se=0.0009)
    spent = row(5, "spent", 0, "UNSURE", 0.0005, folds=3, seeds=2)
    found = near_the_line(ledger(CARVANA[0], close, best, far, worse, spent))
    assert [n.entry.name for n in found] == ["best", "close"]
    assert found[0].again() == "podium resume 2 --careful"
    assert "+0.0005 ± 0.0004, NO after 1 fold run   podium resume 2 --careful" in told(found, 4)[1]
    assert "no attempt is near the line" in told([], 4)[0]


def test_what_the_champion_has_by_now_is_not_near_the_line():
    close = row(1, "close", 0, "NO", 0.0003)
    again = row(2, "again", 0, "YES", 0.001, change=close["change"], crowned="2026-02-01")
    assert near_the_line(ledger(CARVANA[0], close, again)) == []


# ------------------------------------------------------------------ curves

OWN = [
    Curve(f, 0, {"score": [(e, 0.5 + 0.04 * e + f / 100) for e in range(1, 11)], "loss": [], "val_loss": []})
    for f in (0, 1)
]
PARENT = [Curve(0, 0, {"score": [(e, 0.4 + 0.04 * e) for e in range(1, 11)], "loss": [(1, 0.5)], "val_loss": []})]


def test_the_mean_of_curves_where_half_of_them_are():
    short = Curve(2, 0, {"score": [(1, 0.0)], "loss": [], "val_loss": []})
    assert mean_curve(OWN, "score")[0] == (1, pytest.approx(0.545))
    assert [epoch for epoch, _ in mean_curve([*OWN, short], "score")] == [*range(1, 11)]
    assert [epoch for epoch, _ in mean_curve([OWN[0], short, short], "score")] == [1]


def test_curves_in_the_terminal():
    lines = to_text([mean_curve(OWN, "score"), mean_curve(PARENT, "score")], up=True)
    assert len(lines) == 11
    rows = ["".join(line) for line in lines]
    first_star, first_dot = (next(n for n, r in enumerate(rows) if mark in r) for mark in "*·")
    assert first_star < first_dot, "the attempt is above its parent"
    assert rows[-1].split() == ["epoch", "1", "10"]
    assert to_text([[(1, 0.5)]], up=True) == []
    low, high = limits([[(e, 0.0 if e == 1 else 0.9 + e / 1000) for e in range(1, 21)]], up=True)
    assert low > 0.85
    assert high > 0.92


def test_curves_as_a_picture():
    svg = to_svg(scene("attempt 1 <a & b>", "dice", OWN, PARENT, up=True))
    root = ET.fromstring(svg)
    lines = [e for e in root.iter() if e.tag.endswith("polyline") and e.get("class") != "grid"]
    kinds = [e.get("class") for e in lines]
    assert kinds.count("one") == 2
    assert kinds.count("parent one") == 2  # its score, and a loss of one epoch
    for line in lines:
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 940
            assert 0 <= y <= 360
    assert "attempt 1 <a & b>" in "".join(root.itertext())
    assert "not measured" in "".join(ET.fromstring(to_svg(scene("x", "dice", [], [], up=True))).itertext())


def test_what_lies_outside_the_panel_is_not_drawn():
    line = [(1, 0.0), (2, 2.0), (3, 2.0), (4, 1.0), (5, 0.8), (6, -1.0)]
    assert list(_pieces(line, 0.5, 1.5)) == [
        [(1.25, 0.5), (1.75, 1.5)],
        [(3.5, 1.5), (4, 1.0), (5, 0.8), pytest.approx((5 + 0.3 / 1.8, 0.5))],
    ]
    assert list(_pieces([(1, 3.0), (2, 3.0)], 0.5, 1.5)) == list(_pieces([(1, 3.0)], 0.5, 1.5)) == []
    assert ticks(0.71, 0.953) == pytest.approx([0.75, 0.8, 0.85, 0.9, 0.95])
    assert ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_a_fold_run_of_more_epochs_than_the_others_stays_in_its_panel():
    """By the clock, fold runs differ in their epochs; the mean ends where half of them do."""
    curves = [
        Curve(f, 0, {"score": [(e, 0.5 + e / 50) for e in range(1, epochs)], "loss": [], "val_loss": []})
        for f, epochs in enumerate((4, 4, 9))
    ]
    lines = [s for s in scene("x", "dice", curves, [], up=True) if isinstance(s, Stroke) and s.points[0][1] > 20]
    assert [s.kind for s in lines].count("one") == 3
    assert max(x for s in lines for x, _ in s.points) == WIDTH - 14, "the right margin; the loss panel is empty"


def test_curves_as_pixels():
    val = [Curve(0, 0, {"score": [(1, 0.5), (9, 0.9)], "loss": [(1, 0.9), (9, 0.1)], "val_loss": [(1, 1), (9, 0.2)]})]
    shapes = scene("attempt 1 <a & b>", "dice", val, PARENT, up=True)
    picture = Image.open(io.BytesIO(to_png(shapes)))
    assert picture.size == (4 * WIDTH, 2 * HEIGHT)
    pixels = np.asarray(picture.convert("RGB"))

    def share_of_blue(kind, left):
        stroke = next(s for s in shapes if isinstance(s, Stroke) and s.kind == kind and left <= s.points[0][0])
        (x0, y0), (x1, y1) = stroke.points
        steps = np.linspace(0.05, 0.95, 500)
        x, y = (np.round(2 * (a + steps * (b - a))).astype(int) for a, b in ((x0, x1), (y0, y1)))
        return (np.abs(pixels[y, x].astype(int) - (31, 95, 168)).sum(1) < 30).mean()

    assert share_of_blue("mean", 0) > 0.95
    assert 0.4 < share_of_blue("mean val", WIDTH) < 0.75, "dashes, and gaps between them"


def test_an_empty_ledger_has_every_view():
    assert branches(ledger()) == talk(ledger()) == near_the_line(ledger()) == []
    assert len(to_csv(ledger()).splitlines()) == 1
    assert "tabular" in to_latex(ledger())
    assert to_markdown(ledger()).startswith("| id |")
