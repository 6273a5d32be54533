"""podium's own architectures, each by the same tests."""

from __future__ import annotations

from model_tester import BaseModelTester

from podium.models import MODELS


class TestUNet(BaseModelTester):
    settings = "arch=unet width=0.125"


class TestUNetGroupNorm(BaseModelTester):
    settings = "arch=unet width=0.25 norm=group upsample=bilinear depth=3"
    learnt = (60, 5e-3, 0.4)


class TestUNetDeconv(BaseModelTester):
    settings = "arch=unet width=0.25 norm=none upsample=deconv depth=4"


class TestUNetSmall(BaseModelTester):
    settings = "arch=unet_small width=0.25"


class TestUNetSupervised(BaseModelTester):
    settings = "arch=unet_small width=0.25 supervised=2"


class TestSegNet(BaseModelTester):
    settings = "arch=segnet width=0.125"
    bf16_error = 0.8


class TestFCN32s(BaseModelTester):
    settings = "arch=fcn32s width=0.0625"
    learnt = (45, 2e-3, 0.5)  # blocks of 32 pixels, and half of the features dropped


class TestFCN16s(BaseModelTester):
    settings = "arch=fcn16s width=0.0625"
    learnt = (45, 2e-3, 0.3)


class TestFCN8s(BaseModelTester):
    settings = "arch=fcn8s width=0.0625"
    learnt = (45, 2e-3, 0.3)


class TestPSPNet(BaseModelTester):
    settings = "arch=pspnet width=0.0625"
    bf16_error = 1.0


class TestPSPNet101(BaseModelTester):
    settings = "arch=pspnet encoder=resnet101 width=0.0625"
    bf16_error = 1.0


class TestTernausNet11(BaseModelTester):
    settings = "arch=ternausnet11 width=0.125"


class TestTernausNet11Bilinear(BaseModelTester):
    settings = "arch=ternausnet11 width=0.25 upsample=bilinear"


class TestTernausNet16(BaseModelTester):
    settings = "arch=ternausnet16 width=0.125"


class TestTernausNet16Bilinear(BaseModelTester):
    settings = "arch=ternausnet16 width=0.125 upsample=bilinear"


class TestLinkNet34(BaseModelTester):
    settings = "arch=linknet34 width=0.125"


class TestAlbuNet34(BaseModelTester):
    settings = "arch=albunet34 width=0.125"


class TestAlbuNet34Deconv(BaseModelTester):
    settings = "arch=albunet34 width=0.125 upsample=deconv"


def test_every_architecture_of_podium_is_here() -> None:
    tested = {test.config().arch for test in BaseModelTester.__subclasses__() if hasattr(test, "settings")}
    own = {name for name, spec in MODELS.items() if spec.dense and not name.startswith("smp.")}
    assert own <= tested
