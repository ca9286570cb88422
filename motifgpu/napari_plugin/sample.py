"""Sample data: simulated monolayers with vacancies and dopants."""

from __future__ import annotations

from motifgpu.napari_plugin.layers import LayerData, analysis_layers, image_layer


def analyzed() -> list[LayerData]:
    """Return the micrograph of the demonstration with all that is found in it."""
    from motifgpu.demo import simulated

    return analysis_layers(simulated()[1])


def micrograph() -> list[LayerData]:
    """Return a micrograph to be analysed: WS2 at 10 counts."""
    from motifgpu import simulate
    from motifgpu.io.micrograph import Micrograph

    truth = simulate.monolayer("WS2", counts=10.0, vacancies=0.04, dopants={"Mo": 0.03}, seed=3)
    return [image_layer(Micrograph(truth.image, truth.pixel_size_nm, "simulated", "Simulated WS2"))]
