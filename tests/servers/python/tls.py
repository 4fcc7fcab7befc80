"""TLS of the Python recorder: what it shows, whom it lets in, what it saw of a client."""

import hashlib
import ssl

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


def make_context(options):
    """A context for a server, or None if the options name no certificate."""
    if not options.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    context.minimum_version = VERSIONS[options.tls_min]
    context.maximum_version = VERSIONS[options.tls_max]
    context.sni_callback = remember_server_name
    if options.tls_client_ca:
        context.load_verify_locations(options.tls_client_ca)
        required = options.tls_client == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def change_certificate(context, certificate, key):
    """Shows another certificate from the next connection on; a bad one changes nothing."""
    # A context that refuses a key has its certificate already, so another one goes first.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    context.load_cert_chain(certificate, key)


def remember_server_name(connection, name, _context):
    """Python tells the name only here."""
    connection.asked_name = name


def client_of(transport):
    """What a connection showed of the client, as in the Node recorder; None for a plain one.

    `chain` stays empty: Python tells it from 3.13 on.
    """
    connection = transport.get_extra_info("ssl_object")
    if connection is None:
        return None
    certificate = connection.getpeercert() or {}
    return {
        "subject": common_name(certificate.get("subject", ())),
        "issuer": common_name(certificate.get("issuer", ())),
        "fingerprint": fingerprint(connection.getpeercert(binary_form=True)),
        "chain": [],
        "authorized": bool(certificate),
        "version": connection.version(),
        "cipher": connection.cipher()[0],
        "serverName": getattr(connection, "asked_name", None),
        "resumed": connection.session_reused,
    }


def common_name(name):
    """From the nested tuples in which Python has a name."""
    attributes = [attribute for part in name for attribute in part]
    return dict(attributes).get("commonName")


def fingerprint(certificate):
    """SHA-256 in the notation of openssl."""
    return hashlib.sha256(certificate).digest().hex(":").upper() if certificate else None
