"""A Panda at a table with blocks, bowls, a drawer, a sliding door and a button, in PyBullet."""
