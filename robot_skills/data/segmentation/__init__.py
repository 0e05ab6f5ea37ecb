"""Skills out of recordings that nobody has segmented: three methods, and scores where the truth is known."""

from robot_skills.data.segmentation.methods import METHODS, SegmentationConfig, segment
from robot_skills.data.segmentation.segments import Segment
from robot_skills.data.segmentation.traces import Trace, traces

__all__ = ["METHODS", "Segment", "SegmentationConfig", "Trace", "segment", "traces"]
