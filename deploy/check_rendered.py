"""What schemas can't say about rendered manifests: that the parts fit one another and fit ii-claw.

Usage: check_rendered.py MANIFEST...
"""

import re
import sys
from pathlib import Path

import yaml

from check_common import ROLES, ROOT, expect, finish, known_settings, workspace
from check_pods import check_container, check_deployment, check_restricted

# The components that are servers for a trial.
TRIAL = {"postgres", "nats"}

# Settings without a value of their own: what the chart itself decides, and what extraEnv is for.
CHART_DECIDES = {"II_CLAW_LISTEN", "II_CLAW_RPC_LISTEN"}
IN_EXTRA_ENV = {
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "II_CLAW_WEIGHT",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
}


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
            if entry and entry["kind"] == "Deployment" and component(entry) not in TRIAL:
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
    for entry in objects:
        if spec := pod_spec(entry):
            check_restricted(f"{path.name} {entry['kind']} {entry['metadata']['name']}", spec)
    # The example of further variables.
    given = {"HTTPS_PROXY"}
    deployments = [entry for entry in kinds.get("Deployment", []) if component(entry) not in TRIAL]
    roles = [
        check_deployment(f"{path.name} {entry['metadata']['name']}", entry, settings, given) for entry in deployments
    ]
    expect(sorted(roles) == sorted(ROLES), f"{path.name}: deploys {roles}")
    for entry in [*kinds.get("Job", []), *kinds.get("Pod", [])]:
        for container in pod_spec(entry)["containers"]:
            where = f"{path.name} {entry['metadata']['name']} {container['name']}"
            check_container(where, container, settings | {"POD_IP"}, given)
    check_selectors(path, kinds)
    check_routes(path, kinds)
    check_watched(path, kinds)
    check_monitors(path, kinds)
    check_scaling(path, kinds)
    check_secrets(path, kinds, text)
    return len(objects)


def component(entry: dict) -> str:
    return entry["metadata"]["labels"].get("app.kubernetes.io/component", "")


def pod_spec(entry: dict) -> dict | None:
    if entry["kind"] in ("Deployment", "StatefulSet", "Job"):
        return entry["spec"]["template"]["spec"]
    return entry["spec"] if entry["kind"] == "Pod" else None


def selected(selector: dict, objects: list[dict]) -> list[dict]:
    """Those whose labels are named, and have one of the values that are listed."""

    def fits(labels: dict) -> bool:
        listed = selector.get("matchExpressions", [])
        return selector.get("matchLabels", {}).items() <= labels.items() and all(
            each["operator"] == "In" and labels.get(each["key"]) in each["values"] for each in listed
        )

    return [entry for entry in objects if fits(entry["metadata"]["labels"])]


def check_selectors(path: Path, kinds: dict[str, list[dict]]) -> None:
    """Services, budgets and network policies select the pods they are for, and name ports that those have."""
    pods = [entry["spec"]["template"] for kind in ("Deployment", "StatefulSet") for entry in kinds.get(kind, [])]
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
    for entry in kinds.get("NetworkPolicy", []):
        where = f"{path.name} NetworkPolicy {entry['metadata']['name']}"
        selector = entry["spec"]["podSelector"]
        chosen = [pod["spec"]["containers"][0] for pod in selected(selector, pods)]
        wanted = len(ROLES) if "matchExpressions" in selector else 1
        expect(len(chosen) == wanted, f"{where}: selects {len(chosen)} kinds of pods")
        for rule in entry["spec"]["ingress"]:
            for port in rule["ports"]:
                for container in chosen:
                    names = [each["name"] for each in container["ports"]]
                    expect(port["port"] in names, f"{where}: {container['name']} has no port {port['port']}")
    services = len(ROLES) + 1 + sum(component(pod) in TRIAL for pod in pods)
    expect(len(kinds.get("Service", [])) == services, f"{path.name}: {len(kinds.get('Service', []))} Services")


def check_watched(path: Path, kinds: dict[str, list[dict]]) -> None:
    """Where alerts or dashboards are rendered, all are."""
    files = ROOT / "helm/ii-claw/files"
    for kind, pattern in (("PrometheusRule", "rules/*.yaml"), ("ConfigMap", "dashboards/*.json")):
        found, wanted = len(kinds.get(kind, [])), len(list(files.glob(pattern)))
        expect(found in (0, wanted), f"{path.name}: {found} of kind {kind} from {wanted} files")


def check_monitors(path: Path, kinds: dict[str, list[dict]]) -> None:
    """All roles are scraped, and their series' job is the release: rules and dashboards tell clusters apart by it."""
    pods = [entry["spec"]["template"] for entry in kinds["Deployment"]]
    for kind, objects in (("PodMonitor", pods), ("ServiceMonitor", kinds.get("Service", []))):
        for entry in kinds.get(kind, []):
            where = f"{path.name} {kind} {entry['metadata']['name']}"
            chosen = [each["metadata"]["labels"] for each in selected(entry["spec"]["selector"], objects)]
            roles = sorted(labels["app.kubernetes.io/component"] for labels in chosen)
            expect(roles == sorted(ROLES), f"{where}: scrapes {roles}")
            release = entry["metadata"]["labels"]["app.kubernetes.io/instance"]
            jobs = {labels.get(entry["spec"]["jobLabel"]) for labels in chosen}
            expect(jobs == {release}, f"{where}: the series' jobs are {jobs}, not the release")


def check_scaling(path: Path, kinds: dict[str, list[dict]]) -> None:
    """A Deployment has a number of replicas, or something that sets it, and never both."""
    scaled = {
        entry["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for entry in kinds.get(kind, [])
    }
    names = {entry["metadata"]["name"] for entry in kinds["Deployment"]}
    expect(scaled <= names, f"{path.name}: {sorted(scaled - names)} are scaled and not there")
    for entry in kinds["Deployment"]:
        name = entry["metadata"]["name"]
        expect(
            ("replicas" in entry["spec"]) != (name in scaled), f"{path.name} {name}: two say how many, or nobody does"
        )


def check_routes(path: Path, kinds: dict[str, list[dict]]) -> None:
    """What comes from outside arrives at a port of a Service."""
    services = {entry["metadata"]["name"]: entry["spec"]["ports"] for entry in kinds.get("Service", [])}
    for ingress in kinds.get("Ingress", []):
        for rule in ingress["spec"]["rules"]:
            for entry in rule["http"]["paths"]:
                to = entry["backend"]["service"]
                expect(entry["pathType"] == "Prefix", f"{path.name}: the Ingress has paths of type {entry['pathType']}")
                ports = [port["name"] for port in services.get(to["name"], [])]
                expect(to["port"]["name"] in ports, f"{path.name}: the Ingress leads nowhere: {to}")
    for route in kinds.get("HTTPRoute", []):
        for rule in route["spec"]["rules"]:
            for to in rule["backendRefs"]:
                ports = [port["port"] for port in services.get(to["name"], [])]
                expect(to["port"] in ports, f"{path.name}: the HTTPRoute leads nowhere: {to}")


def check_secrets(path: Path, kinds: dict[str, list[dict]], text: str) -> None:
    """What is secret shows in Secrets alone, and pods find the keys that they need."""
    secrets = kinds.get("Secret", [])
    for secret in secrets:
        for key, value in secret["stringData"].items():
            shown = text.count(value) - sum(
                other.count(value) for each in secrets for other in each["stringData"].values()
            )
            expect(shown == 0, f"{path.name}: {key} shows outside the Secret")
    wanted = {
        (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for spec in filter(None, map(pod_spec, (entry for kind in kinds.values() for entry in kind)))
        for container in spec["containers"] + spec.get("initContainers", [])
        for entry in container.get("env", [])
        if "secretKeyRef" in entry.get("valueFrom", {}) and not entry["valueFrom"]["secretKeyRef"].get("optional")
    }
    offered = {(secret["metadata"]["name"], key) for secret in secrets for key in secret["stringData"]}
    made = {name for name, _ in offered}
    missing = {(name, key) for name, key in wanted - offered if name in made}
    expect(not missing, f"{path.name}: Secrets lack {sorted(missing)}")
    elsewhere = {name for name, _ in wanted} - made
    expect(
        len(elsewhere) == (not made),
        f"{path.name}: pods want the Secrets {sorted(elsewhere)}, the chart makes {sorted(made)}",
    )


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
    members = workspace()
    version, rust = members["package"]["version"], members["package"]["rust-version"]
    chart = yaml.safe_load((ROOT / "helm/ii-claw/Chart.yaml").read_text())
    expect(chart["appVersion"] == version, f"Chart.yaml has appVersion {chart['appVersion']}, Cargo.toml {version}")
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    expect(f"FROM rust:{rust}-" in dockerfile, f"the Dockerfile does not build with Rust {rust}")
    user = re.search(r"^USER (\d+):", dockerfile, re.MULTILINE)
    helpers = (ROOT / "helm/ii-claw/templates/_helpers.tpl").read_text()
    expect(
        user and f'"ii-claw.podSecurityContext" {user[1]} ' in helpers,
        "the chart runs as another user than the image's",
    )
    # The chart compares what is set with the defaults of what is not.
    settings = (ROOT / "crates/config/src/settings.rs").read_text()
    defaults = (ROOT / "helm/ii-claw/templates/_check_settings.tpl").read_text()
    for value, variable in (("messageDays", "II_CLAW_MESSAGE_DAYS"), ("mediaDays", "II_CLAW_MEDIA_DAYS")):
        ours = set(re.findall(rf'env = "{variable}", default_value(?:_t)? = "?(\d+)', settings))
        theirs = set(re.findall(rf"^{value}: (\d+)$", defaults, re.MULTILINE))
        expect(len(ours) == 1 and ours == theirs, f"{variable} is {ours} by default, for the chart {theirs}")


def main() -> None:
    settings = known_settings()
    expect(len(settings) > 15, "the settings were not found in the sources")
    manifests = [Path(name) for name in sys.argv[1:]]
    objects = sum(check_manifests(path, settings) for path in manifests)
    check_reach(set_by_chart(manifests), settings)
    chart = ROOT / "helm/ii-claw"
    schema = yaml.safe_load((chart / "values.schema.json").read_text())
    for name, below in schema["properties"].items():
        schema["properties"][name] = schema["definitions"].get(
            below.get("$ref", "").removeprefix("#/definitions/"), below
        )
    check_values(schema, yaml.safe_load((chart / "values.yaml").read_text()), "")
    check_versions()
    finish(f"{objects} objects in {len(manifests)} renderings fit one another and the {len(settings)} settings")


if __name__ == "__main__":
    main()
