"""The named scenarios: what is said, when, and what is measured.

Each is a module-level `Scenario`; the names are those of the command line.
"""

from __future__ import annotations

from voicecore.bench.scenarios.disturbances import DISTURBANCES
from voicecore.bench.scenarios.interruptions import INTERRUPTIONS
from voicecore.bench.scenarios.load import CROWD, IDLE
from voicecore.bench.scenarios.scenario import Scenario, Stage
from voicecore.bench.scenarios.turns import PAUSES, QUESTIONS, SHORT

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (QUESTIONS, PAUSES, SHORT, INTERRUPTIONS, DISTURBANCES, IDLE, CROWD)
}

__all__ = ["SCENARIOS", "Scenario", "Stage"]
