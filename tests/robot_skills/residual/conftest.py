from pathlib import Path

import pytest
import torch

from tests.robot_skills.residual.toy import save_base, save_demonstrations

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    return save_base(tmp_path_factory.mktemp("toy") / "base")


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory) -> Path:
    return save_demonstrations(tmp_path_factory.mktemp("toy") / "demonstrations")
