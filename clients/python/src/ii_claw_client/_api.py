"""What both clients have in common: every call as a method, where the gateway is, and how its answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urljoin

import httpx

from . import _calls as calls
from ._calls.call import Call
from ._methods import method
from .errors import ConnectionFailed, IIClawError, from_response

T = TypeVar("T")


class Api:
    """Its subclasses make the calls: `run` is theirs."""

    health = method(calls.channels.health)
    channel_types = method(calls.channels.channel_types)
    channels = method(calls.channels.channels)
    configure_channel = method(calls.channels.configure_channel)
    update_channel = method(calls.channels.update_channel)
    delete_channel = method(calls.channels.delete_channel)
    reload_channels = method(calls.channels.reload_channels)
    test_channel = method(calls.channels.test_channel)

    pairings = method(calls.pairing.pairings)
    invite = method(calls.pairing.invite)
    approve_pairing = method(calls.pairing.approve_pairing)
    revoke_pairing = method(calls.pairing.revoke_pairing)

    send = method(calls.channels.send)
    reply = method(calls.channels.reply)
    typing = method(calls.channels.typing)
    edit_message = method(calls.channels.edit_message)
    delete_message = method(calls.channels.delete_message)
    react = method(calls.channels.react)

    messages = method(calls.messages.messages)
    message = method(calls.messages.message)
    retry_message = method(calls.messages.retry_message)
    discard_message = method(calls.messages.discard_message)
    dead_letters = method(calls.messages.dead_letters)
    replay_dead_letters = method(calls.messages.replay_dead_letters)
    discard_dead_letters = method(calls.messages.discard_dead_letters)

    create_job = method(calls.jobs.create_job)
    jobs = method(calls.jobs.jobs)
    job = method(calls.jobs.job)
    replace_job = method(calls.jobs.replace_job)
    enable_job = method(calls.jobs.enable_job)
    delete_job = method(calls.jobs.delete_job)
    run_job = method(calls.jobs.run_job)
    job_history = method(calls.jobs.job_history)
    history = method(calls.jobs.history)
    complete_run = method(calls.jobs.complete_run)
    preview_schedule = method(calls.jobs.preview_schedule)
    signing_secret = method(calls.jobs.signing_secret)

    wake = method(calls.agents.wake)
    run_agent = method(calls.agents.run_agent)
    user_settings = method(calls.agents.user_settings)
    set_user_settings = method(calls.agents.set_user_settings)
    hooks = method(calls.agents.hooks)
    hook = method(calls.agents.hook)
    create_hook = method(calls.agents.create_hook)
    update_hook = method(calls.agents.update_hook)
    delete_hook = method(calls.agents.delete_hook)
    renew_hook_secret = method(calls.agents.renew_hook_secret)
    test_hook = method(calls.agents.test_hook)
    hook_deliveries = method(calls.agents.hook_deliveries)

    create_key = method(calls.operator.create_key)
    keys = method(calls.operator.keys)
    key = method(calls.operator.key)
    revoke_key = method(calls.operator.revoke_key)
    audit = method(calls.operator.audit)
    erase_user = method(calls.operator.erase_user)
    erasure = method(calls.operator.erasure)
    backend = method(calls.operator.backend)
    set_backend = method(calls.operator.set_backend)
    delete_backend = method(calls.operator.delete_backend)
    destinations = method(calls.operator.destinations)
    destination = method(calls.operator.destination)
    create_destination = method(calls.operator.create_destination)
    update_destination = method(calls.operator.update_destination)
    delete_destination = method(calls.operator.delete_destination)
    test_destination = method(calls.operator.test_destination)
    renew_destination_secret = method(calls.operator.renew_destination_secret)
    cluster = method(calls.operator.cluster)
    drain_worker = method(calls.operator.drain_worker)
    step_down = method(calls.operator.step_down)

    def __init__(self, url: str, key: str, timeout: float, retries: int):
        self.url = url.rstrip("/")
        self.retries = retries
        self._timeout = timeout
        self._key = key

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._key}"} | dict(given.get("headers") or {})
        return {"timeout": self._timeout, **given, "base_url": self.url, "headers": headers}

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        return {
            "method": call.method,
            "url": call.path,
            "json": call.json,
            "params": call.params,
            "headers": call.headers,
        }

    def _read(self, call: Call[T], outcome: httpx.Response | httpx.TransportError) -> T:
        if isinstance(outcome, httpx.TransportError):
            raise ConnectionFailed(f"{call.method} {call.path}: {outcome!r}") from outcome
        if outcome.status_code >= 400:
            raise from_response(outcome)
        try:
            return call.read(outcome.json())
        except (ValueError, KeyError, TypeError) as error:
            raise IIClawError(f"{call.method} {call.path}: not an answer of the gateway: {error!r}") from error

    def _media_request(self, http: httpx.Client | httpx.AsyncClient, media_url: str) -> httpx.Request:
        request = http.build_request("GET", urljoin(self.url + "/", media_url))
        del request.headers["Authorization"]
        return request

    def _attachment(self, response: httpx.Response) -> bytes:
        if response.status_code >= 400:
            raise from_response(response)
        return response.content


def entries(page: Mapping[str, Any]) -> list[Any]:
    """What a page lists: its one list."""
    (found,) = (value for value in page.values() if isinstance(value, list))
    return found
