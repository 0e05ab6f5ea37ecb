"""Scripted experts: they read simulator state, and their demonstrations teach policies that do not."""

from sim.experts.demonstration import Demonstration, demonstrate
from sim.experts.expert import Expert, expert_for

__all__ = ["Demonstration", "Expert", "demonstrate", "expert_for"]
