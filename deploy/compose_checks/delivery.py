"""Messages pass, whatever ends: the checks that write."""

import json
import urllib.error
import urllib.request

from compose_checks.cluster import REPLICAS, Cluster, Writing, say
from compose_checks.visitor import Visitor
from servers import Failed, until
from traffic import SECRET, USER, sign

# What needs a key.
ASKED = f"/api/users/{USER}/channels"


def check_messages(cluster: Cluster) -> None:
    """In through nginx, to the backend, and the answer back: by a webhook and by a socket."""
    people, agent = cluster.people, cluster.agent
    people.configure(cluster.callback)
    body = json.dumps({"sender": {"id": "mallory"}, "text": "mallory/1", "message_id": "forged"}).encode()
    request = urllib.request.Request(f"{cluster.gateway}/webhooks/webhook/{people.channel}", data=body)
    request.add_header("X-Webhook-Signature", sign(f"not {SECRET}", body))
    try:
        urllib.request.urlopen(request, timeout=30)
        raise Failed("a webhook with a wrong signature was accepted")
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise Failed(f"a webhook with a wrong signature was answered with {error.code}") from error
    people.write(40)
    until("the backend heard 40 messages, each signed", lambda: agent.count() == 40)
    if (status := people.send("an answer")) not in ("sent", "delivered"):
        raise Failed(f"an answer was answered with {status}")
    until("the answer arrived, signed", lambda: "an answer" in agent.sent)
    path = f"/api/users/{USER}/channels/chat_1"
    channel = people.call("POST", f"{path}/configure", {"channel_type": "webchat", "fields": {}})["id"]
    visitor = Visitor(cluster.gateway, channel)
    visitor.hear("ready")
    visitor.say("c1", "visitor/1")
    visitor.hear("ack")
    until("the backend heard the visitor", lambda: "visitor/1" in agent.belongs)
    recipient = agent.belongs["visitor/1"]["reply_to"]["recipient"]
    people.call("POST", f"{path}/send", {"recipient": recipient, "message": "hello, visitor"})
    while (told := visitor.hear("message"))["from"] != "agent":
        pass
    if told["text"] != "hello, visitor":
        raise Failed(f"the visitor was told {told}")
    people.accepted.append(("visitor", 1))
    say("messages and their answers pass nginx both ways, by signed webhooks and by a socket; a forged one is refused")


def check_delivered(cluster: Cluster) -> None:
    people, agent = cluster.people, cluster.agent
    until("the backend heard all that was accepted", lambda: agent.count() >= len(people.accepted))
    heard = {(chat, number) for chat, numbers in agent.heard.items() for number in numbers}
    if missing := [message for message in people.accepted if message not in heard]:
        raise Failed(f"{len(missing)} of {len(people.accepted)} accepted messages are lost, the first is {missing[0]}")
    if agent.out_of_order() or agent.renamed:
        raise Failed(f"{agent.out_of_order()} messages came out of order, {agent.renamed} again under another id")


def check_kills(cluster: Cluster) -> None:
    """A gateway and a worker are killed under load and stay away; then they come back."""
    engine, killed = cluster.engine, [cluster.one(service) for service in ("gateway", "worker")]
    before, writing = len(cluster.people.accepted), Writing(cluster.people)
    for container in killed:
        writing.more()
        engine.docker("kill", "--signal=KILL", container)
    writing.more()
    told = writing.finish()
    check_delivered(cluster)
    if running := [container for container in killed if not cluster.state(container).startswith("exited")]:
        raise Failed(f"{running} came back, so nothing was tried without them")
    engine.docker("start", *killed)
    for container in killed:
        until("what was killed is healthy again", lambda container=container: cluster.healthy(container))
    say(
        f"a gateway and a worker were killed while {len(cluster.people.accepted) - before} messages were accepted: none is lost"
        f" or out of order, {cluster.agent.again} came a second time; {told}"
    )


def check_servers(cluster: Cluster) -> None:
    """NATS and PostgreSQL are killed under load, come back, and all find them."""
    for service in ("nats", "postgres"):
        container, writing = cluster.one(service), Writing(cluster.people)
        writing.more()
        cluster.engine.docker("kill", "--signal=KILL", container)
        cluster.engine.docker("start", container)
        until(f"{service} is healthy again", lambda container=container: cluster.healthy(container))
        writing.more()
        told = writing.finish()
        check_delivered(cluster)
        say(f"{service} was killed and came back: nothing accepted is lost or out of order; {told}")
    for service in REPLICAS:
        for container in cluster.engine.containers(service):
            until(f"each {service} is healthy again", lambda container=container: cluster.healthy(container))


def check_restarts(cluster: Cluster) -> None:
    """A process that crashes is started again by the engine."""
    crash = 'for p in /proc/[0-9]*; do if [ "$(<$p/comm)" = ii-claw ]; then kill -KILL "${p#/proc/}"; fi; done'
    for service in REPLICAS:
        container = cluster.one(service)
        before = int(cluster.engine.inspect(container, "{{.RestartCount}}"))
        cluster.engine.docker("exec", container, "bash", "-c", crash, good=False)
        until(
            f"a {service} was started again",
            lambda container=container, before=before: int(cluster.engine.inspect(container, "{{.RestartCount}}"))
            > before,
        )
        until(f"a {service} is healthy again", lambda container=container: cluster.healthy(container))
    say("a gateway, a worker and a scheduler that crashed were started again and are healthy")


def check_callers(cluster: Cluster) -> None:
    """Gateways know callers by nginx's word alone: nobody is somebody else, and nobody pays for another's wrong keys."""

    def stranger(claims: str) -> int:
        request = urllib.request.Request(f"{cluster.gateway}{ASKED}", headers={"X-Forwarded-For": claims})
        request.add_header("Authorization", "Bearer wrong")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    # Each gateway answers 30 of one address with 401, and one more every two seconds.
    answered = [stranger(f"198.51.100.{at}") for at in range(120)]
    if set(answered) != {401, 429} or answered.count(429) < 20:
        raise Failed(f"a stranger under 120 addresses was answered {answered.count(401)} times with 401")
    asks = f"GET {ASKED} HTTP/1.0\\r\\nHost: nginx\\r\\nAuthorization: Bearer wrong\\r\\n\\r\\n"
    script = f"exec 3<>/dev/tcp/nginx/8080; printf '{asks}' >&3; head -n 1 <&3"
    for _ in range(4):
        told = cluster.engine.docker("exec", cluster.one("worker"), "bash", "-c", script)
        if " 401 " not in told:
            raise Failed(f"another stranger was told {told!r}")
    say("a stranger can't be somebody else by X-Forwarded-For, and another one is not throttled with it")
