// TLS of the recorder: what it shows of itself, whom it lets in, and what it saw of a client.

import { readFileSync } from "node:fs";
import { createServer as plainServer } from "node:http";
import { createServer as tlsServer } from "node:https";
import { WrongOption } from "./options.mjs";

// An HTTP server, with TLS if the options name a certificate.
export function createHttp(options, handler) {
  if (options.tlsCert === "") return plainServer(handler);
  const policy = {
    requestCert: options.tlsClientCa !== "",
    rejectUnauthorized: options.tlsClient === "required",
  };
  return tlsServer({ ...material(options), ...policy }, handler);
}

// Shows other certificates from the next connection on, if they can be read; else nothing changes.
export function changeCertificates(http, options) {
  if (options.tlsCert !== "") http.setSecureContext(material(options));
}

function material({ tlsCert, tlsKey, tlsClientCa, tlsMin, tlsMax }) {
  return {
    cert: read("tls-cert", tlsCert),
    key: read("tls-key", tlsKey),
    ca: tlsClientCa === "" ? undefined : read("tls-client-ca", tlsClientCa),
    minVersion: tlsMin,
    maxVersion: tlsMax,
  };
}

function read(option, path) {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new WrongOption(`--${option} ${path}: ${error.message}`);
  }
}

// What a TLS connection showed of the client, or null for a plain one. `chain` has the common
// names from the client's certificate up to the authority; only the authority itself is known
// here, so what stands between was sent. A resumed session remembers the first of them only.
export function clientOf(socket) {
  if (!socket.encrypted) return null;
  const certificate = socket.getPeerCertificate(true);
  const chain = [];
  for (let link = certificate; link?.subject; link = link.issuerCertificate) {
    chain.push(link.subject.CN);
    if (link.issuerCertificate === link) break;
  }
  return {
    subject: certificate?.subject?.CN ?? null,
    issuer: certificate?.issuer?.CN ?? null,
    fingerprint: certificate?.fingerprint256 ?? null,
    chain,
    authorized: socket.authorized,
    version: socket.getProtocol(),
    cipher: socket.getCipher().standardName,
    serverName: socket.servername || null,
    resumed: socket.isSessionReused(),
  };
}
