// Who may connect: whoever has the one token of `--token`, or a JSON Web Token that is verified as
// resource servers do it (RFC 7519, section 7.2): signature, issuer, expiry, and audience if one
// is demanded. A key that is not known yet is looked up anew, and known keys are never forgotten.

import { createRemoteJWKSet, jwtVerify } from "jose";

export class Tokens {
  #options;
  #keys = null;
  #refused = 0;
  #ended = 0;
  #lastRefusal = null;

  // Of the options, `token` may change later.
  constructor(options) {
    this.#options = options;
    if (options.jwtJwks === "") return;
    const address = new URL(options.jwtJwks);
    this.#keys = createRemoteJWKSet(address, { cooldownDuration: 0, cacheMaxAge: Infinity });
  }

  // Judges a request, with what came later in the handshake of a namespace if it is that far:
  // {allowed, token}, where `token` says what was shown (null without verification).
  async judge(request, handshake) {
    if (this.#keys === null) return { allowed: this.#isTheOne(request, handshake), token: null };
    try {
      return { allowed: true, token: await this.#verify(carried(request, handshake)) };
    } catch (error) {
      this.#refused += 1;
      this.#lastRefusal = error.code ?? error.message;
      return { allowed: false, token: null };
    }
  }

  // Disconnects a socket when its token ends, if the options say so.
  watch(socket, token) {
    if (token === null || this.#options.jwtExpired !== "disconnect") return;
    const end = () => {
      this.#ended += 1;
      socket.disconnect(true);
    };
    const timer = setTimeout(end, token.expires * 1000 - Date.now());
    socket.once("disconnect", () => clearTimeout(timer));
  }

  // `refusedTokens` were not let in, `endedTokens` cost a connection.
  summary() {
    return {
      refusedTokens: this.#refused,
      endedTokens: this.#ended,
      lastRefusal: this.#lastRefusal,
    };
  }

  #isTheOne(request, handshake) {
    const { token } = this.#options;
    if (token === "") return true;
    const shown = carried(request, handshake);
    return shown.auth === token || shown.header === token;
  }

  // Whatever is shown has to be good, wherever it is shown.
  async #verify(shown) {
    const { jwtIssuer: issuer, jwtAudience } = this.#options;
    const audience = jwtAudience === "" ? undefined : jwtAudience;
    const carriers = Object.keys(shown);
    if (carriers.length === 0) throw new Error("there is no token");
    let claims = null;
    for (const carrier of carriers) {
      const checks = { issuer, audience, requiredClaims: ["exp"] };
      ({ payload: claims } = await jwtVerify(shown[carrier], this.#keys, checks));
    }
    return { carriers, id: claims.jti, client: claims.azp, expires: claims.exp };
  }
}

// The tokens of a request by where they are: header, query, auth.
function carried(request, handshake) {
  const shown = {};
  const [scheme, header] = (request.headers.authorization ?? "").split(" ");
  if (scheme === "Bearer" && header) shown.header = header;
  const query = new URL(request.url, "http://localhost").searchParams.get("token");
  if (query) shown.query = query;
  if (handshake?.auth?.token) shown.auth = handshake.auth.token;
  return shown;
}
