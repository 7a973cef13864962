"""Keys, the audit log, destinations of events; and what the package brings along."""

from pathlib import Path

import pytest
from ii_claw_client import BadRequest, Client, Forbidden, NotFound, Unauthorized, models
from people import assert_fits, eventually, unique

PACKAGE = Path(__file__).resolve().parents[1]


def test_a_key_for_one_user(settings, client, user):
    made = client.create_key("for a test", user_id=user, scopes=["read"])
    assert_fits(made, models.CreatedKey)
    with Client(settings.url, made["key"], retries=0) as reader:
        assert reader.channels(user) == []
        with pytest.raises(Forbidden):
            reader.channels(unique("other"))
        with pytest.raises(Forbidden):
            reader.configure_channel(user, "chat", "webchat", {})
        assert client.key(made["id"])["name"] == "for a test"
        assert made["id"] in [key["id"] for key in client.keys(limit=200)["keys"]]
        assert client.revoke_key(made["id"])["revoked_at"]

        def refused() -> bool:
            try:
                reader.channels(user)
            except Unauthorized:
                return True
            return False

        # Another gateway hears of it a moment later.
        eventually(refused, what="the revoked key to be refused")


def test_the_audit_log(client, user):
    client.configure_channel(user, "chat", "webchat", {})
    client.update_channel(user, "chat", instance_name="Chat")
    page = client.audit(user=user, limit=1)
    assert_fits(page, models.Audit)
    assert_fits(page["entries"][0], models.AuditEntry)
    (made,) = client.audit(user=user, action="channel.created")["entries"]
    assert (made["actor"], made["user_id"]) == ("operator", user)
    entries = list(client.every(client.audit, user=user, limit=1))
    assert len(entries) == 2 and entries[-1] == made


def test_a_user_is_erased(client, user):
    client.configure_channel(user, "chat", "webchat", {})
    with pytest.raises(NotFound):
        client.erasure(user)
    with pytest.raises(BadRequest):
        client.erase_user(user, confirm="yes")
    assert len(client.channels(user)) == 1
    assert_fits(client.erase_user(user, confirm=user), models.Erasure)
    assert client.channels(user) == []
    eventually(lambda: client.erasure(user)["complete"], timeout=90, what="the end of the erasure")
    done = client.erasure(user)
    assert_fits(done, models.Erasure)
    assert done["finished_at"] and done["removed"]["channels"] == 1


@pytest.mark.parametrize("everybodys", [False, True])
def test_a_destination_from_its_making_to_its_end(client, user, third_party, everybodys):
    owner = None if everybodys else user
    url = f"{third_party.url}/callback"
    # Of the operator's events only those of one channel that nobody has.
    made = client.create_destination(owner, "for a test", url, types=["channel.*"], channel=unique("no"))
    try:
        assert_fits(made, models.CreatedDestination)
        assert made["secret"].startswith("whsec_") and made["user_id"] == owner
        assert made["id"] in [one["id"] for one in client.every(client.destinations, owner, limit=50)]
        assert_fits(client.destination(owner, made["id"]), models.Destination)
        assert client.update_destination(owner, made["id"], types=[])["types"] == []
        tested = client.test_destination(owner, made["id"])
        assert_fits(tested, models.DestinationTest)
        assert (tested["ok"], tested["status"]) == (True, 200)
        assert client.renew_destination_secret(owner, made["id"])["secret"] != made["secret"]
    finally:
        client.delete_destination(owner, made["id"])
    with pytest.raises(NotFound):
        client.destination(owner, made["id"])


def test_a_backend_of_a_users_own(client, user, third_party):
    secret = "0123456789abcdef"
    with pytest.raises(NotFound):
        client.backend(user)
    with pytest.raises(BadRequest):
        client.set_backend(user, url=third_party.url)
    made = client.set_backend(user, url=f"{third_party.url}/callback", secrets=[secret])
    try:
        assert_fits(made, models.Backend)
        assert (made["secrets"], made["max_in_flight"], made["enabled"]) == (1, 16, True)
        shown = client.backend(user)
        assert_fits(shown, models.BackendWithState)
        assert shown["state"] == "closed" and secret not in str(shown)
        changed = client.set_backend(user, secrets=["fedcba9876543210", secret], max_in_flight=3)
        assert (changed["url"], changed["secrets"], changed["max_in_flight"]) == (made["url"], 2, 3)
        with pytest.raises(NotFound):
            client.set_backend(user, unique("no"), url=third_party.url, secrets=[secret])
    finally:
        client.delete_backend(user)
    with pytest.raises(NotFound):
        client.backend(user)


def test_the_licence_is_the_repositorys():
    assert (PACKAGE / "LICENSE").read_bytes() == (PACKAGE.parents[1] / "LICENSE").read_bytes()
    assert 'license-files = ["LICENSE"]' in (PACKAGE / "pyproject.toml").read_text()


def test_the_cluster(client):
    cluster = client.cluster()
    assert_fits(cluster, models.Cluster)
    for member in cluster["members"]:
        assert_fits(member, models.ClusterMember)
    assert "gateway" in {member["role"] for member in cluster["members"]}
    claims = client.cluster(shards=True)["shards"]["claims"]
    assert len(claims) == cluster["shards"]["count"]
    with pytest.raises(NotFound):
        client.drain_worker("nobody-of-this-name")
