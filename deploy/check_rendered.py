"""What schemas can't say about rendered manifests: that the parts fit one another and fit ii-claw.

Usage: check_rendered.py MANIFEST...
"""

import re
import sys
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
RPC = 4201
CERTIFICATE = ("II_CLAW_RPC_TLS_CERT", "II_CLAW_RPC_TLS_KEY", "II_CLAW_RPC_TLS_CA")
ROLES = {"gateway": {"http": 4200, "rpc": RPC}, "worker": {"rpc": RPC}, "scheduler": {"rpc": RPC}}
# Seconds that a role may take to end (GRACE of the roles).
DRAIN = 25
NEEDED = {"DATABASE_URL", "NATS_URL", "II_CLAW_API_KEY", "II_CLAW_MASTER_KEY"}
NEEDED_BY = {"gateway": NEEDED, "worker": NEEDED | {"AI_WEBHOOK_URL", "AI_WEBHOOK_SECRET"}, "scheduler": NEEDED}

# Settings without a value of their own: what the chart itself decides, and what extraEnv is for.
CHART_DECIDES = {"II_CLAW_LISTEN", "II_CLAW_RPC_LISTEN"}
IN_EXTRA_ENV = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "II_CLAW_WEIGHT"}

wrong: list[str] = []


def expect(ok: object, sentence: str) -> None:
    if not ok:
        wrong.append(sentence)


def known_settings() -> set[str]:
    """The variables that ii-claw reads."""
    sources = [*(ROOT / "crates/config/src").glob("*.rs"), *(ROOT / "crates/cli/src").rglob("*.rs")]
    return {name for path in sources for name in re.findall(r'env = "([A-Z_]+)"', path.read_text())}


def check_container(where: str, container: dict, settings: set[str], given: set[str]) -> None:
    security = container.get("securityContext", {})
    expect(security.get("allowPrivilegeEscalation") is False, f"{where}: privileges can be escalated")
    expect(security.get("readOnlyRootFilesystem") is True, f"{where}: the root file system is writable")
    expect(security.get("capabilities", {}).get("drop") == ["ALL"], f"{where}: keeps capabilities")
    expect(not security.get("capabilities", {}).get("add"), f"{where}: adds capabilities")
    expect(not security.get("privileged"), f"{where}: is privileged")
    limits = container.get("resources", {})
    expect(limits.get("requests") and limits.get("limits", {}).get("memory"), f"{where}: no resources")
    names = [entry["name"] for entry in container["env"]]
    for name in {name for name in names if names.count(name) > 1}:
        expect(False, f"{where}: {name} is set twice")
    for name in set(names) - settings - given:
        expect(False, f"{where}: ii-claw has no setting {name}")
    for entry in container["env"]:
        for used in re.findall(r"\$\((\w+)\)", entry.get("value", "")):
            before = names[: names.index(entry["name"])]
            expect(used in before, f"{where}: {entry['name']} uses {used}, which is not set before it")


def check_volumes(where: str, role: str, spec: dict) -> None:
    """Only gateways write: attachments, to a /tmp of their own that has an end. Certificates are read, where their settings say."""
    volumes = spec.get("volumes", [])
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    mounts = [mount for each in containers for mount in each.get("volumeMounts", [])]
    env = {entry["name"]: entry.get("value") for entry in spec["containers"][0]["env"]}
    files = [env[key] for key in CERTIFICATE if key in env]
    secrets = [volume["name"] for volume in volumes if "secret" in volume]
    expect(len(files) in (0, 3) and len(secrets) == bool(files), f"{where}: certificates {files} from {secrets}")
    if files:
        (mount,) = [mount for mount in mounts if mount["name"] in secrets]
        expect(mount.get("readOnly") is True, f"{where}: may write its certificates")
        expect(all(file.startswith(mount["mountPath"] + "/") for file in files), f"{where}: no {files} in {mount}")
        volumes = [volume for volume in volumes if volume["name"] not in secrets]
        mounts = [each for each in mounts if each is not mount]
    if role != "gateway":
        expect(not volumes and not mounts, f"{where}: has volumes")
        return
    limit = volumes[0].get("emptyDir", {}).get("sizeLimit") if volumes else None
    expect(limit, f"{where}: its /tmp has no end")
    expect(volumes == [{"name": "tmp", "emptyDir": {"sizeLimit": limit}}], f"{where}: has the volumes {volumes}")
    expect(mounts == [{"name": "tmp", "mountPath": "/tmp"}], f"{where}: mounts {mounts}")


def check_deployment(where: str, deployment: dict, settings: set[str], given: set[str]) -> str:
    spec = deployment["spec"]["template"]["spec"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    role = labels["app.kubernetes.io/component"]
    expect(role in ROLES, f"{where}: no role is called {role}")
    expect(deployment["spec"]["selector"]["matchLabels"].items() <= labels.items(), f"{where}: selects other pods")
    pod = spec["securityContext"]
    expect(pod.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0, f"{where}: may run as root")
    expect(pod.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{where}: no seccomp profile")
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        expect(not spec.get(key), f"{where}: has {key}")
    check_volumes(where, role, spec)
    expect(spec.get("automountServiceAccountToken") is False, f"{where}: gets a token of Kubernetes")
    expect(spec.get("enableServiceLinks") is False, f"{where}: other Services may set II_CLAW_ variables")
    (container,) = spec["containers"]
    for each in [container, *spec.get("initContainers", [])]:
        check_container(f"{where} {each['name']}", each, settings | {"POD_IP"}, given)
    expect(container["args"] == [role], f"{where}: runs {container['args']}")
    env = {entry["name"]: entry for entry in container["env"]}
    expect(NEEDED_BY[role] <= env.keys(), f"{where}: lacks {sorted(NEEDED_BY[role] - env.keys())}")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect(ports == ROLES[role], f"{where}: listens on {ports}")
    advertised = env.get("II_CLAW_RPC_ADVERTISE", {}).get("value")
    expect(advertised == f"$(POD_IP):{RPC}", f"{where}: advertises {advertised}")
    expect("II_CLAW_NAME" in env, f"{where}: has no name of its own")
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        get = container[probe]["httpGet"]
        expect(get["path"] == path and get["port"] in ports, f"{where}: {probe} asks for {get}")
    before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
    grace = spec["terminationGracePeriodSeconds"]
    expect(int(before[1]) + DRAIN < grace, f"{where}: is killed after {grace} s, before it has drained")
    return role


def documented_settings() -> dict[str, set[str]]:
    """The variables that docs/settings.md lists, each with the roles that read it."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| [^|]+ \| ([^|]+) \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    return {
        name: set(ROLES) if commands == "all" else set(ROLES) & set(commands.split(", ")) for name, commands in rows
    }


def set_by_chart(manifests: list[Path]) -> dict[str, set[str]]:
    """The variables that the roles get in any of the renderings."""
    found: dict[str, set[str]] = {}
    for path in manifests:
        for entry in yaml.safe_load_all(path.read_text()):
            if entry and entry["kind"] == "Deployment":
                (container,) = entry["spec"]["template"]["spec"]["containers"]
                for variable in container["env"]:
                    found.setdefault(variable["name"], set()).add(container["args"][0])
    return found


def check_reach(given: dict[str, set[str]], settings: set[str]) -> None:
    """Every setting of a role can be set: by a value, which some rendering gives, or as one of the further variables."""
    documented = documented_settings()
    expect(documented.keys() == settings, f"docs/settings.md differs by {sorted(documented.keys() ^ settings)}")
    values = (ROOT / "helm/ii-claw/values.yaml").read_text()
    for name, roles in documented.items():
        if name in IN_EXTRA_ENV:
            expect(name in values, f"values.yaml does not say that {name} goes into extraEnv")
            expect(not given.get(name), f"{name} can't be in extraEnv: the chart sets it")
        elif name not in CHART_DECIDES:
            missing = roles - given.get(name, set())
            expect(not missing, f"no value of the chart becomes {name} of {', '.join(sorted(missing))}")


def check_manifests(path: Path, settings: set[str]) -> int:
    text = path.read_text()
    objects = [entry for entry in yaml.safe_load_all(text) if entry]
    kinds: dict[str, list[dict]] = {}
    for entry in objects:
        kinds.setdefault(entry["kind"], []).append(entry)
    names = [(entry["kind"], entry["metadata"]["name"]) for entry in objects]
    expect(len(names) == len(set(names)), f"{path.name}: two objects of one kind have one name")
    deployments = kinds.get("Deployment", [])
    # The example of further variables.
    given = {"HTTPS_PROXY"}
    roles = [
        check_deployment(f"{path.name} {entry['metadata']['name']}", entry, settings, given) for entry in deployments
    ]
    expect(sorted(roles) == sorted(ROLES), f"{path.name}: deploys {roles}")
    pods = [entry["spec"]["template"] for entry in deployments]
    for kind in ("Service", "PodDisruptionBudget"):
        for entry in kinds.get(kind, []):
            where = f"{path.name} {kind} {entry['metadata']['name']}"
            selector = entry["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            chosen = [pod for pod in pods if selector.items() <= pod["metadata"]["labels"].items()]
            expect(len(chosen) == 1, f"{where}: selects {len(chosen)} kinds of pods")
            open_ports = {port["name"] for pod in chosen for port in pod["spec"]["containers"][0]["ports"]}
            for port in entry["spec"].get("ports", []):
                expect(port["targetPort"] in open_ports, f"{where}: the pods have no port {port['targetPort']}")
    services = {entry["metadata"]["name"]: entry for entry in kinds.get("Service", [])}
    expect(len(services) == len(ROLES), f"{path.name}: {len(services)} Services")
    for ingress in kinds.get("Ingress", []):
        for rule in ingress["spec"]["rules"]:
            for entry in rule["http"]["paths"]:
                to = entry["backend"]["service"]
                expect(entry["pathType"] == "Prefix", f"{path.name}: the Ingress has paths of type {entry['pathType']}")
                ports = [port["name"] for port in services.get(to["name"], {}).get("spec", {}).get("ports", [])]
                expect(to["port"]["name"] in ports, f"{path.name}: the Ingress leads nowhere: {to}")
    for secret in kinds.get("Secret", []):
        for key, value in secret["stringData"].items():
            shown = text.count(value) - sum(other.count(value) for other in secret["stringData"].values())
            expect(shown == 0, f"{path.name}: {key} shows outside the Secret")
    wanted = {
        (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for pod in pods
        for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
        for entry in container["env"]
        if "secretKeyRef" in entry.get("valueFrom", {}) and not entry["valueFrom"]["secretKeyRef"].get("optional")
    }
    for secret in kinds.get("Secret", []):
        offered = {(secret["metadata"]["name"], key) for key in secret["stringData"]}
        expect(wanted <= offered, f"{path.name}: the Secret lacks {sorted(wanted - offered)}")
    return len(objects)


def check_values(schema: dict, values: object, path: str) -> None:
    """Every value that the schema takes is in values.yaml, where people look for it."""
    properties = schema.get("properties", {})
    if not isinstance(values, dict):
        return
    for name, below in properties.items():
        where = f"{path}.{name}".lstrip(".")
        expect(name in values or where == "global", f"values.yaml does not have {where}")
        check_values(below, values.get(name), where)


def check_versions() -> None:
    """What is written in several places is the same in all."""
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
    version, rust = workspace["package"]["version"], workspace["package"]["rust-version"]
    chart = yaml.safe_load((ROOT / "helm/ii-claw/Chart.yaml").read_text())
    expect(chart["appVersion"] == version, f"Chart.yaml has appVersion {chart['appVersion']}, Cargo.toml {version}")
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    expect(f"FROM rust:{rust}-" in dockerfile, f"the Dockerfile does not build with Rust {rust}")
    user = re.search(r"^USER (\d+):", dockerfile, re.MULTILINE)
    deployments = (ROOT / "helm/ii-claw/templates/deployments.yaml").read_text()
    expect(user and f"runAsUser: {user[1]}\n" in deployments, "the chart runs as another user than the image's")
    # The build needs every member of the workspace and all that is compiled in.
    context = [line[1:] for line in (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    for member in [*workspace["members"], "migrations", "Cargo.lock"]:
        inside = any(member == entry or member.startswith(f"{entry}/") for entry in context)
        expect(inside, f"Dockerfile.dockerignore leaves out {member}")
    for entry in context:
        expect((ROOT / entry).exists(), f"Dockerfile.dockerignore names {entry}, which does not exist")


def check_compose(settings: set[str]) -> None:
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    for name in [*ROLES, "migrate"]:
        service = compose["services"][name]
        expect(service["command"] == [name], f"compose {name}: runs {service['command']}")
        expect(service["image"] == f"ii-claw:{version}", f"compose {name}: has the image {service['image']}")
        for variable in service["environment"].keys() - settings:
            expect(False, f"compose {name}: ii-claw has no setting {variable}")
        expect(int(service.get("stop_grace_period", "0s")[:-1]) > DRAIN, f"compose {name}: is killed before it has drained")
    for role, ports in ROLES.items():
        service = compose["services"][role]
        expect(service["deploy"]["replicas"] == 2, f"compose {role}: is not there twice")
        expect(NEEDED_BY[role] <= service["environment"].keys(), f"compose {role}: lacks settings")
        expect(f"/127.0.0.1/{next(iter(ports.values()))} " in service["healthcheck"]["test"][-1], f"compose {role}: asks at another port")
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    nginx = ip_address(compose["services"]["nginx"]["networks"]["default"]["ipv4_address"])
    free = nginx in ip_network(network["subnet"]) and nginx not in ip_network(network["ip_range"])
    expect(free, f"compose nginx: another container may have {nginx}")
    trusted = compose["services"]["gateway"]["environment"]["II_CLAW_TRUSTED_PROXIES"]
    expect(trusted.endswith(f":-{nginx}/32}}"), f"compose gateway: believes {trusted} and not nginx at {nginx}")


def main() -> None:
    settings = known_settings()
    expect(len(settings) > 15, "the settings were not found in the sources")
    manifests = [Path(name) for name in sys.argv[1:]]
    objects = sum(check_manifests(path, settings) for path in manifests)
    check_reach(set_by_chart(manifests), settings)
    chart = ROOT / "helm/ii-claw"
    schema = yaml.safe_load((chart / "values.schema.json").read_text())
    roles = {role: schema["definitions"]["role"] for role in ROLES}
    schema["properties"].update(roles)
    check_values(schema, yaml.safe_load((chart / "values.yaml").read_text()), "")
    check_versions()
    check_compose(settings)
    for sentence in wrong:
        print(f"check: {sentence}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"check: {objects} objects in {len(manifests)} renderings fit one another and the {len(settings)} settings")


if __name__ == "__main__":
    main()
