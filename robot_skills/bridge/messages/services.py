"""Switches: std_srvs."""

from __future__ import annotations

from dataclasses import dataclass

from robot_skills.bridge.schema import Bool, ServiceType, Text, message


@message("std_srvs/srv/Trigger_Request")
@dataclass(frozen=True)
class TriggerRequest:
    """Nothing to say."""


@message("std_srvs/srv/Trigger_Response")
@dataclass(frozen=True)
class TriggerResponse:
    """Whether it was done."""

    success: Bool = False
    message: Text = ""


@message("std_srvs/srv/SetBool_Request")
@dataclass(frozen=True)
class SetBoolRequest:
    """On or off."""

    data: Bool = False


@message("std_srvs/srv/SetBool_Response")
@dataclass(frozen=True)
class SetBoolResponse:
    """Whether it was done."""

    success: Bool = False
    message: Text = ""


Trigger = ServiceType("std_srvs/srv/Trigger", TriggerRequest, TriggerResponse)
SetBool = ServiceType("std_srvs/srv/SetBool", SetBoolRequest, SetBoolResponse)
