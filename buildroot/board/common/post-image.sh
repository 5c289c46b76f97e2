#!/usr/bin/env bash
# Runs when Buildroot is done: card, update, checksums, in the same way as every other image.
set -euo pipefail
binaries=$1
cd "$BR2_EXTERNAL_PILLARBOX_PATH/.."
board=$(sed -n 's/^BR2_DEFCONFIG=".*pillarbox_\(.*\)_defconfig"$/\1/p' "$BR2_CONFIG")
keys=${PILLARBOX_KEYS:?}
. image/lib.sh
name="pillarbox-$(version)-$board"
slot=$(mktemp -d)
boot=$(mktemp -d)
trap 'rm -rf "$slot" "$boot"' EXIT
cp "$binaries/u-boot.bin" "$boot/"
case $board in
  rpi*)
    # Older boards' firmware reads the old kind of partition table. It looks for the board's description beside itself,
    # and hands it on through U-Boot.
    export table=hybrid
    cp -r "$binaries/rpi-firmware/." "$binaries"/*.dtb "$boot/"
    ;;
esac
case $board in
  rpi2)
    cp "$binaries/zImage" "$slot/Image"
    make_boot_script "$boot/boot.scr" "" bootz
    ;;
  rpi*)
    cp "$binaries/Image" "$slot/"
    make_boot_script "$boot/boot.scr" ""
    ;;
  virt)
    cp "$binaries/Image" "$slot/"
    # A kernel whose drivers are modules brings a first system that has them; ours has none.
    [ ! -e "$binaries/initrd" ] || cp "$binaries/initrd" "$slot/"
    make_boot_script "$boot/boot.scr" console=ttyAMA0
    ;;
esac
make_kernel "$slot" "$binaries/kernel.ext4"
make_disk "$binaries/rootfs.squashfs" "$binaries/kernel.ext4" "$boot" "$(cat "$TARGET_DIR/etc/pillarbox/system")" "$binaries/$name.img"
make_bundle "$binaries/rootfs.squashfs" "$binaries/kernel.ext4" "$(version)" "$binaries/$name.raucb"
xz -T0 -f -k "$binaries/$name.img"
(cd "$binaries" && sha256sum "$name.img.xz" "$name.raucb" > "$name.sha256")
