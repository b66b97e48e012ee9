#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'TEXT'
usage: scripts/image.sh build | check

build   builds the image from Dockerfile with docker, podman or buildah: the first that answers.
check   runs the built image's doctor and its one-shot demonstration as the image's own, non-root user;
        exits non-zero when either fails.

FX_IMAGE         name of the image (default: fintokenx:latest)
FX_IMAGE_ENGINE  docker, podman or buildah, instead of the first that answers
FX_IMAGE_BASE    base image (default: the Dockerfile's, debian:bookworm-slim)

What the build needs to reach its packages is taken from this environment where it is set, handed over as build
secrets, and in no layer of the image:
  http_proxy https_proxy no_proxy (and in capitals), PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST
  PIP_DEFAULT_TIMEOUT NPM_CONFIG_REGISTRY (or npm_config_registry)
  files: PIP_CONFIG_FILE, NPM_CONFIG_USERCONFIG (or npm_config_userconfig), SSL_CERT_FILE (authorities in PEM),
         APT_CONFIG, FX_IMAGE_APT_SOURCES (a one-line-style sources.list, used instead of the base's own)

Where no base image can be pulled, make one from packages (as root; apt-get install buildah debootstrap):
  debootstrap --variant=minbase bookworm DIR [MIRROR]
  chroot DIR apt-get clean
  rm -rf DIR/var/lib/apt/lists/* DIR/var/log/*      # and let DIR/etc/apt/sources.list name what the image may name
  export STORAGE_DRIVER=vfs
  container=$(buildah from scratch)
  buildah add "$container" DIR /
  buildah config --cmd bash "$container"
  buildah commit --rm "$container" fx-base
  FX_IMAGE_BASE=localhost/fx-base FX_IMAGE_ENGINE=buildah scripts/image.sh build
TEXT
}

fail() {
    echo "image: $*" >&2
    exit 1
}

engine() {
    local name
    for name in ${FX_IMAGE_ENGINE:-docker podman buildah}; do
        case $name in
            docker | podman | buildah) ;;
            *) fail "FX_IMAGE_ENGINE is '$name'; it is docker, podman or buildah" ;;
        esac
        if [[ $name == buildah ]]; then export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}; fi
        if command -v "$name" >/dev/null && timeout 20 "$name" info >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    fail "no container engine answers here (${FX_IMAGE_ENGINE:-docker, podman, buildah}); apt-get install buildah is enough"
}

secrets=()
environment=

secret() { # id, file on this machine, variables that name it inside
    local id=$1 file=$2 variable
    shift 2
    [[ -r $file ]] || fail "$file cannot be read"
    secrets+=(--secret "id=$id,src=$(realpath "$file")")
    for variable in "$@"; do
        printf 'export %s=/run/secrets/%s\n' "$variable" "$id" >>"$environment"
    done
}

collect_secrets() {
    local name apt registry=${NPM_CONFIG_REGISTRY:-${npm_config_registry:-}}
    environment=$scratch/env
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY \
        PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT; do
        [[ -z ${!name:-} ]] || printf "export %s='%s'\n" "$name" "${!name//\'/\'\\\'\'}" >>"$environment"
    done
    [[ -z $registry ]] || printf "export NPM_CONFIG_REGISTRY='%s'\n" "${registry//\'/\'\\\'\'}" >>"$environment"
    name=${NPM_CONFIG_USERCONFIG:-${npm_config_userconfig:-}}
    [[ -z $name ]] || secret npm "$name" NPM_CONFIG_USERCONFIG
    [[ -z ${PIP_CONFIG_FILE:-} || $PIP_CONFIG_FILE == /dev/null ]] || secret pip "$PIP_CONFIG_FILE" PIP_CONFIG_FILE
    [[ -z ${SSL_CERT_FILE:-} ]] || secret ca "$SSL_CERT_FILE" SSL_CERT_FILE PIP_CERT NODE_EXTRA_CA_CERTS
    apt=$scratch/apt
    if [[ -n ${APT_CONFIG:-} ]]; then
        cat "$APT_CONFIG" >>"$apt" || fail "APT_CONFIG cannot be read"
    fi
    if [[ -n ${FX_IMAGE_APT_SOURCES:-} ]]; then
        secret sources "$FX_IMAGE_APT_SOURCES"
        printf 'Dir::Etc::SourceList "/run/secrets/sources";\nDir::Etc::SourceParts "/dev/null";\n' >>"$apt"
    fi
    if [[ -n ${SSL_CERT_FILE:-} ]]; then
        printf 'Acquire::https::CAInfo "/run/secrets/ca";\n' >>"$apt"
    fi
    [[ ! -s $apt ]] || secret apt "$apt" APT_CONFIG
    [[ ! -s $environment ]] || secret env "$environment"
}

build() {
    local arguments=()
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    collect_secrets
    arguments=("${secrets[@]}" --tag "$image" --file Dockerfile)
    [[ -z ${FX_IMAGE_BASE:-} ]] || arguments+=(--build-arg "BASE=$FX_IMAGE_BASE")
    case $engine in
        docker) DOCKER_BUILDKIT=1 docker build "${arguments[@]}" . ;;
        podman) podman build --format docker "${arguments[@]}" . ;; # the other format has no HEALTHCHECK
        buildah) buildah bud --format docker "${arguments[@]}" . ;;
    esac
    echo "image: $image is built with $engine"
}

free_ports() { # chroot isolation shares this machine's network: four neighbouring ports nobody answers on
    local first port
    while :; do
        first=$((20000 + RANDOM % 10000))
        for port in "$first" $((first + 1)) $((first + 2)) $((first + 3)); do
            if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
        done
        echo "$first"
        return
    done
}

check_with_buildah() {
    local first
    first=$(free_ports)
    container=$(buildah from --pull-never "$image")
    inside=(buildah run --env FX_ONESHOT=1 --env "FX_HTTP_PORT=$first" --env "FX_CHAIN_PORT=$((first + 1))"
        --env "FX_SIMULATOR_PORT=$((first + 2))" --env "FX_SMTP_PORT=$((first + 3))" "$container" --)
    # Nothing ends with a chroot, and the database outlives its caller: stop it before its folder goes.
    trap '"${inside[@]}" "${fx[@]}" stop >/dev/null || true; buildah rm "$container" >/dev/null' EXIT
    "${inside[@]}" "${not_root[@]}"
    "${inside[@]}" "${fx[@]}" chain deploy  # makes the home that doctor looks into
    "${inside[@]}" "${fx[@]}" doctor
    "${inside[@]}" "${fx[@]}" demo
}

check() {
    case $engine in
        buildah) check_with_buildah ;;
        *)
            "$engine" run --rm --no-healthcheck --entrypoint "${not_root[0]}" "$image" "${not_root[@]:1}"
            "$engine" run --rm --no-healthcheck --env FX_ONESHOT=1 --entrypoint /bin/sh "$image" \
                -ec "${fx[*]} chain deploy; ${fx[*]} doctor; ${fx[*]} demo"
            ;;
    esac
    echo "image: doctor and demonstration pass in $image"
}

image=${FX_IMAGE:-fintokenx:latest}
fx=(/app/.venv/bin/python -m scripts.fx)
not_root=(/app/.venv/bin/python -c 'import os, sys; sys.exit("the image runs as root" if os.getuid() == 0 else 0)')

case ${1:-} in
    build | check)
        # For buildah: the driver and the isolation that ask nothing of the machine but root.
        export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
        engine=$(engine)
        if [[ $engine == buildah ]]; then export STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}; fi
        "$1"
        ;;
    -h | --help | help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
