#!/bin/sh
# Builds the images for the MoQT interop runner, in whose tree this directory is
# builds/tributary:
#   ./build.sh [--target relay|client] [--ref REF | --local DIR]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repository=https://github.com/tributary-live/tributary.git
targets='relay client' ref=main source=
while [ $# -gt 0 ]; do
	[ $# -gt 1 ] || { echo "$1 needs a value" >&2; exit 1; }
	case $1 in
	--target) targets=$2 ;;
	--ref) ref=$2 ;;
	--local) source=$(cd "$2" && pwd) ;;
	*) echo "unknown option $1: want --target, --ref or --local" >&2; exit 1 ;;
	esac
	shift 2
done
if [ -z "$source" ]; then
	source=$here/.sources/tributary
	[ -d "$source/.git" ] || git clone --quiet "$repository" "$source"
	git -C "$source" fetch --quiet origin "$ref"
	git -C "$source" checkout --quiet --detach FETCH_HEAD
fi
for target in $targets; do
	case $target in
	relay) image=tributary-relay ;;
	client) image=tributary-interop-client ;;
	*) echo "unknown target $target: want relay or client" >&2; exit 1 ;;
	esac
	docker build -f "$source/interop/runner/Dockerfile" --target "$target" -t "$image:latest" "$source"
done
printf '{"implementation": "tributary", "commit": "%s", "timestamp": "%s"}\n' \
	"$(git -C "$source" rev-parse HEAD)" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | tee "$here/.last-build.json"
