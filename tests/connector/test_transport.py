"""What each exception of the HTTP libraries and of the sockets below becomes."""

import http.client
import inspect
import io
import socket
import ssl

import pytest
import requests.exceptions as of_requests
import urllib3
import urllib3.exceptions as of_urllib3
from smspartner import errors
from smspartner.transport import map_failure

KEY = "k3y/of the+test"
SAID = f"Max retries exceeded with url: https://api.smspartner.fr/v1/bulk-status-by-tag?apiKey={KEY}&tag=promo"

TIMED_OUT = {"Timeout", "ConnectTimeout", "ReadTimeout", "TimeoutError", "ReadTimeoutError", "ConnectTimeoutError"}
TIMED_OUT |= {"NewConnectionError", "NameResolutionError"}
"""urllib3 derives the last two from its ConnectTimeoutError; what they were made from comes first."""

CUT = {"ChunkedEncodingError", "ContentDecodingError", "ProtocolError", "ResponseNotChunked", "DecodeError"}
CUT |= {"IncompleteRead", "InvalidChunkLength"}


def classes(module):
    """The exceptions that a module defines, without warnings."""
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    return [kind for kind in found if issubclass(kind, Exception) and not issubclass(kind, Warning)]


def made(kind):
    """An instance whose text holds the URL, as such exceptions do."""
    if kind is of_urllib3.IncompleteRead:
        return of_urllib3.IncompleteRead(1, 2)
    if kind is of_urllib3.InvalidChunkLength:
        return of_urllib3.InvalidChunkLength(urllib3.HTTPResponse(io.BytesIO()), SAID.encode())
    exc = kind.__new__(kind, SAID)
    Exception.__init__(exc, SAID)  # their own constructors want other arguments each
    return exc


@pytest.mark.parametrize("module", [of_requests, of_urllib3], ids=["requests", "urllib3"])
def test_every_exception_of_the_libraries(module, assert_hidden):
    """Every exception class of requests and urllib3 is mapped by its class, and worth another try; no text is kept."""
    failures = {kind.__name__: map_failure(made(kind), 30.0) for kind in classes(module)}
    for name, failure in failures.items():
        expected = errors.ConnectionFailed
        if name in TIMED_OUT:
            expected = errors.ResponseTimeout
        elif name in CUT:
            expected = errors.CutBody
        if name != "ProxySchemeUnsupported":  # a ValueError, which would be a bug of ours
            assert (name, expected, True) == (name, type(failure), failure.retryable)
        assert_hidden(KEY, failure)


def verification(code):
    """A certificate that OpenSSL refuses with a code."""
    error = ssl.SSLCertVerificationError(1, "in the words of whatever language")
    error.verify_code = code
    return error


def tls(reason):
    """A failure that OpenSSL names by its code."""
    error = ssl.SSLError(1, "in the words of whatever language")
    error.reason = reason
    return error


NO_TLS = "no secure connection to the server: "
CAUSES = [
    (ConnectionRefusedError(111, SAID), "no answer: the connection was refused", True),
    (ConnectionResetError(104, SAID), "no answer: the connection was reset", True),
    (BrokenPipeError(32, SAID), "no answer: the connection was reset", True),
    (socket.gaierror(-2, SAID), "no answer: the host name can't be resolved", True),
    (OSError(5, SAID), "no answer: the connection failed (ConnectionError)", True),
    (http.client.RemoteDisconnected(SAID), "no answer: the server closed the connection", True),
    (http.client.BadStatusLine(SAID), "no answer: what answers there does not speak HTTP", True),
    (http.client.IncompleteRead(b"", 5), "the answer was cut off or damaged on its way", True),
    (of_urllib3.ProxyError(SAID, OSError(SAID)), "no answer: the proxy named by the environment can't be used", True),
    (of_requests.InvalidSchema(SAID), "no answer: the proxy named by the environment can't be used", True),
    (of_requests.InvalidProxyURL(SAID), "no answer: the proxy named by the environment can't be used", True),
    (TimeoutError(SAID), "no whole answer within 2.5 s", True),
    (verification(20), f"{NO_TLS}its certificate is not trusted (see REQUESTS_CA_BUNDLE)", False),
    (verification(10), f"{NO_TLS}its certificate has expired, or this machine's clock is wrong", False),
    (verification(62), f"{NO_TLS}its certificate is for another host", False),
    (verification(64), f"{NO_TLS}its certificate is for another host", False),
    (tls("WRONG_VERSION_NUMBER"), f"{NO_TLS}what answers there does not speak TLS", False),
    (tls("RECORD_LAYER_FAILURE"), f"{NO_TLS}what answers there does not speak TLS", False),
    (tls("UNEXPECTED_EOF_WHILE_READING"), f"{NO_TLS}the connection could not be secured", True),
]


@pytest.mark.parametrize(("cause", "what", "retryable"), CAUSES, ids=[case[1] for case in CAUSES])
def test_causes(cause, what, retryable):
    """What is below an exception says what failed, wherever it stands in the chain, by class and code."""
    in_reason = of_urllib3.MaxRetryError(None, SAID, reason=cause)
    by_cause = of_requests.ConnectionError(SAID)
    by_cause.__cause__ = of_urllib3.HTTPError(SAID, cause)
    for exc in (of_requests.ConnectionError(in_reason), by_cause):
        failure = map_failure(exc, 2.5)
        assert (what, retryable) == (failure.what, failure.retryable)


def test_a_bug_is_not_tried_again():
    """What no network can cause is a bug, named by its class alone."""
    failure = map_failure(LookupError(SAID), 30.0)
    assert (type(failure), failure.what) == (errors.RequestError, "the request failed in an unknown way (LookupError)")
    assert (failure.remedy, failure.retryable) == ("report this bug", False)
