# The image: the program and the libraries it needs, no shell, no package manager, no root.
#
#   docker build -t registry.example/ipn-receiver:0.1.0 .
#   docker run --read-only --cap-drop ALL -v $PWD/receiver:/etc/ipn-receiver:ro registry.example/ipn-receiver:0.1.0
#
# scripts/image builds and tries it on a machine without a container engine.
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-bookworm
# glibc, OpenSSL, libgcc and the public certificate authorities of the same Debian.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# hadolint ignore=DL3006
FROM ${BUILD_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# librdkafka is built with it; any version will do.
# hadolint ignore=DL3008
RUN command -v cmake || { apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*; }
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# The base has no zlib.
ENV LIBZ_SYS_STATIC=1
# Nothing is kept between builds: the sources and Cargo.lock alone decide what comes out.
RUN cargo build --release --locked --bin ipn-receiver \
    && install -D -m 0555 target/release/ipn-receiver /out/usr/local/bin/ipn-receiver
# Another library than those of the base is noticed here, not when a pod starts.
RUN objdump -p /out/usr/local/bin/ipn-receiver | awk '$1 == "NEEDED" { n++; \
    if ($2 !~ /^(lib(c|m|gcc_s)\.so\.[0-9]+|lib(ssl|crypto)\.so\.3|ld-linux-.*)$/) { print "not in the base: " $2; bad = 1 } } \
    END { exit bad || n == 0 }'

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ipn-receiver" \
      org.opencontainers.image.description="Receives Amazon Pay IPNs, proves them genuine and publishes what changed, exactly once, on Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
# OpenSSL, which librdkafka uses, looks for authorities where this base has none.
ENV IPN_RECEIVER_CONFIG=/etc/ipn-receiver/receiver.toml \
    IPN_RECEIVER_LOG_FORMAT=json \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
# 8080 is for the public, 9090 never is.
EXPOSE 8080 9090
# Whether the process lives; whether notifications can be taken now is /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/ipn-receiver", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/ipn-receiver"]
CMD ["serve"]
