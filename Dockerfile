# Lazy Mirror in a container: `docker build -t lazy-mirror .`, or with podman or buildah. How to run it: docs/install.md.
# BASE builds it, and is not part of it. It needs npm with a Node that starts it, binutils, CA certificates and glibc's libraries, which the image takes over.
ARG BASE=docker.io/library/node:24-bookworm
FROM ${BASE} AS build
WORKDIR /build
COPY . .
RUN npm ci --no-audit --no-fund \
 && node_modules/.bin/node packaging/build-package.ts \
 && node_modules/.bin/node packaging/build-installation.ts --image /image \
 && chown 8787:0 /image/var/lib/lazy-mirror

FROM scratch
COPY --from=build /image/ /
ENV LAZY_MIRROR_STATE=/var/lib/lazy-mirror \
    NODE_COMPILE_CACHE=/tmp/lazy-mirror \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /etc/lazy-mirror
USER 8787:0
VOLUME /var/lib/lazy-mirror
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
  CMD ["/usr/lib/lazy-mirror/node_modules/node/bin/node", "-e", "fetch('http://127.0.0.1:8787/-/health').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/lib/lazy-mirror/node_modules/node/bin/node", "--max-semi-space-size=1", "/usr/lib/lazy-mirror/src/local/command/command-main.js"]
CMD ["start", "--ip", "0.0.0.0"]
