"""A scene graph from camera pictures: a small detector, geometry, and a memory of what is out of sight."""
