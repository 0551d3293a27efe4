"""A real Slurm on this machine: a controller and two nodes, each with a made-up GPU."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
GresTypes=gpu
MpiDefault=none
SchedulerParameters=requeue_delay=1
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=2 RealMemory=2000 Gres=gpu:1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment that Slurm's commands want."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))):
        pytest.skip("Slurm is not installed here, or this is not root (Debian: slurm-wlm, munge)")
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    port = 20000 + os.getpid() * 3 % 12000  # below the ports that the kernel hands out, which may be in use
    conf = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    conf.write_text(CONF.format(host=host, folder=folder, port=port, first=port + 1, second=port + 2))
    (folder / "gres.conf").write_text("NodeName=n[1-2] Name=gpu Count=1 File=/dev/null\n")
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    names = {name: folder / f"munge.{name}" for name in ("key", "socket", "pid", "log", "seed")}
    munged = ["munged", "--force", *(f"--{name}-file={path}" for name, path in names.items() if name != "socket")]
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    for command in (
        [*munged, f"--socket={names['socket']}"],
        ["slurmctld", "-f", str(conf)],
        ["slurmd", "-N", "n1", "-f", str(conf)],
        ["slurmd", "-N", "n2", "-f", str(conf)],
    ):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    try:
        _ready(environment)
        yield environment
    finally:
        for pid in [*folder.glob("slurmd-*.pid"), folder / "slurmctld.pid", names["pid"]]:
            with suppress(OSError, ValueError):
                os.kill(int(pid.read_text()), 15)


def _ready(environment: Mapping[str, str]) -> None:
    for _ in range(100):
        said = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=dict(environment), capture_output=True, text=True, check=False
        )
        if said.stdout.split() == ["idle"]:
            return
        time.sleep(0.2)
    raise AssertionError(f"the nodes did not come up: {said.stdout} {said.stderr}")
