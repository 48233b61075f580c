"""Models as trainers have them: wrapped, class-conditional, of latents, and files of other programs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from safetensors.torch import save_file  # noqa: E402

from kappaflow.models.adapters import from_diffusers  # noqa: E402
from kappaflow.models.layout import tensor_shape, to_rows, to_tensor  # noqa: E402
from kappaflow.models.opening import open_denoiser  # noqa: E402
from tiny_unet import tiny_unet  # noqa: E402

# Torch's __array__ has no copy keyword yet, which NumPy says where diffusers makes arrays of its schedules.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings(
        "ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"
    ),  # from torch.compile
]


def averaged(network: Any) -> Any:
    """An average of weights as torch keeps it; after one update it is the network itself."""
    copy = torch.optim.swa_utils.AveragedModel(network)
    copy.update_parameters(network)
    return copy


def two_models(network: Any) -> Any:
    """As ema_pytorch keeps them: the average beside the network that trains."""
    other = tiny_unet()
    torch.nn.init.zeros_(other.conv_out.weight)
    return SimpleNamespace(ema_model=network, model=other, online_model=other)


WRAPPERS = {
    "DataParallel": torch.nn.DataParallel,
    "torch.compile": torch.compile,
    "AveragedModel": averaged,
    "AveragedModel of DataParallel": lambda network: averaged(torch.nn.DataParallel(network)),
    "compiled DataParallel": lambda network: torch.compile(torch.nn.DataParallel(network)),
    "ema_pytorch": two_models,
}


def answer(denoiser: Any) -> Any:
    x = torch.linspace(-1, 1, 128).reshape(2, 1, 8, 8)
    return denoiser(x, torch.tensor([0.3, 2.0]))


@pytest.mark.parametrize("name", WRAPPERS)
def test_wrapped_networks_are_unwrapped(name: str) -> None:
    schedule = diffusers.DDPMScheduler()
    expected = answer(from_diffusers(tiny_unet(), schedule))
    found = from_diffusers(WRAPPERS[name](tiny_unet()), schedule)
    torch.testing.assert_close(answer(found), expected)
    assert found.image_shape == (1, 8, 8)
    assert "UNet2DModel" in found.description


def test_pipelines_with_a_wrapped_network() -> None:
    pipeline = diffusers.DDPMPipeline(tiny_unet(), diffusers.DDPMScheduler())
    expected = answer(from_diffusers(pipeline))
    pipeline.unet = torch.compile(pipeline.unet)
    torch.testing.assert_close(answer(from_diffusers(pipeline)), expected)


def test_an_average_without_a_network_says_how_to_get_one() -> None:
    from diffusers.training_utils import EMAModel

    unet = tiny_unet()
    words = "EMAModel, which holds averaged weights without a network: .*copy_to"
    with pytest.raises(ValueError, match=words):
        from_diffusers(EMAModel(unet.parameters()), diffusers.DDPMScheduler())


def test_what_is_no_network_of_diffusers_is_named() -> None:
    for model in (torch.nn.Linear(2, 2), torch.nn.DataParallel(torch.nn.Linear(2, 2)), object()):
        with pytest.raises(
            ValueError, match=r"model must be a pipeline or a network of diffusers, got (Linear|object).*D\(x, sigma\)"
        ):
            from_diffusers(model, diffusers.DDPMScheduler())
    with pytest.raises(
        ValueError, match=r"model must be a pipeline or a network of diffusers, got OrderedDict.*load_state_dict"
    ):
        from_diffusers(tiny_unet().state_dict(), diffusers.DDPMScheduler())


def a_pipeline() -> Any:
    return diffusers.DDPMPipeline(tiny_unet(num_class_embeds=3), diffusers.DDPMScheduler())


def takes_label_itself() -> Any:
    return lambda x, sigma: x / 2


def test_label_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    pipeline = a_pipeline()
    pipeline.save_pretrained(tmp_path / "classes")
    answers = [answer(open_denoiser(tmp_path / "classes", label=label)) for label in (0, 2)]
    assert not torch.allclose(answers[0], answers[1])
    torch.testing.assert_close(answer(from_diffusers(pipeline, label=2)), answers[1])
    torch.testing.assert_close(answer(open_denoiser("test_opening:a_pipeline", label=2)), answers[1])
    for wrong in (None, 3):
        with pytest.raises(ValueError, match=f"label must be a class of the model, 0 to 2, got {wrong}"):
            open_denoiser(tmp_path / "classes", label=wrong)
    with pytest.raises(
        ValueError, match="label needs a class-conditional model, got 1 for 'test_opening:takes_label_itself'"
    ):
        open_denoiser("test_opening:takes_label_itself", label=1)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((16, 8, 8), (16, 8, 8)),
        ((2, 8, 8), (2, 8, 8)),
        ((8, 8, 2), (2, 8, 8)),
        ((8, 8, 16), (16, 8, 8)),
        ((5, 8, 12), (5, 8, 12)),
        ((32, 8, 8), (32, 8, 8)),
        ((1, 8, 8), (1, 8, 8)),
        ((4, 8, 8), (4, 8, 8)),
        ((8, 8, 3), (3, 8, 8)),
    ],
)
def test_any_number_of_channels(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert tensor_shape(shape) == expected
    rows = torch.arange(2.0 * torch.Size(shape).numel(), dtype=torch.float64).reshape(2, -1).numpy()
    images = to_tensor(rows, shape, torch.float64)
    assert images.shape == (2, *expected)
    assert (to_rows(images, shape) == rows).all()
    first = rows[0].reshape(shape)
    channel = first[0] if shape[1:] == expected[1:] else first[..., 0]
    assert (images[0, 0].numpy() == channel).all()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".onnx", ".h5", ".msgpack"])
def test_files_of_other_programs(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix in (".pkl", ".pickle"):
        path.write_bytes(pickle.dumps({"weights": [1.0]}))
    else:
        torch.save(tiny_unet().state_dict(), path)
    with pytest.raises(ValueError, match=r"is a .* file, which is never loaded.*module:name") as caught:
        open_denoiser(path)
    assert "header" not in str(caught.value)


def test_weights_and_folders_that_are_no_pipeline(tmp_path: Path) -> None:
    save_file(tiny_unet().state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"holds weights of another program.*folder of its pipeline.*module:name"):
        open_denoiser(tmp_path / "weights.safetensors")
    tiny_unet().save_pretrained(tmp_path / "unet")
    with pytest.raises(ValueError, match=r"is the folder of a UNet2DModel without its scheduler.*save_pretrained"):
        open_denoiser(tmp_path / "unet")
    with pytest.raises(FileNotFoundError, match=r"'google/ddpm-cifar10-32' .*nothing is ever downloaded.*folder"):
        open_denoiser("google/ddpm-cifar10-32")


def test_parts_that_are_empty_are_no_parts(tmp_path: Path) -> None:
    pipeline = diffusers.DDPMPipeline(tiny_unet(), diffusers.DDPMScheduler())
    pipeline.save_pretrained(tmp_path / "pipeline")
    index = tmp_path / "pipeline" / "model_index.json"
    former = json.loads(index.read_text())
    for empty in ([None, None], None, []):
        index.write_text(json.dumps(former | {"vae": empty, "transformer": empty}))
        assert open_denoiser(tmp_path / "pipeline").image_shape == (1, 8, 8)
