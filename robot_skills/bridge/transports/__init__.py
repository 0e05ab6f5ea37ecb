"""Ways to reach ROS, one file each."""
