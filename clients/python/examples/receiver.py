"""A backend in one file: takes what the gateway posts, says so at once, and answers when it is done.

    export II_CLAW_URL=http://localhost:4200 II_CLAW_API_KEY=... AI_WEBHOOK_SECRET=...
    uvicorn receiver:app --port 8000

The gateway's AI_WEBHOOK_URL is then http://localhost:8000/ii-claw/webhook/inbound.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, Request
from fastapi.responses import JSONResponse
from ii_claw_client import AsyncClient, IIClawError, InboundMessage, WebhookError, verify_webhook

SECRET = os.environ["AI_WEBHOOK_SECRET"]
gateway = AsyncClient(os.environ["II_CLAW_URL"], os.environ["II_CLAW_API_KEY"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await gateway.close()


app = FastAPI(lifespan=lifespan)


class Taken:
    """The messages that were taken already: one may come twice. A real backend keeps them in its database, together
    with the message itself: what it has taken is its to lose."""

    def __init__(self, most: int = 10_000):
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._most = most

    def is_new(self, message_id: str) -> bool:
        if message_id in self._ids:
            return False
        self._ids[message_id] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True


taken = Taken()


@app.post("/ii-claw/webhook/inbound")
async def inbound(request: Request, background: BackgroundTasks):
    try:
        # The bytes as they arrived: the signature is over them. The gateway always signs by both schemes; this one has
        # the time in it.
        message = verify_webhook(await request.body(), request.headers, SECRET, schemes=["standard"])
    except WebhookError as error:
        return JSONResponse({"error": str(error)}, status_code=401)
    if not taken.is_new(message.webhook_id):
        return {"async_processing": True}
    background.add_task(answer, message)
    if message.reply_to is None:
        return {"async_processing": True}
    return {"immediate_reply": "Processing...", "async_processing": True}


async def answer(message: InboundMessage) -> None:
    """Runs after the gateway has its 200, however long it takes."""
    try:
        thought = await think(message)
        # Nobody waits for an answer to a wake-up without a chat, say: what the agent did is all.
        if message.reply_to is not None:
            await gateway.reply(message, thought)
    except IIClawError:
        logging.exception("no answer to %s", message.webhook_id)


async def think(message: InboundMessage) -> str:
    """Where your agent goes."""
    if message.media_url:
        attachment = await gateway.download(message.media_url)
        return f"You sent {len(attachment)} bytes of {message.content_type}"
    return f"You said: {message.text}"
