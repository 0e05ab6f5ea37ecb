"""PDDL: cards and scenes written for other planners, and other people's domains and goals read."""
