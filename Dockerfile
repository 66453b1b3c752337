# The image: the program and the libraries it needs, no shell, no package manager, no root.
#
#   docker build -t registry.example/ipn-receiver:0.1.0 .
#   docker run --read-only --cap-drop ALL -v $PWD/receiver:/etc/ipn-receiver:ro registry.example/ipn-receiver:0.1.0
#
# scripts/image builds and tests it on a machine without a container engine.
#
# Both images are named by their digests, of the index of all platforms: a tag may change, a digest cannot. To update one:
#   docker buildx imagetools inspect gcr.io/distroless/cc-debian12:nonroot
ARG BUILD_IMAGE=docker.io/library/rust:1.95.0-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1
# glibc, OpenSSL, libgcc and the public certificate authorities of the same Debian.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot@sha256:9dac0a79194e45a7da0158a9c6da57b217585af0786db3845d1f0ec1a0dd182f

# hadolint ignore=DL3006
FROM ${BUILD_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# The build of librdkafka needs cmake; any version works.
# hadolint ignore=DL3008
RUN command -v cmake || { apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*; }
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# The base image has no zlib.
ENV LIBZ_SYS_STATIC=1
# No build cache: only the sources and Cargo.lock determine the result.
RUN cargo build --release --locked --bin ipn-receiver \
    && install -D -m 0555 target/release/ipn-receiver /out/usr/local/bin/ipn-receiver
# Manual pages and completions, which the image holds for machines that take the program from it.
RUN share=/out/usr/local/share && program=/out/usr/local/bin/ipn-receiver \
    && mkdir -p $share/man/man1 $share/bash-completion/completions $share/zsh/site-functions $share/fish/vendor_completions.d \
    && $program man --out $share/man/man1 \
    && $program completions bash > $share/bash-completion/completions/ipn-receiver \
    && $program completions zsh > $share/zsh/site-functions/_ipn-receiver \
    && $program completions fish > $share/fish/vendor_completions.d/ipn-receiver.fish
# Fails the build if the program needs a library that the base image lacks.
RUN objdump -p /out/usr/local/bin/ipn-receiver | awk '$1 == "NEEDED" { n++; \
    if ($2 !~ /^(lib(c|m|gcc_s)\.so\.[0-9]+|lib(ssl|crypto)\.so\.3|ld-linux-.*)$/) { print "not in the base image: " $2; bad = 1 } } \
    END { exit bad || n == 0 }'

# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ipn-receiver" \
      org.opencontainers.image.description="Receives Amazon Pay IPNs, verifies them and publishes each change exactly once to Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
# The default certificate path of OpenSSL, which librdkafka uses, does not exist in the base image.
ENV IPN_RECEIVER_CONFIG=/etc/ipn-receiver/receiver.toml \
    IPN_RECEIVER_LOG_FORMAT=json \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
# 8080 is public; never expose 9090 (admin).
EXPOSE 8080 9090
# Liveness. Readiness is GET /readyz on the admin port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/usr/local/bin/ipn-receiver", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/ipn-receiver"]
CMD ["serve"]
