"""Runs the websocket server of rosbridge_suite from its sources: run by `rosbridge_suite.sh`'s test.

    python tests/peers/rosbridge_suite_server.py SCRIPT [ARGUMENTS OF THE SERVER]

What tells others who is connected needs rosbridge_msgs, which takes a build: nobody is told here.
"""

import runpy
import sys
import types


class ClientManager:
    """Tells nobody."""

    def __init__(self, node) -> None:
        """As the server makes it."""

    def add_client(self, name, address) -> None:
        """Somebody is there."""

    def remove_client(self, name, address) -> None:
        """And is not."""


stand_in = types.ModuleType("rosbridge_server.client_manager")
stand_in.ClientManager = ClientManager
sys.modules[stand_in.__name__] = stand_in
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
