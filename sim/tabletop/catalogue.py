"""The tabletop as perception is told of it: what is there, how large it is, what may be done with it."""

from __future__ import annotations

from robot_skills.perception.catalogue import Catalogue, Rules, Tray
from robot_skills.scene_graph import RELATIONS
from sim.tabletop import fixtures, predicates
from sim.tabletop.oracle import TAGS
from sim.tabletop.scene import COLOURS, DIMENSIONS, DRAWER_TRAVEL, FIXTURES, GRASPABLE

#: Fingers further apart than this when they try to close have something between them, and closer together
#: than that they are not open: the narrowest thing is 4 cm wide, and open fingers are 8 cm apart.
GRIP = (0.020, 0.072)
_KINDS = (*DIMENSIONS, *FIXTURES)
#: From the handle to the outer side of the drawer's front.
_FRONT = fixtures.DRAWER_GAP + 0.010

TABLETOP = Catalogue(
    graspable=GRASPABLE,
    containers=("bowl",),
    fixtures=FIXTURES[:3],
    colours=tuple(COLOURS),
    sizes=DIMENSIONS,
    tags={kind: TAGS[kind] for kind in _KINDS},
    fits=tuple(
        (item, relation, target)
        for item in _KINDS
        for relation in RELATIONS
        for target in _KINDS
        if predicates.fits(item, relation, target)
    ),
    headings={name: (float(way[0]), float(way[1])) for name, way in predicates.HEADINGS.items()},
    rules=Rules(
        lift=predicates.STANDARD.lift,
        open=predicates.STANDARD.open,
        closed=predicates.STANDARD.closed,
        pushed=predicates.STANDARD.pushed,
        aside=predicates.STANDARD.aside,
        grip=GRIP,
    ),
    tray=Tray(
        half=fixtures.TRAY_HALF,
        near=_FRONT,
        far=_FRONT + fixtures.TRAY_LENGTH,
        floor=0.011,
        shut=fixtures.FACE - fixtures.DRAWER_GAP,
        travel=DRAWER_TRAVEL,
    ),
)
