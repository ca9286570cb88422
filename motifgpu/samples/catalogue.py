"""Which samples there are, what they show, and where they are from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Sample:
    """A micrograph to try things on.

    Attributes
    ----------
    file : str
        Name of its file.
    about : str
        What it shows.
    licence : str
    address : str
        Where it is fetched from; empty for those that come with motifgpu.
    sha256 : str
        Of the file.

    Examples
    --------
    Which samples need no network?

    >>> from motifgpu import samples
    >>> [name for name, sample in samples.SAMPLES.items() if not sample.address]
    ['MoSe2_defects', 'MoSe2_twin', 'perovskite']
    """

    file: str
    about: str
    licence: str
    address: str
    sha256: str


_OURS = "BSD-3-Clause"
# As of a commit each, which does not change.
_WSE2 = (
    "https://raw.githubusercontent.com/jiadongdan/random-defect-model/b058e897d80a6c3633491950475bdd01f5326d03/"
    "process/combine%20pts%20and%20lbs/Ti/"
)
_SEGNET = "https://raw.githubusercontent.com/xinhuolin/AtomSegNet/fe317bab38d9ecee7762c60d98c3b986ab51be01/test_img/"

SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "MoSe2_defects": Sample(
            "MoSe2_defects.tif",
            "simulated: a monolayer of MoSe2 with Se vacancies, double vacancies and W atoms",
            _OURS,
            "",
            "",
        ),
        "MoSe2_twin": Sample(
            "MoSe2_twin.tif", "simulated: a twin boundary in a monolayer of MoSe2", _OURS, "", ""
        ),
        "perovskite": Sample("perovskite.tif", "simulated: a perovskite along [001]", _OURS, "", ""),
        "WSe2_Ti_adf1": Sample(
            "WSe2_Ti_adf1.dm4",
            "measured: a monolayer of WSe2 with Ti, ADF, in which W is brighter",
            "MIT, J. Dan 2024",
            _WSE2 + "1028_ADF1_11.dm4",
            "423877263ac94c748e6d19420c476a27cecd7a62b6994a5da22cbac8a7d7663d",
        ),
        "WSe2_Ti_adf2": Sample(
            "WSe2_Ti_adf2.dm4",
            "measured: the same, by another detector, in which Se2 is brighter",
            "MIT, J. Dan 2024",
            _WSE2 + "1028_ADF2_11.dm4",
            "25a19922d14bb4053513ad12cb6ce5caef0ed497f01e383bd9c34432da1d2a5b",
        ),
        "DyScO3": Sample(
            "DyScO3.png",
            "measured: a perovskite oxide, DyScO3",
            "MIT, X. Lin 2019",
            _SEGNET + "10_dso_8nm_none_none.png",
            "6524711eacb8b4f0f863abdc76025fd9f0133dffad4622a2dd57c6aa2fd340c7",
        ),
        "Au_boundary": Sample(
            "Au_boundary.png",
            "measured: a grain boundary in gold",
            "MIT, X. Lin 2019",
            _SEGNET + "Grain_boundry_gold_512px.png",
            "7c071fd2f9fb723e0810992962535e3fb7c7e2b4342c469a68944848d3351ac5",
        ),
    }
)
