# Chooses the slot to start. Each has three tries, which RAUC gives back once a system is good; a slot without tries is
# passed over. The environment lies twice in its partition, each copy with a checksum: a plug pulled while one is written
# leaves the other.
setenv partition raucenv
part start ${devtype} ${devnum} ${partition} place
setexpr second ${place} + 0x40
${devtype} dev ${devnum}
setenv found
${devtype} read ${pxefile_addr_r} ${place} 0x20
if env import -c ${pxefile_addr_r} 0x4000 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT; then setenv found 1; fi
if test "x${found}" = "x"; then
  ${devtype} read ${pxefile_addr_r} ${second} 0x20
  env import -c ${pxefile_addr_r} 0x4000 BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
fi
test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3
setenv slot
for one in ${BOOT_ORDER}; do
  if test "x${slot}" != "x"; then
    true
  elif test "x${one}" = "xA"; then
    if itest ${BOOT_A_LEFT} -gt 0; then setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1; setenv slot A; setenv letter a; fi
  elif test "x${one}" = "xB"; then
    if itest ${BOOT_B_LEFT} -gt 0; then setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1; setenv slot B; setenv letter b; fi
  fi
done
if test "x${slot}" = "x"; then
  echo "pillarbox: no slot has a try left; both get new ones"
  setenv BOOT_A_LEFT 3
  setenv BOOT_B_LEFT 3
fi
env export -c -s 0x4000 ${pxefile_addr_r} BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT
${devtype} write ${pxefile_addr_r} ${second} 0x20
${devtype} write ${pxefile_addr_r} ${place} 0x20
if test "x${slot}" = "x"; then reset; fi
echo "pillarbox: slot ${slot}, order ${BOOT_ORDER}, tries A ${BOOT_A_LEFT} B ${BOOT_B_LEFT}"
# A Raspberry Pi's firmware hands over what it found out about the board, and words for the kernel with it (cmdline.txt).
setenv tree ${fdtcontroladdr}
if test -n "${fdt_addr}"; then setenv tree ${fdt_addr}; fi
setenv given
fdt addr ${tree}
fdt get value given /chosen bootargs
# Nobody is asked whether a damaged file system is to be mended: nobody sits at the box.
# A card needs a moment until it is there; a slot that is not there at all is given up, and its next try or the other slot
# comes.
setenv bootargs "${given} @arguments@ panic=3 fsck.repair=yes root=PARTLABEL=root-${letter} rootfstype=squashfs rootwait=30 ro rauc.slot=${slot} quiet systemd.show_status=0"
part number ${devtype} ${devnum} kernel-${letter} where
load ${devtype} ${devnum}:${where} ${kernel_addr_r} /Image
if load ${devtype} ${devnum}:${where} ${ramdisk_addr_r} /initrd; then
  @start@ ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${tree}
else
  @start@ ${kernel_addr_r} - ${tree}
fi
reset
