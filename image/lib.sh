# What the image scripts share. Sourced, not run.
# shellcheck shell=bash

# The product's name for updates: a bundle for another one is refused.
compatible=pillarbox-$board
# Sizes of the partitions in MB: what a system may grow to in years, on a card of 4 GB. Data takes the rest.
boot_size=64
kernel_size=48
root_size=200
data_size=64

say() { printf 'image: %s\n' "$*" >&2; }

# Debian packages that building needs.
need() {
  local missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ]; then
    echo "Please install first: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

version() { sed -nE 's/^version = "(.*)"/\1/p' Cargo.toml | sed -n 1p; }

# The programs, their units, and the settings of this board, into a system's tree.
install_product() { # ROOT PROGRAMS SYSTEM
  local root=$1 programs=$2 system=$3
  systemd/install "$root"
  for program in pillarbox pillarbox-privop pillarbox-beacon; do
    [ -x "$programs/$program" ] && install -D -m 755 "$programs/$program" "$root/usr/bin/$program"
  done
  install -d "$root/etc/pillarbox" "$root/etc/rauc" "$root/data"
  # Where it points to is made at each start, from what the owner chose.
  ln -sfn /run/localtime "$root/etc/localtime"
  install -m 644 image/pillarbox.toml "$root/etc/pillarbox/pillarbox.toml"
  echo "$system" > "$root/etc/pillarbox/system"
  sed "s/@compatible@/$compatible/" image/rauc.conf > "$root/etc/rauc/system.conf"
  install -m 644 "$keys/cert.pem" "$root/etc/rauc/keyring.pem"
  # Copies that the boot script keeps; fw_setenv writes the first one.
  echo '/dev/disk/by-partlabel/raucenv 0x0 0x4000' > "$root/etc/fw_env.config"
  # Without its data the box still starts, so that screen and rescue page can say what is wrong.
  cat > "$root/etc/fstab" <<'E'
PARTLABEL=data /data ext4 defaults,noatime,lazytime,nosuid,nodev,commit=30,nofail,x-systemd.device-timeout=120 0 2
tmpfs          /var  tmpfs mode=755,size=32M,nosuid,nodev 0 0
tmpfs          /tmp  tmpfs mode=1777,size=64M,nosuid,nodev 0 0
E
}

# In QEMU the screen is the serial line: what the beacon shows goes there.
serial_screen() { # ROOT
  mkdir -p "$1/etc/systemd/system/pillarbox-beacon.service.d"
  printf '[Service]\nTTYPath=/dev/console\n' > "$1/etc/systemd/system/pillarbox-beacon.service.d/screen.conf"
}

# What U-Boot runs: 32-bit boards start another kind of kernel.
make_boot_script() { # FILE ARGUMENTS [START]
  local script
  script=$(mktemp)
  sed -e "s/@arguments@/$2/" -e "s/@start@/${3:-booti}/" image/boot.cmd > "$script"
  mkimage -A arm64 -T script -C none -n pillarbox -d "$script" "$1" >/dev/null
  rm -f "$script"
}

# A system's tree as the file that lies in a slot.
make_root() { # ROOT FILE
  rm -f "$2"
  mksquashfs "$1" "$2" -comp zstd -Xcompression-level "${COMPRESSION:-15}" -noappend -quiet -no-progress -all-root >&2
}

# Kernel and what starts it, as a small file system.
make_kernel() { # FOLDER FILE
  rm -f "$2"
  truncate -s "${kernel_size}M" "$2"
  mkfs.ext4 -q -F -O ^has_journal -L kernel -d "$1" "$2"
}

# An update: kernel and system, signed.
make_bundle() { # ROOTFILE KERNELFILE VERSION FILE [KEYS]
  local folder with=${5:-$keys}
  folder=$(mktemp -d)
  cp "$1" "$folder/root.squashfs"
  cp "$2" "$folder/kernel.ext4"
  sed -e "s/@compatible@/$compatible/" -e "s/@version@/$3/" image/manifest.raucm > "$folder/manifest.raucm"
  rm -f "$4"
  rauc bundle --cert="$with/cert.pem" --key="$with/key.pem" "$folder" "$4" >&2
  rm -rf "$folder"
}

# The whole card: both slots hold the same system.
make_disk() { # ROOTFILE KERNELFILE BOOTFOLDER SYSTEM FILE
  local work
  work=$(mktemp -d)
  mkdir -p "$work/in" "$work/root/data/system"
  cp "$1" "$work/in/root.squashfs"
  cp "$2" "$work/in/kernel.ext4"
  truncate -s 1M "$work/in/raucenv.bin"
  # What lies on a new card was rehearsed and kept where it was built.
  for file in rehearsed kept; do echo "$4" > "$work/root/data/system/$file"; done
  mkdir -p "$work/boot" && cp -r "$3/." "$work/boot/"
  truncate -s "${boot_size}M" "$work/in/boot.vfat"
  # FAT32 in earnest: some boards' firmware takes every FAT on such a card for one.
  mkfs.vfat -F 32 -s 1 -n PILLARBOX "$work/in/boot.vfat" >/dev/null
  mcopy -s -i "$work/in/boot.vfat" "$work"/boot/* ::
  # Older boards' firmware reads the old kind of partition table: theirs are hybrid.
  local mbr_type=
  [ "${table:-gpt}" = gpt ] || mbr_type="  partition-type = 0xC"
  sed -e "s/@root_size@/$root_size/" -e "s/@data_size@/$data_size/" -e "s/@table@/${table:-gpt}/" -e "s/@mbr_type@/$mbr_type/" image/genimage.cfg > "$work/genimage.cfg"
  genimage --config "$work/genimage.cfg" --rootpath "$work/root" --inputpath "$work/in" --outputpath "$work/out" --tmppath "$work/tmp" --loglevel 0 >&2
  cp --sparse=always "$work/out/disk.img" "$5"
  /usr/bin/python3 image/first_lba.py "$5"
  rm -rf "$work"
}
