"""Checks of data sets: every error that a user meets in practice, found before training."""

from robot_skills.data.validation.checks import KINDS
from robot_skills.data.validation.run import Report, by_kind, check_before_training, validate

__all__ = ["KINDS", "Report", "by_kind", "check_before_training", "validate"]
