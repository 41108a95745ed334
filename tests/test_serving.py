"""One command serves the portal, follows what other processes change, and leaves nothing behind when it stops."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from record import codes
from tests.conftest import PORTAL, free_port, served, wait_until_served


def get(url: str, **params: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(params)}", timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def eventually(happened: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.1)
    return False


def children_of(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def own_data(demo_data: Path, tmp_path: Path) -> Path:
    """A copy of the demonstration portal that the test may change."""
    shutil.copytree(demo_data, tmp_path / "var")
    return tmp_path / "var"


CSV = """企业名称,统一社会信用代码,注册日期,地区,注册地址
上海奇观异想科技有限公司,{code},2020-01-02,黄浦,上海市黄浦区测试路1号
"""


def test_what_another_process_imports_is_found_without_a_restart(own_data: Path, tmp_path: Path) -> None:
    code = "91310199MA1KTEXT0"
    code += codes.check_digit(code)
    file = tmp_path / "registry.csv"
    file.write_text(CSV.format(code=code), encoding="utf-8")
    environment = {**os.environ, "PORTAL_DATA_DIR": str(own_data), "PORTAL_DATABASE_URL": ""}
    with served(own_data) as url:
        assert get(f"{url}/api/v1/entities", q="奇观异想")["total"] == 0
        done = subprocess.run(
            [PORTAL, "import", "registry", file, "--json"], env=environment, check=True, capture_output=True, text=True
        )
        summary = json.loads(done.stdout.splitlines()[-1])
        assert (summary["rows"], summary["added"], summary["rejected"]) == (1, 1, 0)
        assert [item["code"] for item in get(f"{url}/api/v1/entities", q="奇观异想")["items"]] == [code]
        again = subprocess.run(
            [PORTAL, "import", "registry", file, "--json"], env=environment, check=True, capture_output=True, text=True
        )
        assert json.loads(again.stdout.splitlines()[-1])["unchanged"] == 1


def test_a_worker_that_is_killed_comes_back_and_one_without_a_parent_ends(own_data: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PORTAL_DATA_DIR": str(own_data), "PORTAL_DATABASE_URL": ""}
    process = subprocess.Popen([PORTAL, "serve", "--port", str(port)], env=environment)
    try:
        wait_until_served(f"http://127.0.0.1:{port}/healthz", process)
        assert eventually(lambda: len(children_of(process.pid)) == 1)
        [first] = children_of(process.pid)
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: [p for p in children_of(process.pid) if p != first and alive(p)] != [])
        [second] = [p for p in children_of(process.pid) if p != first]
        time.sleep(3)
    finally:
        process.kill()
        process.wait()
    assert eventually(lambda: not alive(second))


def test_two_web_processes_and_the_worker_all_stop_on_one_ctrl_c(own_data: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PORTAL_DATA_DIR": str(own_data), "PORTAL_DATABASE_URL": ""}
    process = subprocess.Popen(
        [PORTAL, "serve", "--port", str(port), "--workers", "2"], env=environment, start_new_session=True
    )
    wait_until_served(f"http://127.0.0.1:{port}/healthz", process)
    assert eventually(lambda: len(children_of(process.pid)) >= 3)
    everyone = [process.pid, *children_of(process.pid)]
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    assert eventually(lambda: not any(alive(pid) for pid in everyone))


def sockets_of(pid: int) -> int:
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.exists() or link.is_symlink()]
    return sum(link.startswith("socket:") for link in links)


def test_two_web_processes_share_the_connections(own_data: Path) -> None:
    port = free_port()
    environment = {**os.environ, "PORTAL_DATA_DIR": str(own_data), "PORTAL_DATABASE_URL": ""}
    process = subprocess.Popen([PORTAL, "serve", "--port", str(port), "--workers", "2"], env=environment)
    try:
        url = f"http://127.0.0.1:{port}/healthz"
        wait_until_served(url, process)
        # Connections that come before the second process listens all go to the first.
        assert eventually(lambda: len(listening(port)) == 2)
        with contextlib.ExitStack() as open_ones:
            for _ in range(40):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                open_ones.callback(connection.close)
                connection.request("GET", "/healthz")
                assert connection.getresponse().read()
            held = sorted(sockets_of(pid) for pid in children_of(process.pid))
        assert held[-2] >= 8, "the second web process has hardly a connection"
    finally:
        process.terminate()
        process.wait(timeout=30)


def listening(port: int) -> list[str]:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [fields[9] for fields in lines if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"]


def test_a_port_that_is_taken_is_said_in_a_sentence(own_data: Path) -> None:
    environment = {**os.environ, "PORTAL_DATA_DIR": str(own_data), "PORTAL_DATABASE_URL": ""}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for workers in ("1", "2"):
            command = [PORTAL, "serve", "--port", port, "--workers", workers]
            refused = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=30)
            assert refused.returncode == 1
            assert f"127.0.0.1:{port} cannot be listened on" in refused.stderr
            assert "--port" in refused.stderr
            assert "Traceback" not in refused.stderr


def test_demo_fills_an_empty_portal_once(tmp_path: Path) -> None:
    environment = {**os.environ, "PORTAL_DATA_DIR": str(tmp_path / "var"), "PORTAL_DATABASE_URL": ""}
    command = [PORTAL, "demo", "--entities", "50", "--json"]
    counts = [
        json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)["added"]
        for _ in range(2)
    ]
    assert counts == [50, 0]


def test_a_file_that_cannot_be_read_at_all_is_refused_with_a_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "PORTAL_DATA_DIR": str(tmp_path / "var"), "PORTAL_DATABASE_URL": ""}
    file = tmp_path / "holiday.xlsx"
    file.write_bytes(b"\x89PNG not a workbook")
    refused = subprocess.run(
        [PORTAL, "import", "registry", file], env=environment, check=False, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "holiday.xlsx" in refused.stderr
