# The image of one official engine, run and watched by "acequia engine
# --official" as its first process. The engine is not ours to give away: it is
# fetched from its makers when the image is built, and only an archive with the
# checksum that the builder names is taken:
#
#	make image-official SHA256=...
#
# BASE needs the Python that the engine of VERSION was made for, and its
# dependencies are installed with that Python's pip from the list in the archive.
ARG BASE=docker.io/library/python:3.10-bookworm

FROM ${BASE} AS engine
ARG VERSION=3.2.11_ubuntu_22.04_x86_64_py3.10
ARG URL=https://download.acestream.media/linux/acestream_${VERSION}.tar.gz
ARG SHA256
WORKDIR /opt/acestream
RUN set -eu; \
	[ -n "${SHA256:-}" ] || { echo "name the checksum of $URL that you trust: --build-arg SHA256=..."; exit 1; }; \
	if command -v curl >/dev/null; then curl -fsSL -o /tmp/engine.tar.gz "$URL"; else wget -q -O /tmp/engine.tar.gz "$URL"; fi; \
	echo "$SHA256  /tmp/engine.tar.gz" | sha256sum -c -; \
	tar -xzf /tmp/engine.tar.gz; \
	rm /tmp/engine.tar.gz; \
	chown -R 0:0 .; \
	[ -x start-engine ] || { echo "no start-engine in $URL: it is another kind of archive"; exit 1; }; \
	mkdir -p /opt/python; \
	if [ -f requirements.txt ]; then pip install --no-cache-dir --target /opt/python -r requirements.txt; fi

FROM ${BASE}
COPY --from=engine /opt/acestream /opt/acestream
COPY --from=engine /opt/python /opt/python
COPY rootfs/acequia /usr/local/bin/acequia
RUN mkdir -p /data && chown 65532:65532 /data
USER 65532:65532
# BIND_ALL is on with any text: in a container, loopback is reached by nobody.
ENV PYTHONPATH=/opt/python PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 ACEQUIA_DATA=/data BIND_ALL=true
VOLUME /data
# Players, health and metrics, peers.
EXPOSE 6878 6877 8621 8621/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/usr/local/bin/acequia", "healthcheck", "--engine"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/acequia", "engine", "--official", "/opt/acestream/start-engine"]
