import subprocess
import sysconfig
import urllib.request
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def server():
    # Where pip installs commands; `etcd-fake` alone, if it is on the PATH.
    program = Path(sysconfig.get_path("scripts"), "etcd-fake")
    any_port = "http://127.0.0.1:0"
    command = [program, "--listen-client-urls", any_port]
    command += ["--listen-control-url", any_port]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, text=True)
    urls = {}
    for line in process.stdout:
        line = line.removeprefix("etcd-fake: ").strip()
        what, _, url = line.rpartition(" ")
        urls[what] = url
        if what == "controlled at":
            break
    yield urls
    process.terminate()
    process.wait()


@pytest.fixture
def etcd(server):
    yield server["serving"]
    reset = server["controlled at"] + "/reset"
    urllib.request.urlopen(reset, data=b"")
