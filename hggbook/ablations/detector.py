"""How much of the grouping losses' gradient should enter the detector: joint training from one and the same detector.

The paper weighs its grouping losses by 1e-5 and says that they improve the detector itself (Table 2, #6 against #1).
"""

from collections.abc import Sequence
from typing import Any

from hggbook.ablations.joint import JointStudy, run_joint
from hggbook.ablations.rows import Row

FACTORS = (0.0, 1e-5, 1e-3, 1e-1)


def run_factors(study: JointStudy, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Each of `FACTORS` with every seed. Paper: Table 2, #6 against #1; sec. 3.3 (loss weights)."""
    return [
        run_joint(study, Row(f"factor {factor:g}", "factor", (f"loss.into_detector={factor}",)), seed)
        | {"factor": factor}
        for seed in seeds
        for factor in FACTORS
    ]


__all__ = ["FACTORS", "run_factors"]
