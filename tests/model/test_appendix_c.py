"""The paper's configurations against Appendix C, line by line."""

import pytest

from keras_ddr import DDR, InputError

pytestmark = pytest.mark.backend


@pytest.mark.parametrize(
    ("name", "channels", "dim_f"),
    [("mmnist", 1, 64), ("sprites", 3, 256), ("affwild", 3, 512)],
)
def test_kernel_shapes(name, channels, dim_f):
    model = DDR.from_preset(name)
    assert model.frames_per_set == 3 and model.dynamic_dim == 2

    def kernels(layer):
        return [tuple(w.shape) for w in layer.trainable_weights if w.name == "kernel"]

    assert kernels(model.frame_encoder) == [
        (4, 4, channels, 256),
        (4, 4, 256, 256),
        (4, 4, 256, 256),
        (4, 4, 256, 256),
    ]
    assert kernels(model.static_encoder) == [
        (3, 3, 512, 512),  # Conv_C, on the concatenation of two maps of 256
        (3, 3, 1536, 512),  # Conv_F, on the concatenation of three pairs
        (4 * 4 * 512, 512),
        (512, 2 * dim_f),
    ]
    assert kernels(model.dynamic_encoder) == [
        (dim_f + 4 * 4 * 256, 512),
        (512, 512),
        (512, 4),
    ]
    assert kernels(model.prior) == [(dim_f, 512), (512, 512), (512, 4)]
    assert kernels(model.frame_decoder) == [
        (dim_f + 2, 4 * 4 * 256),  # the dense layer that Appendix C leaves out
        (4, 4, 256, 256),  # transposed: output channels come before input channels
        (4, 4, 256, 256),
        (4, 4, 256, 256),
        (4, 4, channels, 256),
    ]
    # 19 kernels, 19 biases, nothing else.
    assert len(model.trainable_weights) == 38
    # Appendix C's dense 1024 is dim f 512.
    assert kernels(model.static_encoder)[-1][1] == 1024 or name != "affwild"
    for convolution in model.frame_encoder.convolutions:
        assert convolution.strides == (2, 2)
    for deconvolution in model.frame_decoder.deconvolutions:
        assert deconvolution.strides == (2, 2)


def test_paper_training():
    for name, steps in (("mmnist", 60_000), ("sprites", 43_000)):
        training = DDR.presets[name].training
        assert training["batch_size"] == 120
        assert training["learning_rate"] == 1e-4
        assert training["schedule"] == "constant"
        assert training["steps"] == steps


def test_names_and_overrides():
    model = DDR.from_preset("tiny", image_shape=(64, 64, 1), dynamic_dim=3)
    assert model.image_shape == (64, 64, 1) and model.dynamic_dim == 3
    with pytest.raises(InputError, match="preset 'huge' is not known; use one of"):
        DDR.from_preset("huge")
    model = DDR.from_preset("small", image_shape=(16, 16, 1), filters=2)
    model.compile()
    assert (model.objective.kl_weight, model.objective.static_kl_weight) == (2, 0.5)
