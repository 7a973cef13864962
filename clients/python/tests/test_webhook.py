"""Signatures and bodies, without a gateway."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timezone

import pytest
from ii_claw_client import Client, NobodyToAnswer, WebhookError, verify_webhook

SECRET = "a secret"
NOW = 1_795_420_074
MESSAGE = {
    "user_id": "ada",
    "agent_id": "research",
    "channel": "telegram",
    "instance_name": "telegram_1",
    "platform_message_id": "217561564",
    "sender": {"platform_id": "42", "display_name": "Ada"},
    "content_type": "text",
    "text": "Was gibt es Neues? 👋",
    "is_group": True,
    "thread_id": "9",
    "timestamp": "2026-11-23T01:47:54.123456789Z",
    "metadata": {"chat_id": "-100", "thread_id": "-100:9"},
    "reply_to": {"channel": "telegram", "recipient": "-100", "thread_id": "9"},
}
BODY = json.dumps(MESSAGE, ensure_ascii=False).encode()


def simple(body: bytes = BODY, secret: str = SECRET) -> dict:
    return {"X-Webhook-Signature": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def standard(body: bytes = BODY, key: bytes = SECRET.encode(), sent_at: object = NOW, message_id: str = "m-1") -> dict:
    mac = hmac.new(key, f"{message_id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    return {"Webhook-Id": message_id, "webhook-timestamp": str(sent_at), "webhook-signature": signature}


def verify(headers: dict, body: bytes = BODY, secret: str = SECRET, **options):
    return verify_webhook(body, headers, secret, **({"now": NOW} | options))


@pytest.mark.parametrize("headers", [simple(), standard(), simple() | standard()], ids=["simple", "standard", "both"])
def test_genuine(headers):
    message = verify(headers)
    assert (message.user_id, message.instance_name, message.text) == ("ada", "telegram_1", "Was gibt es Neues? 👋")
    assert message.webhook_id == ("m-1" if "Webhook-Id" in headers else "")


def test_the_example_of_standard_webhooks():
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with pytest.raises(WebhookError, match="the body is not a message"):
        verify_webhook(body, headers, secret, now=1614265330)


def test_one_of_several_signatures_is_enough():
    headers = standard()
    headers["webhook-signature"] = "v1a,xyz v1,AAAA " + headers["webhook-signature"]
    assert verify(headers)


FORGED = {
    "nothing": {},
    "another secret": simple(secret="another"),
    "another body": simple(b"{}"),
    "upper case": {"X-Webhook-Signature": simple()["X-Webhook-Signature"].upper()},
    "not ascii": {"X-Webhook-Signature": "sha256=é\udcff"},
    "empty": {"X-Webhook-Signature": ""},
    "standard: another secret": standard(key=b"another"),
    "standard: another body": standard(b"{}"),
    "standard: another id": standard() | {"Webhook-Id": "m-2"},
    "standard: another time": standard() | {"webhook-timestamp": str(NOW + 1)},
    "standard: no id": standard(message_id=""),
    "standard: no time": standard(sent_at=""),
    "standard: time in words": standard(sent_at="now"),
    "standard: time with a sign": standard(sent_at="+1"),
    "standard: too old": standard(sent_at=NOW - 301),
    "standard: from the future": standard(sent_at=NOW + 301),
    "standard forged, simple right": simple() | standard(key=b"another"),
    "standard too old, simple right": simple() | standard(sent_at=NOW - 301),
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_forged(headers):
    with pytest.raises(WebhookError):
        verify(headers)


def test_tolerance_is_the_callers():
    assert verify(standard(sent_at=NOW - 500), tolerance=600)
    assert verify(standard(sent_at=NOW - 300))
    with pytest.raises(WebhookError, match="too old"):
        verify(standard(sent_at=NOW - 20), tolerance=10)


def test_only_the_schemes_that_are_asked_for():
    with pytest.raises(WebhookError, match="not signed"):
        verify(simple(), schemes=["standard"])
    with pytest.raises(WebhookError, match="not signed"):
        verify(standard(), schemes=["simple"])


def test_a_secret_in_base64():
    secret = "whsec_" + base64.b64encode(b"the key").decode()
    assert verify(standard(key=b"the key"), secret=secret)
    # The older header takes the text as it is.
    assert verify(simple(secret=secret), secret=secret)
    with pytest.raises(ValueError, match="not base64"):
        verify(standard(), secret="whsec_!")


def test_the_message():
    message = verify(standard())
    assert message.timestamp == datetime(2026, 11, 23, 1, 47, 54, 123456, tzinfo=timezone.utc)
    assert (message.reply_to.recipient, message.reply_to.thread_id) == ("-100", "9")
    assert message.sender.display_name == "Ada"
    assert message.session_key == "-100:9"
    assert message.media_url is None
    assert message.raw == MESSAGE


def test_without_reply_to_the_answer_goes_to_the_person():
    bare = {key: value for key, value in MESSAGE.items() if key not in ("reply_to", "timestamp", "metadata")}
    body = json.dumps(bare).encode()
    message = verify(simple(body), body)
    assert (message.reply_to.recipient, message.reply_to.thread_id) == ("42", "9")
    assert message.timestamp is None and message.session_key is None


WAKE = {
    "user_id": "ada",
    "channel": "hook",
    "instance_name": "hooks",
    "content_type": "text",
    "text": "The nightly backup failed.",
    "is_group": False,
    "timestamp": "2026-11-23T01:47:54Z",
    "metadata": {"source": "wake", "chat_id": "hook:wake:ada"},
}


def test_what_no_person_wrote_has_nobody_to_answer():
    body = json.dumps(WAKE).encode()
    message = verify(standard(body), body)
    assert message.reply_to is message.sender is None
    assert (message.text, message.session_key) == (WAKE["text"], "hook:wake:ada")
    with Client("http://127.0.0.1:1", "key") as client, pytest.raises(NobodyToAnswer, match="m-1"):
        client.reply(message, "Thanks.")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"user_id": "ada"}', b"\xff"], ids=repr)
def test_a_signed_body_that_is_no_message(body):
    with pytest.raises(WebhookError, match="the body is not a message"):
        verify(simple(body), body)
