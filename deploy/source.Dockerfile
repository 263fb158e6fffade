# The images of acequia serve (default) and of one native engine (--target
# engine), from source and for any architecture:
#
#	docker buildx build --platform linux/amd64,linux/arm64 -f deploy/source.Dockerfile .
#
# The compiler runs on the architecture of the builder and crosses over: the
# binary needs no C library.
ARG GOLANG=docker.io/library/golang:1.26-bookworm
FROM --platform=$BUILDPLATFORM ${GOLANG} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS=linux
ARG TARGETARCH
ARG TARGETVARIANT
ARG VERSION=dev
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} make build VERSION="$VERSION" \
	&& mkdir -p /rootfs/config /rootfs/etc/ssl/certs \
	&& mkdir -m 1777 /rootfs/tmp \
	&& cp bin/acequia /rootfs/ \
	&& cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/

FROM scratch AS engine
COPY --from=build --chown=65532:65532 /rootfs/ /
USER 65532:65532
ENV HOME=/config ACEQUIA_ENGINE_BIND_ALL=true
VOLUME /config
EXPOSE 6878 8621 8621/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/acequia", "healthcheck", "--engine"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/acequia"]
CMD ["engine"]

FROM scratch AS serve
COPY --from=build /rootfs/ /
ENV PUID=65532 PGID=65532 HOME=/config
VOLUME /config
EXPOSE 6878 8621 8621/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/acequia", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/acequia"]
CMD ["serve"]
