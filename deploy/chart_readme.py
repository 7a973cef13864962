"""Writes the chart's README.md out of its values.yaml: a row for each value, with the comment above it.

Usage: chart_readme.py [--check]

--check writes nothing and fails when the file is not what would be written.
"""

import json
import re
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).resolve().parent.parent / "helm/ii-claw"
# In the place of a value: others are below it.
GROUP = object()
KEY = re.compile(r"^( *)([A-Za-z]\w*):(?: (.*))?$")

HEAD = """\
# ii-claw

{description}. This chart runs its three roles on Kubernetes 1.25 or newer; PostgreSQL 15 or newer and NATS are yours.

    kubectl create secret generic ii-claw-settings --from-env-file=settings.env
    helm install claw . --set existingSecret=ii-claw-settings --set image.repository=registry.example.com/ii-claw
    helm test claw

The keys of that Secret are listed at [existingSecret](#values). To look at it, with nothing but Kubernetes and keys that are made now:

    helm install claw . --set image.repository=registry.example.com/ii-claw \\
      --set postgres.enabled=true --set postgres.password=$(openssl rand -hex 24) \\
      --set nats.enabled=true --set nats.token=$(openssl rand -hex 24) \\
      --set secrets.apiKey=$(openssl rand -hex 24) --set secrets.masterKey=$(openssl rand -base64 32) \\
      --set secrets.aiWebhookUrl=http://agent.example.com/ii-claw/webhook/inbound \\
      --set secrets.aiWebhookSecret=$(openssl rand -hex 24)

Values that are missing, misspelt or unusable are refused with a sentence that says what to do.

## Which way to migrate

| `migrations` | when | what to know |
| --- | --- | --- |
| `initContainer` | every pod, before it starts | The default. One migrates, the others wait for its lock in the database. An older pod that starts again on the newer schema finds nothing to do, as long as that schema allows its version. |
| `hook` | a Job before an install or an upgrade | It runs before anything else of the release is there, so it can't go with `postgres.enabled` or `externalSecret.enabled`, which are refused. It never runs after: `--wait` would wait for pods that wait for the schema. `helm --timeout` (5m) must be longer than the migration. |
| `none` | when you run `ii-claw migrate` | Before each upgrade. Pods wait 30 s for the schema, then start again until it is there. |

In each case the version before goes on running beside the new schema. `docs/upgrade.md` in the repository says how far one can go back.

## Values

Written from `values.yaml` by `deploy/chart_readme.py`.

"""


def comments_of(text: str) -> dict[str, str]:
    """The comment above each key, by the key's path."""
    found: dict[str, str] = {}
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip().removeprefix("#").removeprefix(" "))
        elif key := KEY.match(line):
            indent = len(key[1])
            path = [(at, name) for at, name in path if at < indent] + [(indent, key[2])]
            found[".".join(name for _, name in path)] = sentence(above)
            above = []
        elif not line.strip():
            above = []
    return found


def sentence(lines: list[str]) -> str:
    """The comment as one cell of a table: lines that are set off are a list, of keys."""
    parts: list[str] = []
    listed = False
    for line in lines:
        if line.startswith("  "):
            name, _, meaning = line.strip().partition(" ")
            parts.append(f"<br>`{name}` {meaning.strip()}")
        else:
            parts.append(f"<br>{line}" if listed else line)
        listed = line.startswith("  ")
    return " ".join(parts).replace("|", "\\|").replace(" <br>", "<br>")


def leaves(values: dict, comments: dict[str, str], path: str = "") -> list[tuple[str, object]]:
    """What is set one by one: a map with keys that have comments or maps below is a group, any other is a value."""
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        where = f"{path}.{name}".lstrip(".")
        group = isinstance(value, dict) and any(f"{where}.{below}" in comments for below in value)
        found += [(where, GROUP), *leaves(value, comments, where)] if group else [(where, value)]
    return found


def readme() -> str:
    text = (CHART / "values.yaml").read_text()
    comments = comments_of(text)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    lines = ["| value | default | what it is |", "| --- | --- | --- |"]
    for where, value in leaves(yaml.safe_load(text), comments):
        shown = "" if value is GROUP else f"`{json.dumps(value)}`"
        said = comments.get(where, "")
        if shown or said:
            lines.append(f"| `{where}` | {shown} | {said} |")
    return HEAD.format(description=chart["description"]) + "\n".join(lines) + "\n"


def main() -> None:
    path = CHART / "README.md"
    wanted = readme()
    if sys.argv[1:] == ["--check"]:
        if not path.exists() or path.read_text() != wanted:
            sys.exit("check: helm/ii-claw/README.md is not what values.yaml says: run deploy/chart_readme.py")
        print("check: the chart's README.md is what values.yaml says")
        return
    if sys.argv[1:]:
        sys.exit(__doc__)
    path.write_text(wanted)


if __name__ == "__main__":
    main()
