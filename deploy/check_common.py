"""What the checks of the chart and of the compose file share."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RPC = 4201
ROLES = {"gateway": {"http": 4200, "rpc": RPC}, "worker": {"rpc": RPC}, "scheduler": {"rpc": RPC}}
# Seconds that a role may take to end (GRACE of the roles).
DRAIN = 25
NEEDED = {"DATABASE_URL", "NATS_URL", "II_CLAW_API_KEY", "II_CLAW_MASTER_KEY"}
NEEDED_BY = {"gateway": NEEDED, "worker": NEEDED | {"AI_WEBHOOK_URL", "AI_WEBHOOK_SECRET"}, "scheduler": NEEDED}

wrong: list[str] = []


def expect(ok: object, sentence: str) -> None:
    if not ok:
        wrong.append(sentence)


def finish(sentence: str) -> None:
    """Prints what is wrong and fails, or the sentence."""
    for fault in wrong:
        print(f"check: {fault}", file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(f"check: {sentence}")


def known_settings() -> set[str]:
    """The variables that ii-claw reads."""
    sources = [*(ROOT / "crates/config/src").glob("*.rs"), *(ROOT / "crates/cli/src").rglob("*.rs")]
    return {name for path in sources for name in re.findall(r'env = "([A-Z_]+)"', path.read_text())}


def workspace() -> dict:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
