"""Simulated worlds: importing this registers their Gymnasium environments."""

import gymnasium

gymnasium.register("robot_skills/Tabletop-v0", "sim.tabletop.env:TabletopEnv", max_episode_steps=200)
gymnasium.register("robot_skills/PushT-v0", "sim.pusht:make_env", max_episode_steps=300)
gymnasium.register("robot_skills/Robosuite-v0", "sim.robosuite_world:make_env", max_episode_steps=500)
gymnasium.register("robot_skills/MetaWorld-v0", "sim.metaworld:make_env", max_episode_steps=500)
gymnasium.register("robot_skills/Libero-v0", "sim.libero:make_env", max_episode_steps=600)
