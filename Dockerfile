# 1. The web UI and GraphiQL, from locked npm packages.
FROM node:22-slim AS pages
WORKDIR /src/frontend/graphiql
COPY frontend/graphiql/package.json frontend/graphiql/package-lock.json ./
RUN npm ci --no-audit --no-fund
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY schema.graphql /src/
COPY frontend ./
RUN npm run build && npm --prefix graphiql run build

# 2. Two environments from the lock files: one builds the wheel, the other runs it.
FROM python:3.11-slim AS python
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock requirements-otel.lock requirements-obstore.lock requirements-dev.lock ./
RUN python -m venv /build && /build/bin/pip install --quiet --require-hashes -r requirements-dev.lock
# With tracing: --build-arg REQUIREMENTS=requirements-otel.lock; with buckets: requirements-obstore.lock
ARG REQUIREMENTS=requirements.lock
RUN python -m venv /opt/rungraph && /opt/rungraph/bin/pip install --quiet --require-hashes -r "$REQUIREMENTS"
COPY pyproject.toml README.md LICENSE ./
COPY graph graph
COPY ingest ingest
COPY repo repo
COPY --from=pages /src/graph/web/static graph/web/static
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel . \
    && /opt/rungraph/bin/pip install --quiet --no-deps /wheel/*.whl

# 3. The image: only Python and that environment, run by a user that owns only /data.
FROM python:3.11-slim
RUN groupadd --system --gid 10001 rungraph \
    && useradd --system --uid 10001 --gid rungraph --no-create-home rungraph \
    && install --directory --owner=rungraph --group=rungraph --mode=0750 /data
COPY --from=python /opt/rungraph /opt/rungraph
# Other machines can reach this address, so tokens are required: `docker exec … rungraph token create`.
ENV PATH=/opt/rungraph/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUNGRAPH_AUTH=token \
    RUNGRAPH_HOST=0.0.0.0 \
    RUNGRAPH_PORT=8000 \
    RUNGRAPH_DATABASE_URL=sqlite:////data/rungraph.db
# By number: from a name Kubernetes cannot tell that it is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"RUNGRAPH_PORT\"]}/livez', timeout=4)"]
ENTRYPOINT ["rungraph"]
CMD ["serve"]
