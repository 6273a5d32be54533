"""Lightning's Fabric, loaded without torchmetrics.

Fabric asks for the version of torchmetrics, where it is installed, by importing it, and that imports torchvision's
models, torch's compiler and scipy's signals: as long again as torch itself takes, before every training. Fabric needs
none of it here.
"""

from __future__ import annotations

import sys
from typing import Any

_blocked = "torchmetrics" not in sys.modules
if _blocked:
    nothing: Any = None
    sys.modules["torchmetrics"] = nothing  # to import it is an ImportError, as where it is not installed
try:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.wrappers import _FabricModule as FabricModule
    from lightning_fabric.wrappers import _FabricOptimizer as FabricOptimizer
finally:
    if _blocked:
        del sys.modules["torchmetrics"]

__all__ = ["DDPStrategy", "Fabric", "FabricModule", "FabricOptimizer", "LightningEnvironment"]
