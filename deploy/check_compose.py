"""What the schema of compose files can't say: that its parts fit one another, fit ii-claw and find the files they mount.

Usage: check_compose.py
"""

import json
from ipaddress import ip_address, ip_network

import yaml

from check_common import DRAIN, NEEDED_BY, ROLES, ROOT, RPC, expect, finish, known_settings, workspace

REPLICAS = {"gateway": 2, "worker": 3, "scheduler": 2}
# What others than ii-claw read.
MOUNTED = ("prometheus", "alertmanager", "grafana", "otel-collector", "nginx")


def load(path: str) -> dict:
    return yaml.safe_load((ROOT / path).read_text())


def check_roles(services: dict, settings: set[str]) -> None:
    version = workspace()["package"]["version"]
    for name in [*ROLES, "migrate"]:
        service = services[name]
        expect(service["command"] == [name], f"compose {name}: runs {service['command']}")
        expect(service["image"] == f"ii-claw:{version}", f"compose {name}: has the image {service['image']}")
        for variable in service["environment"].keys() - settings:
            expect(False, f"compose {name}: ii-claw has no setting {variable}")
        expect(
            int(service.get("stop_grace_period", "0s")[:-1]) > DRAIN, f"compose {name}: is killed before it has drained"
        )
    for role in ROLES:
        service = services[role]
        expect(service["deploy"]["replicas"] == REPLICAS[role], f"compose {role}: is not there {REPLICAS[role]} times")
        expect(NEEDED_BY[role] <= service["environment"].keys(), f"compose {role}: lacks settings")
        asks = service["healthcheck"]["test"]
        expect(asks == ["CMD", "healthcheck", "/readyz"], f"compose {role}: its health check is {asks}")


def check_hardening(services: dict) -> None:
    """Nobody gains privileges, and what only serves has nothing to write to."""
    for name, service in services.items():
        expect("no-new-privileges:true" in service.get("security_opt", []), f"compose {name}: may gain privileges")
        expect(name == "postgres" or service.get("read_only") is True, f"compose {name}: its root is writable")
        expect(name == "postgres" or service.get("cap_drop") == ["ALL"], f"compose {name}: keeps capabilities")
        for port in service.get("ports", []):
            open_to_all = name == "nginx"
            expect(open_to_all or port.startswith("127.0.0.1:"), f"compose {name}: {port} is open to every machine")


def check_health(services: dict) -> None:
    """`up --wait` waits for nothing that nobody asks. migrate ends, and the collector's image has nothing to ask with."""
    for name, service in services.items():
        asked = "healthcheck" in service
        expect(asked or name in ("migrate", "otel-collector"), f"compose {name}: nothing asks whether it works")


def check_proxy(compose: dict) -> None:
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    nginx = ip_address(compose["services"]["nginx"]["networks"]["default"]["ipv4_address"])
    free = nginx in ip_network(network["subnet"]) and nginx not in ip_network(network["ip_range"])
    expect(free, f"compose nginx: another container may have {nginx}")
    trusted = compose["services"]["gateway"]["environment"]["II_CLAW_TRUSTED_PROXIES"]
    expect(trusted.endswith(f":-{nginx}/32}}"), f"compose gateway: believes {trusted} and not nginx at {nginx}")


def check_mounts(services: dict) -> None:
    for name in MOUNTED:
        for volume in services[name].get("volumes", []):
            source, _, options = volume.partition(":")
            if source.startswith("."):
                expect((ROOT / "deploy" / source).exists(), f"compose {name}: {source} is not there")
                expect(options.endswith(":ro"), f"compose {name}: may write {source}")


def check_prometheus(services: dict) -> None:
    config = load("deploy/prometheus/prometheus.yml")
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    asked: set[str] = set()
    for found in jobs["ii-claw"]["dns_sd_configs"]:
        expect(found["port"] == RPC, f"prometheus.yml: asks at {found['port']}")
        asked.update(found["names"])
    expect(asked == ROLES.keys(), f"prometheus.yml: asks {sorted(asked)}")
    for manager in config["alerting"]["alertmanagers"]:
        for target in manager["static_configs"][0]["targets"]:
            expect(target.split(":")[0] in services, f"prometheus.yml: no service is called {target}")
    mounted = [volume.split(":")[1] for volume in services["prometheus"]["volumes"]]
    for pattern in config["rule_files"]:
        folder = f"/etc/prometheus/{pattern.rsplit('/', 1)[0]}"
        expect(folder in mounted, f"prometheus.yml: nothing is mounted at {folder}")


def check_grafana(services: dict) -> None:
    (source,) = load("deploy/compose/grafana/datasources.yaml")["datasources"]
    host = source["url"].removeprefix("http://").split(":")[0]
    expect(host in services, f"datasources.yaml: no service is called {host}")
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    for provider in load("deploy/compose/grafana/dashboards.yaml")["providers"]:
        folder = provider["options"]["path"]
        expect(folder in mounted, f"dashboards.yaml: nothing is mounted at {folder}")
    types = json.loads((ROOT / "deploy/crds/package.json").read_text())["devDependencies"]["@grafana/schema"]
    image = services["grafana"]["image"]
    expect(image.endswith(f":{types}"), f"dashboards are checked against Grafana {types}, and {image} is started")


def check_collector() -> None:
    """A pipeline of parts that are configured, and every part in a pipeline."""
    config = load("deploy/compose/otel-collector.yaml")
    for kind in ("receivers", "processors", "exporters"):
        used = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline.get(kind, [])}
        expect(
            used == config.get(kind, {}).keys(), f"otel-collector.yaml: {kind} used {sorted(used)}, not as configured"
        )
    extensions = set(config["service"].get("extensions", []))
    expect(
        extensions == config.get("extensions", {}).keys(), "otel-collector.yaml: extensions used and configured differ"
    )


def main() -> None:
    compose = load("deploy/compose.yaml")
    services = compose["services"]
    check_roles(services, known_settings())
    check_hardening(services)
    check_health(services)
    check_proxy(compose)
    check_mounts(services)
    check_prometheus(services)
    check_grafana(services)
    check_collector()
    finish(f"{len(services)} services of compose.yaml fit one another, and the files that they mount")


if __name__ == "__main__":
    main()
