"""Training and evaluation: one loop for every policy, recipes, checkpoints, honest success rates."""
