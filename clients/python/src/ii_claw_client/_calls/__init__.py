"""Every call of the API, described once; `_api` makes methods of them for both clients."""

from . import agents, channels, jobs, messages, operator, pairing

__all__ = ["agents", "channels", "jobs", "messages", "operator", "pairing"]
