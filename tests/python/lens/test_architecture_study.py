"""The study of architectures and its window, for any kind of data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import kappaflow as kf
from architecture_cases import (
    rng,
    two_channels,
)
from kappaflow.lens.architecture import (
    PatchDenoiser,
    architecture_study,
)
from kappaflow.lens.stationary import SpectralStatistics


# ---------------------------------------------------------------- the study and its window
def digits() -> kf.Population:
    from sklearn.datasets import load_digits

    return kf.Population.from_samples(load_digits().images / 8 - 1)


def colours() -> kf.Population:
    """Smooth colour pictures, fewer than they have pixels."""
    noise = rng(13).standard_normal((60, 8, 6, 3)).cumsum(axis=1).cumsum(axis=2)
    return kf.Population.from_samples(noise / np.abs(noise).max() @ np.array([[1, 0.5, 0.2], [0, 1, 0.4], [0, 0, 1]]))


def vectors() -> kf.Population:
    return kf.Population.from_samples(rng(14).standard_normal((25, 40)).cumsum(axis=1))


POPULATIONS = {
    "digits": digits,
    "colours": colours,
    "vectors": vectors,
    "two channels": two_channels,
    "spectrum": lambda: kf.Population.from_spectrum([3.0, 1.0, 0.5, 0.0]),
    "pair": lambda: kf.Population.from_covariance(np.eye(2)),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_a_study_fills_its_window(name: str) -> None:
    pytest.importorskip("matplotlib")
    if name == "digits":
        pytest.importorskip("sklearn")
    from kappaflow.report.lens.architecture import section

    p = POPULATIONS[name]()
    study = architecture_study(p)
    shown = section(study)
    assert shown.name == "architecture"
    assert len(shown.pictures) == 5
    assert len(shown.tables) == 3
    assert all(text and "nan" not in text and "inf " not in text for text in shown.takeaways)
    for table in shown.tables:
        assert len({len(values) for values in table.columns.values()}) == 1
    for picture in shown.pictures:
        assert "nan" not in picture.alternative
        figure = picture.draw()
        figure.draw_without_rendering()
        assert all(ax.has_data() for ax in figure.axes)


def test_a_study_holds_what_its_parts_say() -> None:
    p = colours()
    study = architecture_study(p, patches=(3,), sigma=[0.1, 1.0], samples=2, seed=5)
    denoiser = PatchDenoiser.fit(p, patch=3, padding="zero")
    one = study.find("patch 3, zero padding")
    np.testing.assert_allclose(one.loss, denoiser.loss(np.array([0.1, 1.0])) / p.dimension)
    assert one.generated is not None
    assert one.weights == 81
    noise = rng(5).standard_normal((2, p.dimension))
    np.testing.assert_allclose(one.generated.samples, denoiser.law().from_noise(noise))
    assert study.variance == pytest.approx(p.total_variance / p.dimension)
    power = np.einsum("...aa->...", SpectralStatistics.of(p).spectra).real / 3
    assert study.spectrum[0] == pytest.approx(power[0, 0])
    assert study.autocovariance[0] == pytest.approx(study.variance)
    assert study.frequencies[0] == 0
    assert study.locality == ()
    assert dict(study.commutators)["convolution"] < 1e-13
    assert dict(study.commutators)["patch 3"] > 1e-4
    with pytest.raises(KeyError, match="name must be one of mean image"):
        study.find("transformer")


def test_a_study_refuses_even_patches_and_leaves_out_what_holds_the_image() -> None:
    with pytest.raises(ValueError, match="patches must be odd"):
        architecture_study(vectors(), patches=(4,))
    names = [s.name for s in architecture_study(kf.Population.from_covariance(np.eye(9), shape=(3, 3))).studied]
    assert not any("patch" in name for name in names)


def test_the_example_of_the_page_runs() -> None:
    page = (Path(__file__).parents[3] / "docs/lens/architecture.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "architecture.md", "exec"), {})


def test_results_have_a_short_repr_and_a_table() -> None:
    study = architecture_study(kf.Population.from_covariance(np.diag([3.0, 1.0, 0.5])), sigma=[0.1, 1.0])
    assert len(repr(study)) < 900
    assert repr(study.find("linear")) == (
        "Studied(name='linear', kind='linear', bias='image', padding='', patch=(), weights=9, loss=array (2,), "
        "generated=Generated(…))"
    )
    pytest.importorskip("pandas")
    table = study.to_dataframe()
    assert list(table.columns) == ["sigma", *(each.name for each in study.studied)]
    np.testing.assert_array_equal(table["linear"], study.find("linear").loss)
