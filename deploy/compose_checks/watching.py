"""What watches the cluster sees it: Prometheus, the collector of traces, Grafana."""

import json
import re
import urllib.request
from base64 import b64encode

from compose_checks.cluster import REPLICAS, Cluster, say
from image import ROOT
from servers import Failed, answers, until

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def check_prometheus(cluster: Cluster) -> None:
    wanted = sum(REPLICAS.values())

    def all_up() -> bool:
        targets = cluster.asks("/api/v1/targets?state=active")["activeTargets"]
        return len(targets) == wanted and all(target["health"] == "up" for target in targets)

    until(f"Prometheus says that {wanted} targets are up", all_up, 120)
    found = cluster.asks("/api/v1/query?query=count%20by%20(role)(claw_build_info)")["result"]
    roles = {of["metric"]["role"]: int(of["value"][1]) for of in found}
    if roles != REPLICAS:
        raise Failed(f"Prometheus knows {roles}")
    groups = cluster.asks("/api/v1/rules")["groups"]
    until(
        "every rule was evaluated",
        lambda: all(
            rule["health"] == "ok" for group in cluster.asks("/api/v1/rules")["groups"] for rule in group["rules"]
        ),
        120,
    )
    if len(cluster.asks("/api/v1/alertmanagers")["activeAlertmanagers"]) != 1 or not groups:
        raise Failed("Prometheus has no Alertmanager, or no rules")
    until("Alertmanager answers", lambda: answers(f"{cluster.url('ALERTMANAGER')}/-/ready"))
    rules = sum(len(group["rules"]) for group in groups)
    say(f"Prometheus scrapes {roles}, all up, evaluates {rules} rules without an error and knows its Alertmanager")


def check_traces(cluster: Cluster) -> None:
    def came() -> bool:
        logs = ANSI.sub("", cluster.engine.compose("logs", "--no-color", "--no-log-prefix", "otel-collector"))
        return any(int(spans) for spans in re.findall(r'\bspans"?[=:] ?(\d+)', logs))

    until("the collector printed that traces came", came)
    say("traces of the roles reach the collector")


def check_grafana(cluster: Cluster) -> None:
    if not cluster.engine.containers("grafana"):
        return
    settings = dict(line.split("=", 1) for line in cluster.engine.settings.read_text().splitlines())
    login = b64encode(f"admin:{settings['GRAFANA_PASSWORD']}".encode()).decode()
    request = urllib.request.Request(f"{cluster.url('GRAFANA')}/api/search?type=dash-db")
    request.add_header("Authorization", f"Basic {login}")
    wanted = len(list((ROOT / "deploy/grafana").glob("*.json")))

    def has_all() -> bool:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return len(json.load(answer)) == wanted

    until(f"Grafana has the {wanted} dashboards", has_all)
    say(f"Grafana has the {wanted} dashboards")
