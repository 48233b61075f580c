"""The study of receptive fields and its window, for any kind of data."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.lens.receptive_field import (
    degrees_of_freedom,
    expected_degrees_of_freedom,
    field_size,
    local_equivariance_error,
    power_law_spectrum,
    receptive_field,
    receptive_field_study,
)
from kappaflow.report.lens.receptive_field import section
from kappaflow.report.look import save
from receptive_field_cases import circulant, dense, full_rank, rng


# ---------------------------------------------------------------- study, window and page
def digits() -> kf.Population:
    sklearn = pytest.importorskip("sklearn.datasets")
    return kf.Population.from_samples(sklearn.load_digits().images / 8 - 1)


def colour_patches() -> kf.Population:
    """Like patches of photos: smooth, coloured, fewer samples than dimensions."""
    spectrum = power_law_spectrum((8, 8), 4.0, 2.2, dc=60.0)
    noise = rng(20).standard_normal((100, 3, 8, 8))
    planes = np.fft.ifft2(np.fft.fft2(noise) * np.sqrt(spectrum)).real
    mixed = np.einsum("cd,ndhw->nhwc", [[1.0, 0.3, 0.1], [1.0, -0.1, 0.2], [1.0, 0.0, -0.3]], planes)
    return kf.Population.from_samples(mixed)


def signals() -> kf.Population:
    return kf.Population.from_samples(np.cumsum(rng(21).standard_normal((12, 30)), axis=1))


def tiny() -> kf.Population:
    """Too small for a window or a power law."""
    return kf.Population.from_covariance(np.diag([2.0, 1.0, 0.5]))


@pytest.mark.parametrize("make", [digits, colour_patches, signals, tiny])
def test_studies_and_windows(make: Any) -> None:
    p = make()
    study = receptive_field_study(p)
    view = section(study)
    assert view.name == "receptive-field"
    assert len(view.takeaways) >= 4
    names = {picture.name for picture in view.pictures}
    assert {"receptive_fields", "receptive_field_size", "receptive_field_degrees"} <= names
    assert len(names) == len(view.pictures) <= 5
    for picture in view.pictures:
        assert len(save(picture.draw(), ["png"])["png"]) > 5000
        assert "nan" not in picture.caption + picture.alternative
    for table in view.tables:
        assert len({len(values) for values in table.columns.values()}) == 1
        assert all(math.isfinite(v) for values in table.columns.values() for v in values if isinstance(v, float))
    assert "nan" not in " ".join(view.takeaways)


def test_what_a_study_holds() -> None:
    p = digits()
    study = receptive_field_study(p, sigma=[0.1, 1.0, 10.0], n=(40, 400))
    assert study.rank == 61
    np.testing.assert_allclose(study.degrees, [np.trace(dense(p, s)) for s in (0.1, 1.0, 10.0)], rtol=1e-9)
    assert degrees_of_freedom(p, study.half_sigma) == pytest.approx(61 / 2, rel=1e-9)
    np.testing.assert_allclose(degrees_of_freedom(p, study.shown), 61 * np.array(study.shares), rtol=1e-8)
    assert study.pixels["centre"] == (4, 4)
    assert study.pixels["corner"] == (0, 1)  # (0, 0) is always white
    np.testing.assert_array_equal(study.fields["centre"][2], receptive_field(p, study.shown[2], (4, 4)))
    assert (
        study.sizes["centre"]["participation"][1] == field_size(receptive_field(p, 1.0, (4, 4)), (4, 4)).participation
    )
    splits = kf.Splits(p, 40, population_is="exact")
    np.testing.assert_allclose(study.degrees_n[0], expected_degrees_of_freedom(splits, study.sigma))
    assert study.spread[1, 3] < study.spread[0, 3]
    assert study.identity_defect == pytest.approx(math.sqrt(3 / 64))
    np.testing.assert_allclose(study.equivariance, local_equivariance_error(p, study.sigma, radius=2))
    assert study.colour_share is None
    colour = receptive_field_study(colour_patches(), sigma=[0.5])
    j = dense(colour_patches(), 0.5).reshape(8, 8, 3, 192)[4, 4]
    j = j.reshape(3, 64, 3)
    same = sum(np.sum(j[c, :, c] ** 2) for c in range(3))
    assert colour.colour_share is not None
    assert colour.colour_share[0] == pytest.approx(1 - same / np.sum(j**2), rel=1e-8)


def test_a_stationary_population_follows_its_power_law() -> None:
    spectrum = power_law_spectrum((12, 12), 30.0, 2.0, dc=50.0)
    p = kf.Population.from_covariance(circulant(spectrum), shape=(12, 12))
    study = receptive_field_study(p, n=(50,))
    assert study.fit is not None
    assert study.fit.exponent == pytest.approx(2.0, abs=0.1)
    assert np.nanmax(study.equivariance) < 1e-20
    for measure, values in study.sizes["centre"].items():
        np.testing.assert_allclose(values, study.sizes["stationary"][measure], rtol=1e-7, atol=1e-9)
    assert "shifts of one field to rounding" in " ".join(section(study).takeaways)


def test_bad_studies() -> None:
    flat = kf.Population(np.zeros(4), np.ones(4), dimension=4, eigenvectors=np.eye(4), shape=(2, 2))
    with pytest.raises(ValueError, match="population must have a mode with variance"):
        receptive_field_study(flat)
    with pytest.raises(ValueError, match="population must have eigenmodes"):
        receptive_field_study(kf.Population.from_spectrum([2.0, 1.0]))
    with pytest.raises(ValueError, match="sigma must be ascending noise levels"):
        receptive_field_study(full_rank(), sigma=[1.0, 0.5])
    with pytest.raises(ValueError, match="n must hold at least one"):
        receptive_field_study(full_rank(), n=())
    with pytest.raises(ValueError, match="n must be an integer of at least 2"):
        receptive_field_study(full_rank(), n=(1,))


def test_the_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/lens/receptive-field.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "receptive-field.md", "exec"), {})
    assert "degrees of freedom" in capsys.readouterr().out


def test_results_have_a_short_repr_and_a_table() -> None:
    study = receptive_field_study(signals(), sigma=[0.1, 1.0])
    assert repr(study).startswith(
        f"ReceptiveFieldStudy(shape={study.layout.shape}, rank {study.rank}, 2 noise levels, n = "
    )
    assert len(repr(study)) < 200
    assert repr(field_size(np.array([0.0, 2.0, 0.0]), 1)) == "FieldSize(fwhm=1.0, r50=0.0, r90=0.0, participation=1.0)"
    pytest.importorskip("pandas")
    table = study.to_dataframe()
    np.testing.assert_array_equal(table["centre, participation"], study.sizes["centre"]["participation"])
    assert list(table["sigma"]) == [0.1, 1.0]
