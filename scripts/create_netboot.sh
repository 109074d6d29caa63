#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes a folder from which computers without a medium start over the network, by BIOS and UEFI.
#
#   create_netboot.sh -s SERVER [-i IMAGE.iso] [-o FOLDER]
#
# SERVER is the name or IPv4 address under which a web server gives out FOLDER, on port 80. The folder
# holds the files of the image (create_iso.sh; build/marrow.iso) and two loaders, marrow.pxe (BIOS) and
# marrow.efi (UEFI). The computers' firmware or iPXE fetches one of them from http://SERVER/; it fetches
# kernel, options, keys and models.
set -euo pipefail
cd "$(dirname "$0")/.."

server="" image=build/marrow.iso out=build/netboot
while getopts "s:i:o:h" option; do
  case $option in
    s) server=$OPTARG ;;
    i) image=$OPTARG ;;
    o) out=$OPTARG ;;
    h) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) exit 2 ;;
  esac
done
die() { printf 'create_netboot: %s\n' "$1" >&2; exit 1; }
[ -n "$server" ] || die "-s SERVER is missing: the web server's name or address, as the computers reach it"
[[ $server =~ ^[A-Za-z0-9.-]{1,100}$ ]] || die "$server is no name or IPv4 address (GRUB asks port 80, no other one)"
[ -r "$image" ] || die "$image is missing: make iso"
if [ -e "$out" ] && [ ! -e "$out/marrow.pxe" ]; then die "$out exists and was not made by this script: name another folder"; fi

SETUP=${SETUP:-1} scripts/setup.sh iso
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
xorriso -osirrox on -indev "$image" -extract / "$stage/tree" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; die "$image cannot be read"; }
chmod -R u+rwX,go+rX "$stage/tree"
[ -e "$stage/tree/boot/grub/grub.cfg" ] || die "$image is no image of Marrow"
[ -z "$(find "$stage/tree/models" -mindepth 1 -type d)" ] || die "$image has bundles, which the loader cannot fetch: make it with GGUF files"
# What only a medium needs.
rm -rf "$stage/tree/boot/"{id,install} "$stage/tree/boot/grub/"{eltorito,efi}.img "$stage/tree/"{SHA256SUMS,boot.catalog}

printf 'net_bootp\nset root=(http,%s)\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' "$server" >"$stage/early.cfg"
modules=(http multiboot2 normal configfile all_video gfxterm serial terminal halt reboot echo test sleep)
grub-mkimage -O i386-pc-pxe -p "(http,$server)/boot/grub" -c "$stage/early.cfg" -o "$stage/tree/marrow.pxe" pxe vbe vga "${modules[@]}"
grub-mkimage -O x86_64-efi -p "(http,$server)/boot/grub" -c "$stage/early.cfg" -o "$stage/tree/marrow.efi" efinet efi_gop "${modules[@]}"

# Old models may not stay, but the folder may hold other people's files, too.
mkdir -p "$out"
for entry in "$stage/tree/"*; do
  rm -rf "$out/$(basename "$entry")"
  mv "$entry" "$out/"
done
printf 'create_netboot: %s: let a web server give it out as http://%s/, and DHCP name http://%s/marrow.pxe or marrow.efi\n' "$out" "$server" "$server"
