#!/usr/bin/env python3
"""Says in a disk's GPT that its first usable block is 34, as the standard's smallest table has it (UEFI 2.10, 5.3).

usage: first_lba.py DISK

Tools that align partitions write the first partition's block there. Loaders of the Raspberry Pi 5 from before 2024 then find no partitions.
Both headers are changed, with their check sums; nothing else is.
"""
import struct
import sys
import zlib

BLOCK = 512
FIRST = 34


def mend(disk, at):
    """The header at a block; gives the block of the other one."""
    disk.seek(at * BLOCK)
    header = bytearray(disk.read(BLOCK))
    if header[:8] != b"EFI PART":
        sys.exit(f"there is no GPT header at block {at}")
    length, = struct.unpack_from("<I", header, 12)
    other, = struct.unpack_from("<Q", header, 32)
    struct.pack_into("<Q", header, 40, FIRST)
    struct.pack_into("<I", header, 16, 0)
    struct.pack_into("<I", header, 16, zlib.crc32(header[:length]))
    disk.seek(at * BLOCK)
    disk.write(header)
    return other


def main():
    with open(sys.argv[1], "r+b") as disk:
        backup = mend(disk, 1)
        if mend(disk, backup) != 1:
            sys.exit("the two GPT headers do not belong together")


if __name__ == "__main__":
    main()
