"""That the image's build gets to see all that is compiled in.

Usage: check_context.py [FOLDER]

With FOLDER the build's context is copied there instead, for a compiler without an engine around it (`make context-test`).

Dockerfile.dockerignore is read as Docker reads it (https://docs.docker.com/build/concepts/context/#dockerignore-files): a line matches
a path and all below it, and the last line that matches decides. Includes are found by their text, because the compiler says nothing of
them before it fails: it is run beside the repository, where every file is there. So a path must be written out, and this check fails
on one that is not.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from check_common import ROOT, expect, finish, workspace

IGNORE = ROOT / "deploy/Dockerfile.dockerignore"
# How patterns say what they stand for; the rest of them is meant literally.
WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
# A path, or the beginning of one whose end is a macro's argument.
INCLUDE = re.compile(r'\binclude(?:_str|_bytes)?!\(\s*(?P<begins>concat!\(\s*)?(?:"(?P<path>[^"]*)")?')
# A module of tests: out of line, or up to the brace that rustfmt puts at the line's beginning.
TESTS = re.compile(
    r"^#\[cfg\(test\)\]\n(?:#\[[^\n]*\]\n)*(?:pub(?:\([^\n)]*\))? )?mod (\w+)(?:;|\s*\{\n.*?^\})", re.MULTILINE | re.DOTALL
)


def lines() -> list[str]:
    return [line.strip() for line in IGNORE.read_text().splitlines() if line.strip() and not line.startswith("#")]


def compiled(pattern: str) -> re.Pattern:
    expect(not re.search(r"[\[\\]", pattern), f"{IGNORE.name}: this check can't read {pattern}: do without [ and \\")
    parts = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", pattern.strip("/"))
    return re.compile("".join(WILD.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


RULES = [(line.startswith("!"), compiled(line.removeprefix("!"))) for line in lines()]


def inside(path: str) -> bool:
    """Whether the build gets to see it."""
    return next((lets_in for lets_in, pattern in reversed(RULES) if pattern.fullmatch(path)), True)


def members() -> list[Path]:
    return [path.parent for member in workspace()["members"] for path in ROOT.glob(f"{member}/Cargo.toml")]


def program() -> dict[Path, str]:
    """The sources that the program may be built of, without tests and comments."""
    packages = [member for member in members() if member.parent != ROOT / "tests"]
    texts = {
        path: "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
        for package in packages
        for path in [*(package / "src").rglob("*.rs"), *package.glob("build.rs")]
    }
    tests = set()
    for path, text in texts.items():
        beside = path.parent if path.stem in ("lib", "main", "mod") else path.with_suffix("")
        tests |= {beside / found[1] for found in TESTS.finditer(text)}
    return {
        path: TESTS.sub("", text)
        for path, text in texts.items()
        if not tests & {path.with_suffix(""), *path.parents}
    }


def check_includes() -> int:
    """What is compiled in by its path; answers how much."""
    found = 0
    for source, text in program().items():
        name = source.relative_to(ROOT)
        for include in INCLUDE.finditer(text):
            found += 1
            if include["path"] is None:
                expect(False, f"{name} includes a file by a path that is not written out: this check can't tell which")
                continue
            path = os.path.dirname(include["path"]) if include["begins"] else include["path"]
            path = os.path.relpath(os.path.normpath(source.parent / path), ROOT)
            expect(inside(path), f"{IGNORE.name} leaves out {path}, which {name} includes")
    return found


def check_named() -> None:
    """What cargo and the Dockerfile name is inside, and what the file names exists."""
    copied = re.findall(r"^COPY (?!--)(\S+) ", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    named = [*(str(member.relative_to(ROOT)) for member in members()), "Cargo.toml", "Cargo.lock"]
    for path in [*named, *(path for path in copied if path != ".")]:
        expect(inside(path), f"{IGNORE.name} leaves out {path}")
    for line in lines():
        if line.startswith("!"):
            expect(list(ROOT.glob(line[1:])), f"{IGNORE.name} names {line[1:]}, which does not exist")


def copy(folder: Path) -> None:
    """What the build would get of the files that git knows, with their times: cargo goes by them."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    for name in filter(inside, names.strip("\0").split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def main() -> None:
    if len(sys.argv) == 2:
        copy(Path(sys.argv[1]))
        return
    check_named()
    found = check_includes()
    expect(found > 20, "the files that are compiled in were not found in the sources")
    finish(f"the image's build gets to see what {found} places of the sources include")


if __name__ == "__main__":
    main()
