"""The table of checks: what each looks for, from where on, and why.

Thresholds were set on 12,000 recordings of the tabletop's experts, 206 human ones of Push-T and 6 of a real
G1; `docs/data_validation.md` says how each of these came out.
"""

from __future__ import annotations

from robot_skills.data.validation import colours, pictures, rows, sets, timing
from robot_skills.data.validation.check import Check, Finding, Summary, Track
from robot_skills.data.validation.pictures import Film

ROWS: tuple[Check[Track], ...] = (
    Check("length_mismatch", "error", 0, "Rows of different arrays no longer belong together.", rows.lengths),
    Check("empty", "error", 2, "Steps. One row holds no motion to learn.", rows.empty),
    Check("nan", "error", 0, "One NaN makes every weight NaN at the first training step.", rows.not_finite),
    Check("action_limits", "error", 1e-3, "Share of the width: rounding is let pass.", rows.outside_limits),
)
#: These read numbers as numbers: they are left out where a number is not finite, or rows are missing.
MOTION: tuple[Check[Track], ...] = (
    Check(
        "time_gap",
        "error",
        0.5,
        "Periods. Half a step off, and the row next to it is nearer.",
        rows.time_gaps,
    ),
    Check(
        "frozen_state",
        "error",
        0.4,
        "Seconds. A blocked arm still trembles in its last bits.",
        rows.frozen_state,
    ),
    Check("idle", "warning", 2.0, "Seconds. A policy learns to wait, and never begins again.", rows.idle),
    Check("copied_action", "warning", 0.9, "Share of steps. Then the label is an input.", rows.copied_action),
    Check("no_text", "warning", 0, "A policy told by language is told nothing.", rows.no_text),
)
PICTURES: tuple[Check[Film], ...] = (
    Check(
        "black_image",
        "error",
        3.0,
        "Grey levels, mean and deviation: sensor noise in the dark.",
        pictures.black,
    ),
    Check("uniform_image", "error", 2.0, "Grey levels of deviation; a lens cap has less.", pictures.uniform),
    Check("frozen_image", "error", 0.4, "Seconds, while the state goes 10 % of its way.", pictures.frozen),
    Check(
        "nearly_frozen_image",
        "warning",
        0.8,
        "Seconds; a codec hides a frozen camera.",
        pictures.nearly_frozen,
    ),
    Check("repeated_images", "warning", 0.1, "Share of frames: the camera is slower.", pictures.repeated),
)
CAMERAS: tuple[Check[list[Film]], ...] = (
    Check(
        "same_camera", "error", 0, "The second camera adds nothing; one was meant to.", pictures.same_camera
    ),
)


def colour_order(summary: Summary, deviations: float) -> list[Finding]:
    """Everything that tells of swapped channels, one finding a camera for the whole, and the odd episodes."""
    texts = {facts.episode: facts.text for facts in summary.facts}
    found: list[Finding] = []
    for camera, seen in summary.colours.items():
        told = [(texts[episode], colour) for episode, colour in seen if episode in texts]
        whole = colours.against_language(told, camera, deviations) or colours.cold_photographs(
            [colour for _, colour in seen], camera, 0.9
        )
        found += [whole] if whole else colours.odd_episodes(seen, camera, deviations)
    return found


SETS: tuple[Check[Summary], ...] = (
    Check("no_episodes", "error", 0, "There is nothing to learn from.", sets.no_episodes),
    Check(
        "constant",
        "warning",
        1e-7,
        "Share of the value: a dead sensor, or a column of padding.",
        sets.constant,
    ),
    Check("saturated", "warning", 0.6, "Share of steps; experts that hurry reach 0.3.", sets.saturated),
    Check(
        "odd_length", "warning", 6.0, "Times the median: an aborted or forgotten recording.", sets.odd_lengths
    ),
    Check(
        "duplicate",
        "error",
        0,
        "It counts twice, and leaks from training into held-out data.",
        sets.duplicates,
    ),
    Check(
        "near_duplicate",
        "warning",
        5e-3,
        "Standard deviations; far below any expert's noise.",
        sets.near_duplicates,
    ),
    Check("same_seed", "warning", 0, "The same scene twice, or a seed that was not used.", sets.same_seed),
    Check("outlier", "warning", 150.0, "Deviations: normalised, it drowns all else.", sets.outliers),
    Check("jump", "warning", 0.25, "Share of the range in one step: a reset, or lost rows.", sets.jumps),
    Check("unit", "warning", 0, "See the function: degrees, millimetres, metres for shares.", sets.units),
    Check(
        "rotation", "error", 0.05, "Off length 1 or the right angle; float32 is off by 1e-6.", sets.rotations
    ),
    Check(
        "no_end", "warning", 0, "A policy that never sees an end never says that it is done.", sets.never_ends
    ),
    Check(
        "statistics", "error", 0.02, "Share of the range: 8-bit and float32 rounding pass.", sets.statistics
    ),
    Check("lag", "warning", 0.3, "Seconds; a stiff arm answers within 2 steps.", timing.lagging),
    Check(
        "gripper_sign", "warning", 0.8, "Share of episodes: dropped things answer oddly.", timing.gripper_sign
    ),
    Check("colour_order", "warning", 4.0, "Standard errors; a guess, see `colours`.", colour_order),
)

#: Every kind of the table, in its order.
KINDS = tuple(check.kind for group in (ROWS, MOTION, PICTURES, CAMERAS, SETS) for check in group)
