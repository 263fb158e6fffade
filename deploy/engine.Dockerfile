# The image of one native engine, from what "make image" stages.
FROM scratch
COPY --chown=65532:65532 rootfs/ /
USER 65532:65532
# In a container, loopback is reached by nobody.
ENV HOME=/config ACEQUIA_ENGINE_BIND_ALL=true
VOLUME /config
EXPOSE 6878 8621 8621/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/acequia", "healthcheck", "--engine"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/acequia"]
CMD ["engine"]
