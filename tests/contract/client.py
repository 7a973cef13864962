"""The gateway's one client, written the way the backend writes it: httpx, 30 s, `.json()` on every answer."""

from urllib.parse import quote

import httpx

TLS = httpx.create_ssl_context()  # slow to make, so made once


class IIClawError(Exception):
    """The gateway answered with a status of 400 or more."""

    def __init__(self, status: int, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class IIClawClient:
    def __init__(self, base_url: str, api_key: str | None, answers: list[str] | None = None):
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=30.0, verify=TLS, trust_env=False)
        # Every answer seen, headers included, so that a test can look for leaked secrets.
        self.answers = [] if answers is None else answers

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, **kwargs) -> httpx.Response:
        """Any call. Fails when the answer, error or not, is not JSON, as the real client would."""
        response = self._http.request(method, path, **kwargs)
        self.answers.append(f"{response.headers}\n{response.text}")
        response.json()
        return response

    def _call(self, method: str, path: str, **kwargs) -> dict:
        response = self.request(method, path, **kwargs)
        if response.status_code >= 400:
            raise IIClawError(response.status_code, response.json())
        return response.json()

    def health(self) -> dict:
        return self._call("GET", "/api/health")

    def channels(self, user: str, channel_type: str | None = None) -> list[dict]:
        params = {"channel_type": channel_type} if channel_type else None
        return self._call("GET", channels_path(user), params=params)["channels"]

    def channel(self, user: str, slug: str) -> dict:
        (found,) = [c for c in self.channels(user) if c["instance_name_id"] == slug]
        return found

    def configure(self, user: str, slug: str, body: dict) -> dict:
        return self._call("POST", channel_path(user, slug, "configure"), json=body)

    def update(self, user: str, slug: str, **changes) -> dict:
        return self._call("PUT", channel_path(user, slug), json=changes)

    def delete(self, user: str, slug: str) -> dict:
        return self._call("DELETE", channel_path(user, slug))

    def send(self, user: str, slug: str, **body) -> dict:
        return self._call("POST", channel_path(user, slug, "send"), json=body)

    def wake(self, **body) -> dict:
        return self._call("POST", "/hooks/wake", json=body)

    def reload(self, user: str) -> dict:
        return self._call("POST", channels_path(user) + "/reload")

    def create_job(self, user: str, body: dict) -> dict:
        return self._call("POST", jobs_path(user), json=body)

    def jobs(self, user: str, label: str | None = None) -> list[dict]:
        params = {"label": label} if label else None
        return self._call("GET", jobs_path(user), params=params)["jobs"]

    def job(self, user: str, job_id: str) -> dict:
        (found,) = [job for job in self.jobs(user) if job["id"] == job_id]
        return found

    def replace_job(self, user: str, job_id: str, body: dict) -> dict:
        return self._call("PUT", job_path(user, job_id), json=body)

    def enable_job(self, user: str, job_id: str, enabled: bool) -> dict:
        return self._call("PUT", job_path(user, job_id, "enable"), json={"enabled": enabled})

    def delete_job(self, user: str, job_id: str) -> dict:
        return self._call("DELETE", job_path(user, job_id))

    def test_job(self, user: str, job_id: str) -> dict:
        return self._call("POST", job_path(user, job_id, "test"))

    def job_history(self, user: str, job_id: str) -> list[dict]:
        return self._call("GET", job_path(user, job_id, "history"))["runs"]

    def history(self, user: str) -> list[dict]:
        return self._call("GET", f"{user_path(user)}/cron/history")["runs"]

    def preview(self, user: str, schedule: dict, count: int) -> list[str]:
        body = {"schedule": schedule, "count": count}
        return self._call("POST", f"{user_path(user)}/cron/preview", json=body)["runs"]


def user_path(user: str) -> str:
    return f"/api/users/{quote(user, safe='')}"


def jobs_path(user: str) -> str:
    return f"{user_path(user)}/cron/jobs"


def job_path(user: str, job_id: str, action: str = "") -> str:
    path = f"{jobs_path(user)}/{quote(job_id, safe='')}"
    return f"{path}/{action}" if action else path


def channels_path(user: str) -> str:
    return f"{user_path(user)}/channels"


def channel_path(user: str, slug: str, action: str = "") -> str:
    path = f"{channels_path(user)}/{quote(slug, safe='')}"
    return f"{path}/{action}" if action else path


def answer_target(body: dict) -> dict:
    """Where the backend sends its answer to an inbound message: `recipient` and, in a thread, `thread_id`."""
    reply_to = body.get("reply_to")
    if not reply_to:
        return {"recipient": body["sender"]["platform_id"]}
    target = {"recipient": reply_to["recipient"]}
    if reply_to.get("thread_id") is not None:
        target["thread_id"] = reply_to["thread_id"]
    return target


def session_key(metadata: dict):
    """What the backend takes for the conversation's identity."""
    for key in ("thread_id", "message_thread_id", "channel_id", "chat_id"):
        if metadata.get(key) is not None:
            return metadata[key]
    return None


def as_form_value(value) -> str:
    """How the front end turns a value of `config_json` into the string it saves."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)
