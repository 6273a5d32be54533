"""`podium verdict --simulate`."""

from running import ok, podium


def test_it_prints_a_table_a_page_or_json(tmp_path):
    few = ("verdict", "--simulate", "--attempts", "100", "--scenario", "harmful")
    assert "true loss of 2 run-sds" in ok(tmp_path, *few).out
    assert ok(tmp_path, *few, "--markdown").out.startswith("# How often the verdict is right, in simulation")
    row = ok(tmp_path, *few, "--json").json[0]
    assert (row["name"], row["attempts"], row["bounds"][0]["holds"]) == ("harmful", 100, True)


def test_wrong_usage(tmp_path):
    assert podium(tmp_path, "verdict").code == 2
    ran = podium(tmp_path, "verdict", "--simulate", "--scenario", "gain3")
    assert ran.code == 1
    assert "did you mean 'gain-3'?" in ran.err
