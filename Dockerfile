# syntax=docker/dockerfile:1
# One image for every service of docker-compose.yml; the command tells them apart.
# Tags name exact releases. To pin the bytes too, append what the following prints for it, `@sha256:…`:
#   docker buildx imagetools inspect python:3.11.14-slim-bookworm --format '{{.Manifest.Digest}}'
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv --without-pip /opt/carousel
# Packages first: a change of our code leaves this layer alone.
COPY requirements.lock ./
RUN pip --python /opt/carousel/bin/python install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements.lock
# hatchling comes with the lock, so building needs nothing that has no hash. Fonts, styles and SQL travel in the wheel.
COPY pyproject.toml README.md LICENSE dagster.yaml workspace.yaml ./
COPY assets_static assets_static
COPY sql sql
COPY bot bot
COPY carousel_pipeline carousel_pipeline
RUN /opt/carousel/bin/python -m hatchling build -t wheel -d /tmp/wheel \
 && pip --python /opt/carousel/bin/python install --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl \
 && /opt/carousel/bin/python -m compileall -q /opt/carousel/lib

FROM python:3.11.14-slim-bookworm
LABEL org.opencontainers.image.title="carousel-pipeline" org.opencontainers.image.licenses="MIT"
# -P for every python: nothing in a working folder may shadow a module.
ENV PATH=/opt/carousel/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
# A new volume takes its owner from the folder that it covers.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin carousel \
 && install -d -o carousel -g carousel /var/lib/carousel/storage /var/lib/carousel/telegram \
    /keys/admin /keys/bot /keys/pipeline /keys/dagster /keys/analyst /keys/storage /keys/telegram /keys/ui
COPY --from=build /opt/carousel /opt/carousel
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["python", "-m", "carousel_pipeline.containers.entry"]
CMD ["carousel", "--help"]
