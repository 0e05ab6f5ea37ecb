"""The bridge: the same skill drives an arm behind ROS.

    policy -> arm (Robot) -> player -> safety chain -> output -> transport -> ROS
                 ^                          ^
                 +--- joint states, images -+--- e-stop, dead man's switch, clock

`schema`, `messages`, `json_codec`, `cdr`      ROS messages as dataclasses, and their two wire formats
`settings`, `arms/*.yaml`                      an arm: joints, limits, topics; ready-made ones
`kinematics`, `motion`, `player`               actions to joint targets to a smooth motion
`safety`                                       one file one rule, in a fixed order
`controller`, `outputs`, `arm`                 the loop at 50 to 500 Hz, and the `Robot` around it
`transport`, `transports`                      one interface; a file for each way to reach ROS

Nothing here imports ROS but the transport that is asked for. Units are metres, radians and seconds.
"""
