"""A python-socketio server (aiohttp) that records what it receives, for the whole-system tests.

It prints one line, {"port":N}, once it listens, and answers on the same port over HTTP:
GET /health, GET /events?limit=N, GET /count, GET /summary, POST /reset, POST /mode (tlsCert and
tlsKey). With TLS the line is {"port":N,"control":M}, and port M answers the same without TLS.
Options, record file and answers are those of the Node recorder beside it, as far as they exist
here. SIGTERM closes every connection properly and ends with status 0.
"""

import argparse
import asyncio
import json
import os
import resource
import signal
import ssl

import socketio
from aiohttp import web

from record import Record
from tls import VERSIONS, change_certificate, client_of, make_context

CLOSE_WITHIN_SECONDS = 2.0


class Recorder:
    """The Socket.IO side: who may connect, what is recorded, what is acknowledged."""

    def __init__(self, options):
        self.options = options
        self.record = Record(options.record, options.keep)
        self.server = socketio.AsyncServer(
            async_mode="aiohttp",
            ping_interval=options.ping_interval / 1000,
            ping_timeout=options.ping_timeout / 1000,
            max_http_buffer_size=options.max_http_buffer_size,
        )
        self._clients = {}
        self._unwritten = []
        self._written = None
        for namespace in options.namespaces.split(","):
            self._serve(namespace.strip())

    def _serve(self, namespace):
        # An event handler takes the event's arguments as they come; most test events have one.
        async def on_connect(sid, environ, auth=None):
            if self.options.token_check == "connect-error" and not self._authorized(
                environ.get("HTTP_AUTHORIZATION", ""), auth
            ):
                raise socketio.exceptions.ConnectionRefusedError("unauthorized", {"code": "token"})
            self._clients[sid] = client_of(environ["aiohttp.request"].transport)

        async def on_disconnect(sid, _reason):
            self._clients.pop(sid, None)

        async def on_event(event, sid, *arguments):
            body = arguments[0] if arguments else None
            arrival = {"event": event, "body": body, "socket": sid, "namespace": namespace}
            if arguments[1:]:
                arrival["more"] = arguments[1:]
            client = self._clients.get(sid)
            if client is not None:
                arrival["client"] = client
            return await self._arrived(arrival)

        self.server.on("connect", on_connect, namespace=namespace)
        self.server.on("disconnect", on_disconnect, namespace=namespace)
        self.server.on("*", on_event, namespace=namespace)

    async def _arrived(self, arrival):
        if self.options.ack != "after-write":
            # Nothing is awaited before this, so arrivals are recorded in the order they came.
            self.record.add([arrival], sync=False)
            return None
        self._unwritten.append(arrival)
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(self.flush)
        await self._written
        return {"ok": True}

    def flush(self):
        """One sync for everything that arrived in the same turn of the event loop."""
        written, self._written = self._written, None
        batch, self._unwritten = self._unwritten, []
        self.record.add(batch, sync=True)
        if written is not None:
            written.set_result(None)

    def _authorized(self, header, auth):
        token = self.options.token
        if not token:
            return True
        shown = auth.get("token") if isinstance(auth, dict) else None
        return shown == token or header == f"Bearer {token}"

    def guard(self):
        """Answers `--token-check 401|403` before python-socketio sees the request."""

        @web.middleware
        async def middleware(request, handler):
            checked = self.options.token_check != "connect-error"
            if checked and request.path.startswith("/" + self.options.path.strip("/")):
                if not self._authorized(request.headers.get("Authorization", ""), None):
                    message = {"message": "the token is missing or wrong"}
                    return web.json_response(message, status=int(self.options.token_check))
            return await handler(request)

        return middleware


def application(recorder, context):
    app = web.Application(middlewares=[recorder.guard()])
    recorder.server.attach(app, socketio_path=recorder.options.path.strip("/"))

    async def health(_request):
        return web.json_response({"status": "up"})

    async def events(request):
        return web.json_response(recorder.record.recent(int(request.query.get("limit", "1000"))))

    async def count(_request):
        return web.json_response({"count": recorder.record.count})

    async def summary(_request):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = round((usage.ru_utime + usage.ru_stime) * 1_000_000)
        rss = usage.ru_maxrss * 1024
        connections = len(recorder.server.eio.sockets)
        own = {"connections": connections, "cpuMicroseconds": cpu, "rssBytes": rss}
        return web.json_response({**recorder.record.summary(), **own})

    async def reset(_request):
        recorder.record.reset()
        return web.json_response({"count": 0})

    async def mode(request):
        wanted = await request.json()
        if context is None or set(wanted) != {"tlsCert", "tlsKey"}:
            error = "only tlsCert and tlsKey can be changed, together, and only with TLS"
            return web.json_response({"error": error}, status=400)
        try:
            change_certificate(context, wanted["tlsCert"], wanted["tlsKey"])
        except (OSError, ssl.SSLError) as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response(wanted)

    app.router.add_get("/health", health)
    app.router.add_get("/events", events)
    app.router.add_get("/count", count)
    app.router.add_get("/summary", summary)
    app.router.add_post("/reset", reset)
    app.router.add_post("/mode", mode)
    return app


async def serve(options):
    recorder = Recorder(options)
    context = make_context(options)
    app = application(recorder, context)
    runner = web.AppRunner(app, shutdown_timeout=CLOSE_WITHIN_SECONDS)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=context).start()
    if context is not None:
        # Whoever controls a server with TLS needs no certificate for that.
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    ports = [address[1] for address in runner.addresses]
    print(json.dumps(dict(zip(["port", "control"], ports))), flush=True)
    await stop.wait()
    # The library fails at disconnecting nobody.
    if recorder.server.eio.sockets:
        try:
            # It waits for clients to read what they were sent; one that left meanwhile never will.
            await asyncio.wait_for(recorder.server.eio.disconnect(), CLOSE_WITHIN_SECONDS)
        except TimeoutError:
            pass
    recorder.flush()
    await runner.cleanup()


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])

    def option(name, default, meaning, **more):
        variable = f"RECORDER_{name.upper().replace('-', '_')}"
        default = os.environ.get(variable, default)
        parser.add_argument(f"--{name}", default=default, help=meaning, **more)

    option("port", "0", "port on 127.0.0.1; 0 takes a free one and says which", type=int)
    option("record", "", "file that gets one JSON line per event; it is appended to")
    option("keep", "20000", "how many recent events GET /events can show", type=int)
    option("ping-interval", "25000", "milliseconds", type=int)
    option("ping-timeout", "20000", "milliseconds", type=int)
    option("max-http-buffer-size", "1000000", "bytes; advertised as maxPayload", type=int)
    option("path", "/socket.io/", "Engine.IO path")
    option("namespaces", "/", "comma list; every other namespace is refused")
    option("token", "", "required in auth.token or as `Authorization: Bearer`; empty: none")
    checks = ["connect-error", "401", "403"]
    option("token-check", checks[0], "connect-error, or the HTTP status", choices=checks)
    option("ack", "none", "none | after-write", choices=["none", "after-write"])
    option("tls-cert", "", "PEM file with the certificate and its chain; makes it https")
    option("tls-key", "", "PEM file with the private key of that certificate")
    option("tls-client-ca", "", "PEM file of the authority of client certificates")
    either = ["required", "optional"]
    option("tls-client", either[0], "whether a client certificate is needed", choices=either)
    option("tls-min", "TLSv1.2", "the oldest version", choices=VERSIONS)
    option("tls-max", "TLSv1.3", "the newest version", choices=VERSIONS)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(serve(read_options()))
