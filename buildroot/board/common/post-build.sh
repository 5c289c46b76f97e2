#!/usr/bin/env bash
# Runs when Buildroot's system is complete, before it becomes a file: settings of the product.
set -euo pipefail
cd "$BR2_EXTERNAL_PILLARBOX_PATH/.."
board=$(sed -n 's/^BR2_DEFCONFIG=".*pillarbox_\(.*\)_defconfig"$/\1/p' "$BR2_CONFIG")
keys=${PILLARBOX_KEYS:?the folder with the key for updates (image/make-keys)}
. image/lib.sh
if openssl x509 -in "$keys/cert.pem" -noout -subject | grep -q DEVELOPMENT && [ "$board" != virt ]; then
  echo "A release is not signed with a development key: image/make-keys makes one." >&2
  exit 1
fi
# No two builds have the same name, also of one version: a box rehearses whatever has another name than what it knows.
install_product "$1" "$PILLARBOX_PROGRAMS" "pillarbox-$(version)-$board $(date -u +%Y-%m-%dT%H:%M:%SZ)"
[ "$board" != virt ] || serial_screen "$1"
