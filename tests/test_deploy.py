"""What deploy/ and the operators' page say is what the portal takes: settings, commands, folders, units, services."""

import itertools
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from portal.cli import app
from portal.kit.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
EXAMPLES = sorted(DEPLOY.glob("*.env.example"))
UNITS = sorted([*DEPLOY.glob("systemd/*.service"), *DEPLOY.glob("systemd/*.timer")])


def known_settings() -> set[str]:
    return {f"PORTAL_{name.upper()}" for name in Settings.model_fields}


def pairs(file: Path) -> Iterator[tuple[str, str]]:
    """The variables of a file for systemd and containers, those that are commented out too."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"(?:# )?([A-Z][A-Z0-9_]*)=(.*)", line):
            yield found[1], found[2]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def of_the_portal() -> dict[str, dict[str, Any]]:
    return {name: one for name, one in compose()["services"].items() if "gongzhi" in one["image"]}


def unit(file: Path) -> dict[str, list[str]]:
    """Every setting of a unit with all its values."""
    found: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


# ---- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [*EXAMPLES, *UNITS, *DEPLOY.glob("*file"), *DEPLOY.glob("systemd/portal")], ids=str)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    named = set(re.findall(r"PORTAL_[A-Z0-9_]+", file.read_text(encoding="utf-8")))
    assert named <= known_settings()


def test_every_setting_that_the_operators_page_names_exists() -> None:
    named = set(re.findall(r"PORTAL_(?!TEST_)[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_…])", PAGE))
    assert len(named) > 30
    assert named <= known_settings()


def test_the_examples_are_settings_that_the_portal_starts_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for side in ("public", "desk"):
        with monkeypatch.context() as patch:
            for name, value in pairs(DEPLOY / f"{side}.env.example"):
                patch.setenv(name, value)
            settings = Settings()
        assert settings.base_url == "https://portal.example.cn"
        assert settings.resolved_database_url.startswith("postgresql+psycopg://")
        assert settings.rate_limits_url.startswith("redis://"), "several processes have to count together"
        assert "*" not in settings.trusted_proxies


def test_no_example_holds_a_secret() -> None:
    for file in EXAMPLES:
        for name, value in pairs(file):
            if re.search(r"PASSWORD|TOKEN|SECRET|KEY", name):
                assert value.startswith("CHANGE-ME"), f"{file.name}: {name}"


def test_the_public_side_is_not_told_what_only_the_desk_needs() -> None:
    public = {name for name, _ in pairs(DEPLOY / "public.env.example")}
    assert public.isdisjoint({"PORTAL_MAIL_URL", "PORTAL_BROKER_URL", "PORTAL_CLOCKS_FILE"})


# ---- commands -------------------------------------------------------------------------------------------------------


def command_named(words: list[str]) -> tuple[str, Any, list[str]]:
    """The command that these words call, its name, and the words behind it."""
    at: Any = typer.main.get_command(app)
    name = ""
    while hasattr(at, "commands") and words and not words[0].startswith("-"):
        name = f"{name} {words[0]}".strip()
        found = at.commands.get(words[0])
        if found is None:
            raise AssertionError(f"there is no command `portal {name}`")
        at, words = found, words[1:]
    return name, at, words


def refuse_unknown_options(words: list[str]) -> None:
    name, command, rest = command_named(words)
    options = {option for parameter in command.params for option in parameter.opts} if command else set()
    options |= {"--help"}
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0] in options, f"`portal {name}` has no {word}"


def test_every_command_of_containers_and_units_can_be_called() -> None:
    called = [one["command"] for one in of_the_portal().values()]
    for file in UNITS:
        lines = re.findall(r"/portal ([a-z].*)", "\n".join(unit(file).get("ExecStart", [])))
        called += [shlex.split(line.rstrip("'")) for line in lines]
    assert {words[0] for words in called} >= {"serve", "worker", "backup"}
    for words in called:
        refuse_unknown_options(words)


def test_every_command_of_the_operators_page_exists() -> None:
    spans = [*re.findall(r"`(portal [a-z][^`]*)`", PAGE), *re.findall(r"^    (portal [a-z].*)$", PAGE, re.M)]
    assert len(spans) > 30
    for span in spans:
        words = re.split(r"\s+", re.split(r"[;|#…]|\s\[", span)[0].strip())[1:]
        refuse_unknown_options([re.split(r"[|/]", word)[0] for word in words])


def test_workers_take_every_queue_between_them() -> None:
    by_containers = [
        words[words.index("--queues") + 1]
        for words in (one["command"] for one in of_the_portal().values())
        if "--queues" in words
    ]
    by_units = [dict(pairs(file))["QUEUES"] for file in DEPLOY.glob("worker-*.env.example")]
    for sets in (by_containers, by_units):
        queues = list(itertools.chain.from_iterable(one.split(",") for one in sets))
        assert sorted(queues) == ["deliveries", "files", "mail", "search", "snapshots"]


# ---- containers -----------------------------------------------------------------------------------------------------


def test_the_image_holds_the_whole_portal_and_runs_as_nobody() -> None:
    steps = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", steps, re.M)
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        allowed = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        assert f"!{source}" in allowed
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    assert {*packages, "templates", "requirements/runtime.txt"} <= set(" ".join(copied).split())
    assert "--require-hashes" in steps
    assert re.findall(r"^USER (\S+)$", steps, re.M)[-1] not in ("root", "0")
    assert "HEALTHCHECK" in steps


def test_every_service_is_bounded_watched_and_cannot_gain_rights() -> None:
    for name, one in compose()["services"].items():
        limits = one["deploy"]["resources"]["limits"]
        assert limits["cpus"], name
        assert limits["memory"], name
        assert "no-new-privileges:true" in one["security_opt"], name
        assert one["logging"]["options"]["max-size"], name
        assert one["image"].partition(":")[2] not in ("", "latest"), f"{name}: say which version"
        if "gongzhi" in one["image"]:
            assert one["read_only"], name
            assert one["cap_drop"] == ["ALL"], name
        else:
            assert one["healthcheck"]["test"], name


def test_files_and_folders_that_compose_names_are_there() -> None:
    found = compose()
    examples = {file.name.removesuffix(".example") for file in EXAMPLES}
    for name, one in found["services"].items():
        assert set(one.get("env_file", [])) <= examples, name
        for volume in one.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./nginx"):
                assert (DEPLOY / source).exists(), source
            elif not source.startswith(("./", "/", "$")):
                assert source in found["volumes"], source
        for needed in one.get("depends_on", {}):
            assert "healthcheck" in found["services"][needed] or needed in of_the_portal(), needed
        assert set(one["networks"]) <= set(found["networks"]), name


def test_the_zones_are_apart() -> None:
    found = compose()
    networks = {name: set(one["networks"]) for name, one in found["services"].items()}
    assert networks["nginx-public"].isdisjoint(networks["desk"] | networks["postgres"])
    assert networks["nginx-desk"].isdisjoint(networks["public"] | networks["postgres"])
    assert networks["public"].isdisjoint(networks["desk"] - {"store"})
    for name in ("public", "desk", "store"):
        assert found["networks"][name]["internal"], f"{name} leads outside"
    outside = {name for name, own in networks.items() if own & {"edge", "office", "outward"}}
    assert outside == {"nginx-public", "nginx-desk", "worker-fast", "worker-files", "command"}
    assert {name for name, one in found["services"].items() if "ports" in one} == {"nginx-public", "nginx-desk"}
    for name, one in of_the_portal().items():
        holds_keys = any(volume.startswith("desk-keys:") for volume in one["volumes"])
        assert holds_keys == (name != "public"), name


def test_addresses_of_proxies_agree() -> None:
    found = compose()["services"]
    upstreams = (DEPLOY / "nginx" / "compose" / "upstreams.conf").read_text(encoding="utf-8")
    for side in ("public", "desk"):
        proxy = found[f"nginx-{side}"]["networks"][side]["ipv4_address"]
        assert dict(pairs(DEPLOY / f"{side}.env.example"))["PORTAL_TRUSTED_PROXIES"] == proxy
        behind = found[side]["networks"][side]["ipv4_address"]
        assert re.search(rf"upstream gongzhi_{side} \{{\s+server {re.escape(behind)}:8000;", upstreams)


# ---- units ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [one for one in UNITS if one.suffix == ".service"], ids=lambda file: file.name)
def test_a_unit_runs_with_few_rights(file: Path) -> None:
    said = unit(file)
    for name in ("NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "ProtectKernelTunables"):
        assert said[name] == ["yes"], name
    assert said["ProtectSystem"] == ["strict"]
    assert said["CapabilityBoundingSet"] == [""]
    assert said["User"] in (["gongzhi"], ["gongzhi-public"])
    environment = dict(pair.split("=", 1) for pair in said["Environment"][0].split())
    state = {f"/var/lib/{name}" for name in said["StateDirectory"][0].split()}
    assert {environment["PORTAL_DATA_DIR"], environment["PORTAL_KEYS_DIR"]} == state
    foreign = "/var/lib/gongzhi-keys" if said["User"] == ["gongzhi-public"] else "/var/lib/gongzhi-public-keys"
    assert f"-{foreign}" in said["InaccessiblePaths"][0].split()


def test_units_serve_where_nginx_looks() -> None:
    upstreams = (DEPLOY / "nginx" / "gongzhi" / "upstreams.conf").read_text(encoding="utf-8")
    for side in ("public", "desk"):
        [line] = unit(DEPLOY / "systemd" / f"gongzhi-{side}.service")["ExecStart"]
        port = re.search(r"--port (\d+)", line)
        assert port
        assert re.search(rf"upstream gongzhi_{side} \{{\s+server 127\.0\.0\.1:{port[1]};", upstreams)
        assert f"--role {side}" in line


def test_the_backup_may_write_where_it_is_told_to() -> None:
    said = unit(DEPLOY / "systemd" / "gongzhi-backup.service")
    [folder] = set(re.findall(r"/var/backups/[a-z]+", said["ExecStart"][0]))
    assert folder in said["ReadWritePaths"][0].split()
    assert folder in said["ExecStartPost"][0]
    assert unit(DEPLOY / "systemd" / "gongzhi-backup.timer")["OnCalendar"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="a machine without systemd")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for file in UNITS:
        text = file.read_text(encoding="utf-8").replace("/opt/gongzhi/.venv/bin/portal", "/bin/true")
        (tmp_path / file.name).write_text(text, encoding="utf-8")
    files = [tmp_path / file.name for file in UNITS if "@" not in file.name]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], check=False, capture_output=True, text=True, timeout=30
    )
    assert "gongzhi" not in done.stderr, done.stderr
