"""Servers that are not there, or not to be trusted: verdict, exit code, requests, and what the reason says."""

from datetime import UTC, datetime

import pytest
from smspartner_pipelines.sandbox import Campaign

UNTRUSTED = "its certificate is not trusted (see REQUESTS_CA_BUNDLE)"
WRONG_HOST = "its certificate is for another host"
EXPIRED = "its certificate has expired, or this machine's clock is wrong"


@pytest.fixture
def outcome(report, api_row):
    """Run for one tag with one retry; give exit code, verdict, reason, requests, and what the server saw."""

    def run(sandbox, **environment):
        ended, found = report(sandbox, "promo", "--to", "data", "--retries", "1", **environment)
        (tag,) = found["tags"]
        return ended, tag["verdict"], tag["reason"], tag["requests"], tag["rows_loaded"], len(sandbox.requests)

    return run


@pytest.fixture
def serve(start_sandbox, authority, api_row, tmp_path):
    """Serve one row over TLS, with a certificate of the authority for this host name."""

    def start(host, **validity):
        path = tmp_path / "certificate.pem"
        authority.issue_cert(host, **validity).private_key_and_cert_chain_pem.write_to_path(path)
        return start_sandbox([Campaign.of_rows("promo", [api_row(1)])], certfile=path)

    return start


@pytest.mark.parametrize(
    ("host", "validity", "trusted", "reason"),
    [
        ("127.0.0.1", {}, True, None),
        ("127.0.0.1", {}, False, UNTRUSTED),
        ("api.smspartner.fr", {}, True, WRONG_HOST),
        (
            "127.0.0.1",
            {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2021, 1, 1, tzinfo=UTC)},
            True,
            EXPIRED,
        ),
    ],
    ids=["trusted", "untrusted", "another name", "expired"],
)
def test_certificates(serve, outcome, authority_file, host, validity, trusted, reason):
    """A certificate of a trusted authority will do; a refused one fails the tag, and the server sees no request."""
    environment = {"REQUESTS_CA_BUNDLE": authority_file} if trusted else {}
    found = outcome(serve(host, **validity), **environment)
    if reason is None:
        assert found == (0, "complete", "all 1 rows on 1 page", 1, 1, 1)
    else:
        why = f"page 1: no secure connection to the server: {reason} (1 request)"
        assert found == (3, "failed", why, 1, 0, 0)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_not_asked_for_loopback(start_sandbox, outcome, api_row, variable):
    """Whatever proxy the environment names, an API on this machine is asked directly: the key stays here."""
    proxy, sandbox = start_sandbox([]), start_sandbox([Campaign.of_rows("promo", [api_row(1)])])
    found = outcome(sandbox, **{variable: proxy.url.removesuffix("/v1")})
    assert (found[:2], found[3:], proxy.requests) == ((0, "complete"), (1, 1, 1), [])
