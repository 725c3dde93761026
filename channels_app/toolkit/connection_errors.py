"""Why a connection could not be made, in words that help an operator, whichever library raised it."""

from __future__ import annotations

import re

from channels_app.toolkit.certificates import UnusableBundle
from channels_app.toolkit.outbound_proxy import UnusableProxy


def why_unreachable(failure: BaseException) -> str:
    """Return in words why a connection could not be made, from what any of the libraries raised."""
    if isinstance(failure, UnusableProxy | UnusableBundle):
        return str(failure)
    chain = _chain(failure)
    names = " ".join(type(link).__name__ for link in chain)
    words = " ".join(str(link) for link in chain)
    if re.search(r"\b407\b", words):
        return "the proxy wants a user name and password: give them as HTTPS_PROXY=http://name:password@host:port"
    if "Proxy" in names:
        return "the proxy that HTTPS_PROXY names does not let us through or does not answer: check it, and NO_PROXY"
    if "Certificate" in names or "CERTIFICATE_VERIFY_FAILED" in words:
        return "its certificate is not trusted: name your own authorities' file in AWS_CA_BUNDLE or SSL_CERT_FILE"
    if "SSL" in names or "TLS" in words:
        return "TLS did not come about; behind a proxy that reads along, name its authority's file in AWS_CA_BUNDLE"
    if any(name in names for name in ("gaierror", "DNS", "NameResolution")):
        return "its name is not known: check the region, the address and this machine's DNS"
    return f"it cannot be reached ({type(chain[0]).__name__}): check the network, the firewall and HTTPS_PROXY"


def _chain(failure: BaseException) -> list[BaseException]:
    """Return the failure and what it came from: causes, contexts, and what libraries keep as arguments."""
    chain: list[BaseException] = []
    pending: list[object] = [failure]
    while pending and len(chain) < 20:  # noqa: PLR2004 - no chain of ours is as long
        candidate = pending.pop(0)
        if not isinstance(candidate, BaseException) or any(candidate is known for known in chain):
            continue
        chain.append(candidate)
        kept = [
            getattr(candidate, name, None) for name in ("reason", "original_error", "os_error", "certificate_error")
        ]
        kept.append(getattr(candidate, "kwargs", {}).get("error"))
        pending += [candidate.__cause__, candidate.__context__, *candidate.args, *kept]
    return chain
