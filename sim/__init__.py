"""Simulated worlds: importing this registers their Gymnasium environments."""

import gymnasium

gymnasium.register("robot_skills/Tabletop-v0", "sim.tabletop.env:TabletopEnv", max_episode_steps=200)
