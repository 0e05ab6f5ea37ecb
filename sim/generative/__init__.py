"""Tasks that the simulator proposes to itself, builds, takes apart, solves, and above all checks."""
