# The bridge's image: one wheel in one environment, run as nobody in particular, on a root that
# may be read-only (its only writes are to folders named in the settings, and /tmp).
# COMMIT is shown by `slurm-bridge --version`.

FROM python:3.13-slim AS build
ARG COMMIT=""
WORKDIR /source
RUN python -m venv --without-pip /opt/slurm-bridge
COPY pyproject.toml README.md LICENSE ./
COPY bridge ./bridge
RUN test -z "$COMMIT" || echo "$COMMIT" >bridge/COMMIT
RUN pip --disable-pip-version-check --no-cache-dir --python /opt/slurm-bridge/bin/python install . \
    && /opt/slurm-bridge/bin/python -m compileall -q /opt/slurm-bridge

FROM python:3.13-slim
COPY --from=build /opt/slurm-bridge /opt/slurm-bridge
ENV PATH=/opt/slurm-bridge/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes can check runAsNonRoot; it needs no home and owns no file.
USER 65532:65532
WORKDIR /tmp
EXPOSE 9443 8080
ENTRYPOINT ["slurm-bridge"]
CMD ["run"]
