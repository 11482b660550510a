# The images of the operator and, as the target `simulator`, of the simulator:
#
#   docker build --tag edusync .
#   docker build --tag graph-simulator --target simulator .
#
# `cargo xtask image` builds and looks at both; no test does. The base images are arguments, for whoever has to bring their own. The
# runtime needs glibc of the builder's age or newer, and certificate authorities in /etc/ssl/certs.
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS builder
# aws-lc, the cryptography behind TLS, is built from C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# First the dependencies alone, against empty programs: the layer is good until a manifest or the lock file changes. For each
# program by itself: built together, each would also have what only the other wants of a library.
COPY Cargo.toml Cargo.lock ./
COPY simulator/Cargo.toml simulator/
COPY xtask/Cargo.toml xtask/
RUN mkdir -p src benches simulator/src xtask/src \
    && touch src/lib.rs simulator/src/lib.rs xtask/src/lib.rs benches/steps.rs benches/allocations.rs benches/heap.rs \
    && for package in . simulator xtask; do echo 'fn main() {}' > "$package/src/main.rs"; done \
    && cargo build --release --locked --package edusync --bins \
    && cargo build --release --locked --package graph-simulator --bins

# Then the programs, one after the other: a change of one leaves the other as it is. A file's time decides whether cargo
# builds again, and a checkout may be older than the layer above.
FROM builder AS build-simulator
COPY simulator/src simulator/src
RUN find simulator/src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package graph-simulator --bins

FROM builder AS build-operator
COPY src src
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package edusync --bins

FROM ${RUNTIME_IMAGE} AS simulator
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="graph-simulator" \
      org.opencontainers.image.description="A simulator of Microsoft Graph's classic School Data Sync API; never for production" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://edusync.dev"
COPY --from=build-simulator /build/target/release/graph-simulator /usr/local/bin/graph-simulator
# Where it writes its certificate authority unless it is told otherwise.
WORKDIR /tmp
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/graph-simulator"]
CMD ["--bind", "0.0.0.0"]

# The last one is what a build without a target makes.
FROM ${RUNTIME_IMAGE} AS operator
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="edusync" \
      org.opencontainers.image.description="Kubernetes operator for Microsoft Graph education synchronization profiles" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://edusync.dev"
COPY --from=build-operator /build/target/release/edusync /usr/local/bin/edusync
# Memory that a burst has needed goes back to the node: one heap instead of one for each thread, and its end is given back.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/edusync"]
CMD ["run"]
