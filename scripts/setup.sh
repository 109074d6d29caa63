#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what a target needs through apt, saying what and why. Usage: setup.sh GROUP...
# With SETUP=0 nothing is installed: the command is printed and the script fails.
set -euo pipefail

# group | a file or command that proves it is there | Debian package | why
TABLE='
build | g++                                   | g++                  | compiles the kernel and the hosted twin
build | flex                                  | flex                 | configures the Linux drivers
build | bison                                 | bison                | configures the Linux drivers
build | bc                                    | bc                   | headers of the Linux drivers
build | /usr/include/libelf.h                 | libelf-dev           | object tool of the Linux drivers
build | patch                                 | patch                | corrects wolfSSL as Debian does
build | nasm                                  | nasm                 | assembles the boot code
build | python3                               | python3              | generates tables and runs the tools
build | /usr/share/unicode/UnicodeData.txt    | unicode-data         | character classes of the tokenizers
build | /usr/share/consolefonts/Uni2-Terminus16.psf.gz | console-setup-linux | the screen font
model | pip3                                  | python3-pip          | downloads the default model
run   | qemu-system-x86_64                    | qemu-system-x86      | the virtual machine
iso   | xorriso                               | xorriso              | writes the ISO
iso   | grub-mkimage                          | grub-common          | builds the boot loader image
iso   | /usr/lib/grub/i386-pc/cdboot.img      | grub-pc-bin          | boots the ISO from BIOS
iso   | /usr/lib/grub/x86_64-efi/modinfo.sh   | grub-efi-amd64-bin   | boots the ISO from UEFI
iso   | mformat                               | mtools               | makes the EFI partition of the ISO
test  | clang++-19                            | clang-19             | second compiler, sanitizers, fuzzers
test  | /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-x86_64.a | libclang-rt-19-dev | sanitizer runtime
test  | aarch64-linux-gnu-g++                 | g++-aarch64-linux-gnu | compiles the engine for ARM64
test  | qemu-aarch64                          | qemu-user            | runs the engine of ARM64
test  | openssl                               | openssl              | asks the server for protocols it must refuse
test  | /usr/share/OVMF/OVMF_CODE.fd          | ovmf                 | UEFI firmware for the boot tests
test  | /usr/sbin/mkfs.ext4                   | e2fsprogs            | images for the file system tests
test  | /usr/sbin/mkfs.vfat                   | dosfstools           | images for the file system tests
test  | mcopy                                 | mtools               | fills FAT images
test  | /usr/sbin/mkfs.exfat                  | exfatprogs           | images for the file system tests
check | clang-format-19                       | clang-format-19      | formatting check
check | clang-tidy-19                         | clang-tidy-19        | static analysis
debug | gdb                                   | gdb                  | make debug
'

present() {
  case "$1" in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

trim() { sed -E 's/^ +| +$//g' <<<"$1"; }

wanted=" $* "
packages=()
while IFS='|' read -r group proof package why; do
  group=$(trim "$group")
  [ -n "$group" ] && [[ "$wanted" == *" $group "* ]] || continue
  proof=$(trim "$proof") package=$(trim "$package")
  present "$proof" && continue
  packages+=("$package")
  printf 'setup: %s is missing:%s\n' "$package" "$why"
done <<<"$TABLE"

[ ${#packages[@]} -gt 0 ] || exit 0

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
install=("${sudo[@]}" apt-get install -y --no-install-recommends "${packages[@]}")
if [ "${SETUP:-1}" = 0 ]; then
  printf 'setup: SETUP=0 forbids installing. Run this, then try again:\n  %s\n' "${install[*]}"
  exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
  printf 'setup: not a Debian or Ubuntu system. Install by hand: %s\n' "${packages[*]}"
  exit 1
fi
printf 'setup: %s\n' "${install[*]}"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${install[@]}"
