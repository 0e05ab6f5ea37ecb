"""The three methods, by name, with one configuration: recordings in, segments with their clusters out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from robot_skills.data.segmentation import buds, gripper, sbd
from robot_skills.data.segmentation.clusters import descriptions, spectral
from robot_skills.data.segmentation.features import FeatureConfig, Progress, features
from robot_skills.data.segmentation.segments import Segment, between, relabel
from robot_skills.data.segmentation.traces import Array, Trace
from robot_skills.policies.settings import check_choice, check_range

METHODS = ("buds", "sbd", "gripper")


@dataclass(frozen=True)
class SegmentationConfig:
    """A method and its settings; the defaults were chosen on recordings of other seeds.

    Attributes:
        method: one of `METHODS`.
        skills: K, clusters that segments are sorted into. More than the skills one expects: a skill done in
            two places makes two clusters, and a cluster of two skills cannot be told apart later.
        features: of the clusters, and of BUDS's trees.
        seen: what SBD's action model sees of a step besides the states and actions before it.
        buds, sbd, gripper: of the method of that name.
        seed: of everything that is drawn.
    """

    method: str = "sbd"
    skills: int = 10
    features: FeatureConfig = field(default_factory=FeatureConfig)
    seen: FeatureConfig = field(default_factory=lambda: FeatureConfig(kind="pca"))
    buds: buds.BudsConfig = field(default_factory=buds.BudsConfig)
    sbd: sbd.SbdConfig = field(default_factory=sbd.SbdConfig)
    gripper: gripper.GripperConfig = field(default_factory=gripper.GripperConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("method of segmentation", self.method, METHODS)
        check_range("skills", self.skills, 1)
        check_range("seed", self.seed, 0)


def segment(
    recordings: Sequence[Trace], config: SegmentationConfig, progress: Progress = lambda share: None
) -> list[Segment]:
    """Cut recordings into segments and sort these into recurring skills.

    Nothing is learned but from these recordings; labels are not looked at (`Trace` has none).

    Args:
        recordings: all of them.
        config: the method and its settings.
        progress: called with the share of the work that is done.

    Returns:
        The segments, in order; those of a recording cover it.

    Raises:
        InputError: there are fewer segments than skills, or scikit-learn is missing.
    """
    config = replace(config, features=replace(config.features, seed=config.seed))
    rows = features(recordings, config.features, lambda share: progress(0.4 * share))
    if config.method == "buds":
        found = buds.discover(recordings, rows, rows, config.skills, config.buds, config.seed)
        progress(1.0)
        return found
    cuts = _cuts(recordings, config, lambda share: progress(0.4 + 0.5 * share))
    segments = cluster(recordings, cuts, rows, config)
    progress(1.0)
    return segments


def cluster(
    recordings: Sequence[Trace],
    cuts: Sequence[Sequence[int]],
    rows: Sequence[Array],
    config: SegmentationConfig,
) -> list[Segment]:
    """The segments that cuts leave, sorted into skills by their features."""
    segments = [
        part
        for number, (trace, boundaries) in enumerate(zip(recordings, cuts, strict=True))
        for part in between(number, len(trace), boundaries)
    ]
    return relabel(segments, spectral(descriptions(segments, rows), config.skills, config.seed))


def _cuts(recordings: Sequence[Trace], config: SegmentationConfig, progress: Progress) -> list[list[int]]:
    """The rows at which each recording is cut."""
    if config.method == "gripper":
        return [gripper.cut(trace, config.gripper) for trace in recordings]
    seen = features(recordings, replace(config.seen, seed=config.seed), lambda share: progress(0.2 * share))
    settings = replace(config.sbd, seed=config.seed)
    errors = sbd.surprise(recordings, seen, settings, lambda share: progress(0.2 + 0.8 * share))
    return [sbd.cut(error, trace, settings) for error, trace in zip(errors, recordings, strict=True)]
