"""What must be true of every pod that the chart renders, and of the roles' pods beyond that."""

import re

from check_common import DRAIN, NEEDED_BY, ROLES, RPC, expect

CERTIFICATE = ("II_CLAW_RPC_TLS_CERT", "II_CLAW_RPC_TLS_KEY", "II_CLAW_RPC_TLS_CA")


def check_restricted(where: str, spec: dict) -> None:
    """The "restricted" level of the pod security standards, and more: nothing to write to, no token, an end of memory."""
    pod = spec.get("securityContext", {})
    expect(pod.get("runAsNonRoot") is True and pod.get("runAsUser", 0) > 0, f"{where}: may run as root")
    expect(pod.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{where}: no seccomp profile")
    expect(not pod.get("sysctls") and not pod.get("windowsOptions"), f"{where}: asks for more of the node")
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        expect(not spec.get(key), f"{where}: has {key}")
    for volume in spec.get("volumes", []):
        expect(set(volume) - {"name"} <= {"emptyDir", "secret", "configMap"}, f"{where}: has the volume {volume}")
    expect(spec.get("automountServiceAccountToken") is False, f"{where}: gets a token of Kubernetes")
    expect(spec.get("enableServiceLinks") is False, f"{where}: other Services may set II_CLAW_ variables")
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        name = f"{where} {container['name']}"
        security = container.get("securityContext", {})
        expect(security.get("allowPrivilegeEscalation") is False, f"{name}: privileges can be escalated")
        expect(security.get("readOnlyRootFilesystem") is True, f"{name}: the root file system is writable")
        expect(security.get("capabilities") == {"drop": ["ALL"]}, f"{name}: keeps or adds capabilities")
        expect(not security.get("privileged"), f"{name}: is privileged")
        expect("runAsUser" not in security and "procMount" not in security, f"{name}: differs from its pod")
        expect(not any(port.get("hostPort") for port in container.get("ports", [])), f"{name}: has a port of the node")


def check_container(where: str, container: dict, settings: set[str], given: set[str]) -> None:
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
    check_volumes(where, role, spec)
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
