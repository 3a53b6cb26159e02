#!/bin/sh
# Starts moq-relay by the variables of the MoQT interop runner.
set -eu
role=${MOQT_ROLE:-relay}
if [ "$role" != relay ]; then
	echo "role $role is not supported: this image is a relay" >&2
	exit 127
fi
cert=${MOQT_CERT:-/certs/cert.pem}
key=${MOQT_KEY:-/certs/priv.key}
for file in "$cert" "$key"; do
	if [ ! -r "$file" ]; then
		echo "$file cannot be read: mount the certificates at /certs, or name them by MOQT_CERT and MOQT_KEY" >&2
		exit 1
	fi
done
exec moq-relay --bind "${MOQT_BIND:-}:${MOQT_PORT:-4443}" --tls-cert "$cert" --tls-key "$key" --qlog "${MOQT_MLOG_DIR:-/mlog}" --admin ''
