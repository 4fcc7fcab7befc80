# kete in a small image. The configuration is mounted; see quickstarts/socketio/docker-compose.yml.

FROM rust:1.95-bookworm AS build
WORKDIR /kete
COPY . .
RUN cargo build --release --locked -p kete

FROM debian:bookworm-slim
# Certificates of the public authorities, for https and wss.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /kete/target/release/kete /usr/local/bin/kete
# A place for a volume; kete.data-dir=/var/lib/kete/data is a directory in it.
RUN install --directory --mode=0700 --owner=nobody --group=nogroup /var/lib/kete
USER nobody
ENTRYPOINT ["kete"]
CMD ["run", "--config", "/etc/kete/kete.properties"]
