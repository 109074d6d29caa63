#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds a bootable image: CD and USB stick, BIOS and UEFI, in one file.
#
#   create_iso.sh [-m MODEL]... [-p KEY.pub|trust.toml]... [-o OUT.iso] [-k KERNEL.elf] [-a KERNEL.efi]
#                 [-c marrow.cfg] [-t SECONDS]
#
# -m may be repeated; none is allowed. MODEL is a GGUF file, which the loader puts into memory, or the
# folder of a bundle, which the machine reads from the medium. -p, which may be repeated too, adds a public key that may sign
# bundles (`marrow bundle keygen`); the machine trusts no other. -a adds ARM64's kernel, which UEFI
# starts itself: it has the options of -c, chats unless they say otherwise (run=), and reads the same
# models and keys from the medium. CA=FILE.pem in the environment adds the authorities that `model pull`
# checks https servers with (Debian's are /etc/ssl/certs/ca-certificates.crt); not for ARM64.
# Two builds of the same inputs are byte-equal.
set -euo pipefail
cd "$(dirname "$0")/.."

models=() keys=() arm="" out=build/marrow.iso kernel=build/x86_64/marrow.elf config=iso/marrow.cfg timeout=3
while getopts "m:p:o:k:a:c:t:h" option; do
  case $option in
    m) models+=("$OPTARG") ;;
    p) keys+=("$OPTARG") ;;
    o) out=$OPTARG ;;
    k) kernel=$OPTARG ;;
    a) arm=$OPTARG ;;
    c) config=$OPTARG ;;
    t) timeout=$OPTARG ;;
    h) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) exit 2 ;;
  esac
done
die() { printf 'create_iso: %s\n' "$1" >&2; exit 1; }
[ -e "$kernel" ] || die "$kernel is missing: make kernel"
[ -z "$arm" ] || [ -e "$arm" ] || die "$arm is missing: make kernel ARCH=aarch64"
[ -z "$arm" ] || arm=$(realpath "$arm")
[ -e "$config" ] || die "$config is missing"
for model in "${models[@]}"; do [ -r "$model" ] || die "cannot read model $model"; done
for key in "${keys[@]}"; do
  [[ $(basename "$key") =~ ^([A-Za-z0-9._-]{1,40}\.pub|trust\.toml)$ ]] ||
    die "$key: a key's file is named NAME.pub, of letters, digits, . _ -; a file of versions is named trust.toml"
  [ -r "$key" ] || die "cannot read key $key"
  [[ $key == *.toml ]] || [ "$(stat -L -c %s "$key")" = 32 ] || die "$key is no public key: it has 32 bytes (marrow bundle keygen SEED $key)"
done

SETUP=${SETUP:-1} scripts/setup.sh iso

# Every date in the image is this one, so that the same inputs give the same bytes.
export SOURCE_DATE_EPOCH=1767225600 TZ=UTC LC_ALL=C   # 2026-01-01 00:00:00 UTC
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
tree=$stage/tree
mkdir -p "$tree/boot/grub" "$tree/models"

strip --strip-debug -o "$tree/boot/marrow.elf" "$kernel"
cp "$config" "$tree/marrow.cfg"
modules="" key_modules="" files=() bundles=()
for model in "${models[@]}"; do
  [ ! -d "$model" ] || { bundles+=("$(python3 scripts/stage_bundle.py "$model" "$tree")"); continue; }
  name=$(basename "$model")
  [ ! -e "$tree/models/$name" ] || die "two models are named $name"
  files+=("$model")
  cp -L --reflink=auto "$model" "$tree/models/$name"
  modules+="  module2 /models/$name /models/$name"$'\n'
done
# For a machine without a network: licences, bill of materials, manual.
python3 scripts/make_sbom.py "$tree" "$tree/boot/marrow.elf" ${arm:+"$arm"} --models "${files[@]}" --bundles "${bundles[@]}"
python3 scripts/make_manual.py "$tree/manual"
for key in "${keys[@]}"; do
  name=$(basename "$key")
  [ ! -e "$tree/boot/keys/$name" ] || die "two keys are named $name"
  mkdir -p "$tree/boot/keys"
  cp -L "$key" "$tree/boot/keys/$name"
  touch -d "@$SOURCE_DATE_EPOCH" "$tree/boot/keys/$name"
  key_modules+="  module2 /boot/keys/$name /boot/keys/$name"$'\n'
done
if [ -n "${CA:-}" ]; then
  grep -q 'BEGIN CERTIFICATE' "$CA" || die "CA=$CA is no file of certificates in PEM form"
  cp -L "$CA" "$tree/boot/ca.pem"
  key_modules+="  module2 /boot/ca.pem /boot/ca.pem"$'\n'
fi
# The menu, with a line for each file that the loader puts into memory.
menu() {
  MODULES=$1 TIMEOUT=$timeout python3 - iso/grub.cfg "$2" <<'PY'
import os, pathlib, sys
text = pathlib.Path(sys.argv[1]).read_text()
text = text.replace("@MODULES@\n", os.environ["MODULES"]).replace("set timeout=3", "set timeout=" + os.environ["TIMEOUT"])
pathlib.Path(sys.argv[2]).write_text(text)
PY
}
menu "$modules$key_modules" "$tree/boot/grub/grub.cfg"

# What the console command `install` puts on a disk. Its GRUB finds the menu on the second partition
# of the disk that it was started from; models are on the fourth one, which the kernel reads itself.
disk_modules=(part_gpt fat loadenv multiboot2 normal configfile all_video gfxterm serial terminal halt reboot echo test sleep)
mkdir "$tree/boot/install"
cp /usr/lib/grub/i386-pc/boot.img "$tree/boot/install/mbr.img"
grub-mkimage -O i386-pc -p '(,gpt2)/boot/grub' -o "$tree/boot/install/core.img" biosdisk vbe vga "${disk_modules[@]}"
truncate -s %512 "$tree/boot/install/core.img"
grub-mkimage -O x86_64-efi -p /boot/grub -o "$tree/boot/install/bootx64.efi" efi_gop "${disk_modules[@]}"
menu "$key_modules" "$tree/boot/install/grub.cfg"
install=(--install /boot/install/mbr.img "boot sector" --install /boot/install/core.img "bios boot"
  --install /boot/install/bootx64.efi /EFI/BOOT/BOOTX64.EFI --install /boot/install/grub.cfg /boot/grub/grub.cfg)
# The files as they are too: an installed disk can install another one.
for file in "$tree"/{boot/marrow.elf,marrow.cfg,boot/install/{mbr.img,core.img,bootx64.efi,grub.cfg},sbom.spdx.json,licences/*,manual/*}; do
  install+=(--install "${file#"$tree"}" "${file#"$tree"}")
done
for key in "${keys[@]}"; do
  install+=(--install "/boot/keys/$(basename "$key")" "/boot/keys/$(basename "$key")")
done
[ -z "${CA:-}" ] || install+=(--install /boot/ca.pem /boot/ca.pem)
python3 scripts/make_manifest.py "$tree/boot/manifest.json" "$kernel" "${files[@]}" --tree "$tree" --bundles "${bundles[@]}" "${install[@]}"

# The name of a file by which the loader knows this very image among others in the machine. It is made
# of what the image holds (the manifest has the models' hashes), so equal inputs give an equal name.
id=$(cd "$tree" && { sha256sum boot/marrow.elf boot/manifest.json boot/grub/grub.cfg marrow.cfg; \
  find boot -name '*.pub' -o -name trust.toml -o -name ca.pem | sort | xargs -r sha256sum; } | cat - ${arm:+"$arm"} | sha256sum | cut -c1-24)
mkdir "$tree/boot/id"
echo "$id" >"$tree/boot/id/$id"
echo "$id" >"$tree/boot/medium.id"  # the same for the kernel, which must not install over its own medium

# BIOS: an El Torito core image that finds grub.cfg on the medium it came from.
bios_modules=(biosdisk iso9660 part_msdos part_gpt multiboot2 normal configfile search search_fs_file
  all_video vbe vga gfxterm serial terminal halt reboot echo test sleep)
efi_modules=(iso9660 part_msdos part_gpt fat multiboot2 normal configfile search search_fs_file
  all_video efi_gop gfxterm serial terminal halt reboot echo test sleep)
printf 'search --no-floppy --file --set=root /boot/id/%s\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' "$id" >"$stage/early.cfg"
grub-mkimage -O i386-pc -p /boot/grub -c "$stage/early.cfg" -o "$stage/core.img" "${bios_modules[@]}"
cat /usr/lib/grub/i386-pc/cdboot.img "$stage/core.img" >"$tree/boot/grub/eltorito.img"
grub-mkimage -O x86_64-efi -p /boot/grub -c "$stage/early.cfg" -o "$stage/bootx64.efi" "${efi_modules[@]}"

# UEFI: a FAT image with the loader under its removable-media name. Serial number and dates fixed.
loaders=("$stage/bootx64.efi")
if [ -n "$arm" ]; then
  cp "$arm" "$stage/bootaa64.efi"
  cp "$config" "$stage/marrow.cfg"
  grep -qE '^ *run *=' "$config" || echo 'run = talk' >>"$stage/marrow.cfg"
  loaders+=("$stage/bootaa64.efi" "$stage/marrow.cfg")
fi
touch -d "@$SOURCE_DATE_EPOCH" "${loaders[@]}"
kib=$(( ($(cat "${loaders[@]}" | wc -c) + 1023) / 1024 + 64 ))
truncate -s "${kib}K" "$tree/boot/grub/efi.img"
mformat -i "$tree/boot/grub/efi.img" -T $((kib * 2)) -h 2 -s 32 -N 4d415252 ::
mmd -i "$tree/boot/grub/efi.img" ::/EFI ::/EFI/BOOT
mcopy -m -i "$tree/boot/grub/efi.img" "$stage/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
if [ -n "$arm" ]; then
  mcopy -m -i "$tree/boot/grub/efi.img" "$stage/bootaa64.efi" ::/EFI/BOOT/BOOTAA64.EFI
  mcopy -m -i "$tree/boot/grub/efi.img" "$stage/marrow.cfg" ::/marrow.cfg
  if [ "${#keys[@]}" -gt 0 ]; then
    mmd -i "$tree/boot/grub/efi.img" ::/boot ::/boot/keys
    mcopy -m -i "$tree/boot/grub/efi.img" "$tree"/boot/keys/* ::/boot/keys/
  fi
fi

# What `sha256sum -c SHA256SUMS` checks; xorriso writes into GRUB's image for CDs afterwards.
(cd "$tree" && find . -type f ! -name eltorito.img -printf '%P\0' | sort -z | xargs -0 sha256sum >"$stage/sums")
mv "$stage/sums" "$tree/SHA256SUMS"

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$(dirname "$out")"
rm -f "$out"
xorriso -as mkisofs -quiet -r -iso-level 3 -volid MARROW -o "$out" \
  --modification-date=2026010100000000 --set_all_file_dates 2026010100000000 \
  --gpt_disk_guid modification-date \
  --grub2-mbr /usr/lib/grub/i386-pc/boot_hybrid.img --protective-msdos-label \
  -b boot/grub/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info \
  --efi-boot boot/grub/efi.img -efi-boot-part --efi-boot-image \
  "$tree" 2>"$stage/xorriso.log" || { cat "$stage/xorriso.log" >&2; exit 1; }
printf 'create_iso: %s, %s bytes, %s model(s)\n' "$out" "$(stat -c %s "$out")" "${#models[@]}"
