"""Networks that say what is noise in a chunk of actions, for `robot_skills.policies.generative`."""
