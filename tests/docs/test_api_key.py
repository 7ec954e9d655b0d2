"""Every recipe of how-to/api-key.md gives the key, shows nothing of what its command prints, or says why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from smspartner.api_key import read_api_key
from smspartner.errors import SettingsError
from smspartner_pipelines.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/api-key.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^### ([^\n]+)\n(?:(?!^#).*\n)*?```bash\n(export .*)\n```$", PAGE, re.MULTILINE))
COMMAND = Path(sys.executable).with_name("smspartner")
PROGRAMS = os.environ.get("SMSPARTNER_TEST_KEY_PROGRAMS", str(ROOT / "build" / "key-programs" / "bin"))
"""Where `aws` and `keyring` are: they do not go together with what the tests are installed with."""

KEY = "the-key-of-these-tests-1234"
LOUD = "not-to-be-shown-by-anybody"


class StandIn(NamedTuple):
    """A program that takes these arguments alone: what it prints, and how it ends where nobody is logged in."""

    arguments: str
    output: bytes
    code: int


BARE = KEY.encode()
LINE = BARE + b"\n"
ITEM = b'{\n  "id": "be8e0ad8-d545-4017-a55a-b02f014d4158",\n  "value": "%b",\n  "note": "%b"\n}\n' % (
    BARE,
    LOUD.encode(),
)
STAND_INS = {
    "HashiCorp Vault": StandIn("vault kv get -mount=secret -field=api_key smspartner", BARE, 2),
    "Google Secret Manager": StandIn("gcloud secrets versions access latest --secret=smspartner", BARE, 1),
    "Azure Key Vault": StandIn(
        "az keyvault secret show --vault-name my-vault --name smspartner --query value -o tsv", BARE + b"\r\n", 1
    ),
    "gopass": StandIn("gopass show --password smspartner", LINE, 10),
    "1Password": StandIn("op read op://Jobs/smspartner/credential", LINE, 1),
    "Bitwarden": StandIn("bw get password smspartner --nointeraction", BARE, 1),
    "Bitwarden Secrets Manager": StandIn("bws secret get be8e0ad8-d545-4017-a55a-b02f014d4158", ITEM, 1),
    "macOS Keychain": StandIn("security find-generic-password -s smspartner -a api -w", LINE, 44),
}
"""Programs that are not here: arguments and output as their documentation gives them."""

STAND_IN = """#!{python} -IS
import os, sys
logged_in = os.path.exists({folder!r} + "/logged-in")
sys.stderr.write("WARNING: {loud}\\n")
if sys.argv[1:] != {arguments!r}:
    sys.exit(64)
sys.stdout.buffer.write({output!r} if logged_in else b"{loud}\\n")
sys.exit(0 if logged_in else {code})
"""

AWS = (
    "mkdir .aws; printf '[default]\\naws_access_key_id = AKIATESTS\\naws_secret_access_key = x\\n' >.aws/credentials\n"
)
PAIR = "gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-generate-key me@example.com\n"
TWO_LINES = f"printf '%s\\n' {KEY} {LOUD}"
HERE = {
    "Docker, Podman": f"mkdir secrets; echo {KEY} >secrets/smspartner",
    "Kubernetes": f"mkdir -p secrets/smspartner; printf %s {KEY} >secrets/smspartner/api-key",
    "AWS Secrets Manager": f"{AWS} aws secretsmanager create-secret --name smspartner --secret-string {KEY}",
    "AWS Systems Manager": f"{AWS} aws ssm put-parameter --name /smspartner/api-key --type SecureString --value {KEY}",
    "pass": f"{PAIR} pass init me@example.com; {TWO_LINES} | pass insert --multiline smspartner",
    "GnuPG": f"{PAIR} {TWO_LINES} | gpg --quiet --trust-model always -r me@example.com -o api-key.gpg --encrypt",
    "GNOME Keyring, KWallet": f"printf %s {KEY} | secret-tool store --label=SMS service smspartner account api",
    "Python keyring": f"echo {KEY} | keyring set smspartner api",
    "JSON": f"""{AWS} aws secretsmanager create-secret --name sms --secret-string '{{"api_key": "{KEY}"}}'""",
}
"""Programs that are here, and what puts the key where they find it."""

NEEDED = {"AWS Secrets Manager": "aws", "AWS Systems Manager": "aws", "JSON": "aws", "Python keyring": "keyring"}
NEEDED |= {"pass": "pass", "GnuPG": "gpg", "GNOME Keyring, KWallet": "secret-tool", "Bitwarden Secrets Manager": "jq"}
PATH = f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin"
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Serve an API that knows one key."""
    with Sandbox(api_key=KEY) as started:
        yield started


@pytest.fixture
def do(sandbox: Sandbox, object_store: str, tmp_path: Path) -> Iterator[Callable[..., Ended]]:
    """Run lines of a shell as a job does: without a terminal, in a home of its own."""
    environment = {
        "PATH": f"{tmp_path}/bin:{PATH}",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "SMSPARTNER_BASE_URL": sandbox.url,
        "SMSPARTNER_VALIDATE": "contract",
        "AWS_ENDPOINT_URL": object_store,
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "SECRET_BACKEND": "file",  # of libsecret, where there is no desktop
        "SECRET_FILE_TEST_PATH": str(tmp_path / "keyring"),
        "SECRET_FILE_TEST_PASSWORD": "opens nothing",
    }

    def run(lines: str, **changes: str) -> Ended:
        lines = lines.replace("/run/secrets", f"{tmp_path}/secrets").replace("/etc/smspartner", str(tmp_path))
        options = {"env": {**environment, **changes}, "cwd": tmp_path, "stdin": subprocess.DEVNULL}
        return subprocess.run(
            ["/bin/bash", "-euc", lines], **options, capture_output=True, encoding="utf-8", timeout=60, check=False
        )

    yield run
    run("! command -v gpgconf || gpgconf --kill all")


def put_in_place(name: str, folder: Path) -> None:
    """Put the stand-in of a recipe, if it has one, into a folder of programs; skips where a program is missing."""
    if name in NEEDED and not shutil.which(NEEDED[name], path=PATH):
        pytest.skip(f"{NEEDED[name]} is not installed; see .ci/run")
    if name in STAND_INS:
        arguments, output, code = STAND_INS[name]
        program, *words = arguments.split()
        facts = {"arguments": words, "output": output, "code": code, "folder": str(folder), "loud": LOUD}
        (folder / "bin").mkdir()
        (folder / "bin" / program).write_text(STAND_IN.format(python=sys.executable, **facts), encoding="utf-8")
        (folder / "bin" / program).chmod(0o755)


def shown(ended: Ended) -> str:
    """Give all that a command has shown: neither the key nor anything else that the program printed."""
    text = ended.stdout + ended.stderr
    assert (KEY in text, LOUD in text) == (False, False)
    return text


RUN = f"{COMMAND} run documented --to data --log-level debug"


def test_every_recipe_is_tried() -> None:
    """Each recipe of the page has a program here, or a stand-in; its line is one that can be copied."""
    assert RECIPES.keys() == STAND_INS.keys() | HERE.keys()
    assert PAGE.count("```bash") == len(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_the_key_comes_from_there(do: Callable[..., Ended], tmp_path: Path, name: str) -> None:
    """A run gets the key, whatever else is printed; before it is there, nothing is asked for, and it is said why."""
    put_in_place(name, tmp_path)
    before = do(f"{RECIPES[name]}\n{RUN}")
    said, piped = shown(before), "| jq" in RECIPES[name]
    reason = "its first line is empty|it ended with exit code 4" if piped else r"it ended with exit code [1-9]\d*"
    if "_FILE=" in RECIPES[name]:
        assert "the API key file named by SMSPARTNER_API_KEY_FILE or --api-key-file can't be read: No such file" in said
    else:
        assert re.search(f"COMMAND gave no API key: ({reason}); run it yourself to see why", said)
    assert (before.returncode, (tmp_path / "data").exists()) == (2, False)
    ready = do(HERE.get(name, "touch logged-in"))
    assert ready.returncode == 0, ready.stderr
    ended = do(f"{RECIPES[name]}\n{RUN}")
    assert (ended.returncode, (tmp_path / "data" / "statuses").is_dir()) == (0, True), shown(ended)
    shown(ended)


@pytest.mark.parametrize("name", ["HashiCorp Vault", "JSON"])
def test_a_program_that_is_not_there(do: Callable[..., Ended], tmp_path: Path, name: str) -> None:
    """Where the program, or the shell, is not in PATH, that is said."""
    ended = do(f"{RECIPES[name]}\n{RUN}", PATH=str(tmp_path))
    assert "it can't be run: No such file or directory; run it yourself" in shown(ended)
    assert ended.returncode == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("false", "it ended with exit code 1"),
        ("no-such-program-at-all", "it can't be run: No such file or directory"),
        ("/etc/passwd", "it can't be run: Permission denied"),
        ("./script", "it can't be run: Exec format error"),
        ("echo 'key", "it can't be run: it is not a command"),
        ("sh -c 'kill -9 $$'", "it ended with exit code -9"),
        ("echo", "its first line is empty"),
        ("sleep 600", "it did not end within 60 s, or wrote more than 64 KB"),
        ("echo {", "the API key has fewer than 8 characters"),
        (r"printf '12345678\011tab\n'", "the API key holds a line break, "),
    ],
)
def test_messages(command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page says of messages is what they say."""
    monkeypatch.chdir(tmp_path)
    Path("script").write_text("echo a-key-by-a-script\n", encoding="utf-8")
    Path("script").chmod(0o755)
    with pytest.raises(SettingsError) as caught:
        read_api_key(None, {"SMSPARTNER_API_KEY_COMMAND": command}, command_seconds=0.5 if "sleep" in command else 60)
    assert said in str(caught.value).replace("within 0.5 s", "within 60 s")
    assert said in PAGE


def test_a_key_that_is_refused(do: Callable[..., Ended]) -> None:
    """Something else than the key is refused by the API, with the code that the page names."""
    ended = do(f"export SMSPARTNER_API_KEY_COMMAND='echo 12345678'\n{COMMAND} check")
    assert ended.returncode == 5
    assert "the API answered code 10 (wrong API key)" in shown(ended)
    assert "exit code 5, `the API answered code 10 (wrong API key)`" in PAGE
