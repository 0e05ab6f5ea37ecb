"""Meshes and URDF files, with the scripts that made them."""
