# The operator's image. The base images are arguments, for whoever has to bring their own. No test builds it yet.
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS builder
# aws-lc, the cryptography behind TLS, is built from C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build

# First the dependencies alone, against empty programs: the layer is good until a manifest or the lock file changes.
COPY Cargo.toml Cargo.lock ./
COPY simulator/Cargo.toml simulator/
COPY xtask/Cargo.toml xtask/
RUN mkdir -p src simulator/src xtask/src \
    && touch src/lib.rs simulator/src/lib.rs xtask/src/lib.rs \
    && for package in . simulator xtask; do echo 'fn main() {}' > "$package/src/main.rs"; done \
    && cargo build --release --locked --package edusync --bin edusync

# Then the operator. A file's time decides whether cargo builds again, and a checkout may be older than the layer above.
COPY src src
RUN find src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package edusync --bin edusync

FROM ${RUNTIME_IMAGE}
COPY --from=builder /build/target/release/edusync /usr/local/bin/edusync
USER 65532
ENTRYPOINT ["/usr/local/bin/edusync"]
CMD ["run"]
