"""The symbolic side of skills: cards grounded in a scene, searched for plans, replayed, and followed.

Shared by the planner, which finds plans for commands, and the generative simulation, which finds tasks that
have plans.
"""
