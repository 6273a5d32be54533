"""What imports torch, and what must not."""

import subprocess
import sys
from pathlib import Path

import podium

BLOCK = """
import sys
sys.modules.update(dict.fromkeys(["torch", "lightning_fabric", "lightning"]))  # None: importing it is an ImportError
"""
ABOVE_THE_LINE = {"cli", "training", "models", "inference", "ensemble", "demo"}


def run(code, *args):
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def torch_free_modules():
    root = Path(podium.__file__).parent
    names = [p.relative_to(root).with_suffix("").parts for p in root.rglob("*.py")]
    free = [n for n in names if n[0] not in ABOVE_THE_LINE and n[-1] != "__main__"]
    return sorted(".".join(("podium", *(n[:-1] if n[-1] == "__init__" else n))) for n in free)


def test_the_block_blocks():
    done = subprocess.run([sys.executable, "-c", BLOCK + "import torch"], capture_output=True, text=True)
    assert "ModuleNotFoundError" in done.stderr


def test_every_module_below_the_line_imports_without_torch():
    modules = torch_free_modules()
    assert {"podium.data.store", "podium.host.board", "podium.ledger.attempts", "podium.workspace"} <= set(modules)
    run(BLOCK + "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *modules)


def test_podium_and_its_help_import_no_torch():
    assert "Workspace" in run(BLOCK + "import podium; print(podium.Workspace.__name__)")
    out = run(
        BLOCK + "from podium.cli import main\nsys.argv = ['podium', '--help']\ntry: main()\n"
        "except SystemExit as e: assert not e.code"
    )
    assert "prepare" in out


def test_training_and_predicting_load_nothing_that_only_tells_a_version():
    """Lightning asks torchmetrics for its version by importing it, and torchvision with it: seconds in each command."""
    heavy = "{'torchmetrics', 'torchvision', 'timm', 'sklearn', 'pandas', 'scipy.signal', 'scipy.stats'}"
    loaded = f"import sys, podium.training.fold_run, podium.inference.predict\nprint({heavy} & set(sys.modules))\n"
    assert run(loaded + "import torchmetrics\nprint(torchmetrics.__name__)").split("\n")[:2] == [
        "set()",
        "torchmetrics",
    ]
    first = "import torchmetrics\nfrom podium.training.fabric import Fabric\nimport sys\n"
    run(first + "assert sys.modules['torchmetrics'] is torchmetrics")  # a plug-in's stays
