#!/usr/bin/env bash
# Runs when Buildroot is done: card, update, checksums, in the same way as every other image.
set -euo pipefail
binaries=$1
cd "$BR2_EXTERNAL_PILLARBOX_PATH/.."
board=$(sed -n 's/^BR2_DEFCONFIG=".*pillarbox_\(.*\)_defconfig"$/\1/p' "$BR2_CONFIG")
keys=${PILLARBOX_KEYS:?}
. image/lib.sh
# Old boards' firmware reads the old kind of partition table.
console=tty1
case $board in
  rpi*) table=hybrid ;;
  virt) console=ttyAMA0 ;;
esac
name="pillarbox-$(version)-$board"
slot=$(mktemp -d)
cp "$binaries/Image" "$slot/" 2>/dev/null || cp "$binaries/zImage" "$slot/Image"
# A kernel whose drivers are modules brings a first system that has them; ours has none.
[ ! -e "$binaries/initrd" ] || cp "$binaries/initrd" "$slot/"
cp "$binaries"/*.dtb "$slot/" 2>/dev/null || true
make_kernel "$slot" "$binaries/kernel.ext4"
boot=$(mktemp -d)
[ ! -d "$binaries/rpi-firmware" ] || cp -r "$binaries/rpi-firmware/." "$boot/"
[ ! -e "$binaries/u-boot.bin" ] || cp "$binaries/u-boot.bin" "$boot/"
sed "s/@console@/console=$console/" image/boot.cmd > "$slot/boot.cmd"
mkimage -A arm64 -T script -C none -n pillarbox -d "$slot/boot.cmd" "$boot/boot.scr" >/dev/null
make_disk "$binaries/rootfs.squashfs" "$binaries/kernel.ext4" "$boot" "$name" "$binaries/$name.img"
make_bundle "$binaries/rootfs.squashfs" "$binaries/kernel.ext4" "$(version)" "$binaries/$name.raucb"
xz -T0 -f -k "$binaries/$name.img"
(cd "$binaries" && sha256sum "$name.img.xz" "$name.raucb" > "$name.sha256")
rm -rf "$slot" "$boot"
