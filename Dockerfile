# syntax=docker/dockerfile:1
# The image of orchestrators and workers: the one binary and nothing else, without root.
#   docker build --tag oarlock .
# docker-compose.yml builds two targets: `oarlock`, and `access-log` with the files of that example for its worker.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive this step: a second build compiles only what changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package oarlock \
    && cp target/release/oarlock /usr/local/bin/oarlock

FROM debian:bookworm-slim AS runtime
# Certificates for amqps:// and rediss://.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin oarlock \
    && install -d -o oarlock -g oarlock /etc/oarlock
COPY --from=build /usr/local/bin/oarlock /usr/local/bin/oarlock
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /etc/oarlock
EXPOSE 7070
ENTRYPOINT ["oarlock"]
CMD ["--help"]

FROM runtime AS access-log
# The commands of the example write beside themselves.
COPY --chown=10001:10001 examples/access-log /etc/oarlock

# The last target is what `docker build .` makes.
FROM runtime AS oarlock
