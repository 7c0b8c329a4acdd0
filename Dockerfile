# One image, two commands: `slrt serve` is the API, `slrt schedule` keeps the promises on time.

FROM python:3.11-slim AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# The wheel. Its only build tool, setuptools, comes with its hash from the development lock.
FROM base AS wheel
WORKDIR /src
COPY requirements-dev.lock ./
RUN awk '/^[^ #]/ { keep = /^setuptools==/ } keep' requirements-dev.lock > build.lock \
    && pip install --require-hashes -r build.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY app app
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /dist .

# The libraries in their own environment; slrt beside its migrations, as in the repository.
FROM base AS install
RUN python -m venv /opt/slrt
COPY requirements.lock ./
RUN /opt/slrt/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY --from=wheel /dist /dist
RUN /opt/slrt/bin/pip install --no-deps --no-index --target /srv/slrt /dist/*.whl \
    && /opt/slrt/bin/pip uninstall --yes pip
COPY alembic /srv/slrt/alembic

FROM python:3.11-slim
LABEL org.opencontainers.image.title="slrt" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 slrt \
    && useradd --uid 10001 --gid slrt --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin slrt \
    && install -d -o slrt -g slrt -m 0700 /keys /evidence
COPY --from=install /opt/slrt /opt/slrt
COPY --from=install /srv/slrt /srv/slrt
ENV PATH=/srv/slrt/bin:/opt/slrt/bin:$PATH \
    PYTHONPATH=/srv/slrt \
    PYTHONUNBUFFERED=1 \
    SLRT_HOST=0.0.0.0 \
    SLRT_PORT=8000
WORKDIR /srv/slrt
USER slrt
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ['SLRT_PORT']}/readyz\", timeout=4)"]
ENTRYPOINT ["slrt"]
CMD ["serve"]
