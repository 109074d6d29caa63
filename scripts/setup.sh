#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the packages that the groups need in one apt transaction, and lists them with reasons. Usage: setup.sh GROUP...
# With SETUP=0 nothing is installed: the command is printed and the script fails.
#
# It runs on a machine that has only Debian's essential packages: bash and coreutils are all it uses.
set -euo pipefail

# group | a file or command that proves it is there | Debian package | why
TABLE='
build | g++                                   | g++                  | compiles the Linux drivers and the tools of their build
build | g++-12                                | g++-12               | compiles the kernel and the hosted twin
build | flex                                  | flex                 | configures the Linux drivers
build | bison                                 | bison                | configures the Linux drivers
build | bc                                    | bc                   | headers of the Linux drivers
build | /usr/include/libelf.h                 | libelf-dev           | object tool of the Linux drivers
build | xz                                    | xz-utils             | unpacks the third-party sources
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
iso   | cmark-gfm                             | cmark-gfm            | makes the manual in the ISO
iso   | mformat                               | mtools               | makes the EFI partition of the ISO
test  | clang++-19                            | clang-19             | second compiler, sanitizers, fuzzers
test  | /usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-x86_64.a | libclang-rt-19-dev | sanitizer runtime
arm   | aarch64-linux-gnu-g++-12              | g++-12-aarch64-linux-gnu | compiles the kernel and the engine for ARM64
arm   | aarch64-linux-gnu-g++                 | g++-aarch64-linux-gnu | compiles the Linux drivers for ARM64
arm   | qemu-system-aarch64                   | qemu-system-arm      | the virtual machine of ARM64
arm   | /usr/share/qemu-efi-aarch64/QEMU_EFI.fd | qemu-efi-aarch64     | boots ARM64 by UEFI
arm   | /usr/lib/u-boot/qemu_arm64/u-boot.bin | u-boot-qemu          | boots ARM64 as small boards do
test  | qemu-aarch64                          | qemu-user            | runs the engine of ARM64
test  | openssl                               | openssl              | asks the server for protocols it must refuse
test  | /usr/share/ovmf/OVMF.fd               | ovmf                 | UEFI firmware for the boot tests
test  | /usr/sbin/mkfs.ext4                   | e2fsprogs            | images for the file system tests
test  | /usr/sbin/mkfs.vfat                   | dosfstools           | images for the file system tests
test  | /usr/sbin/sgdisk                      | gdisk                | judges partition tables
test  | mcopy                                 | mtools               | fills FAT images
test  | /usr/sbin/mkfs.exfat                  | exfatprogs           | images for the file system tests
check | clang-format-19                       | clang-format-19      | formatting check
check | pip3                                  | python3-pip          | fetches clang-tidy
debug | gdb                                   | gdb                  | make debug
bochs | bochs                                 | bochs                | the second emulator of make test-bochs
bochs | /usr/share/bochs/BIOS-bochs-latest    | bochsbios            | its firmware
bochs | /usr/share/seabios/vgabios-stdvga.bin | seabios             | the firmware of its screen
fresh | debootstrap                           | debootstrap          | makes the bare systems of make test-fresh
'

# Another apt (a second make, unattended upgrades) may hold the locks for a while.
lock_wait_s=900
apt=(apt-get -o "DPkg::Lock::Timeout=$lock_wait_s" -o Acquire::Retries=3)

present() {
  case "$1" in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# What is missing: `packages`, each named once, and a line a package that says why.
find_missing() {
  local wanted=" $* " group proof package why
  while IFS='|' read -r group proof package why; do
    read -r group <<<"$group"; read -r proof <<<"$proof"; read -r package <<<"$package"
    [ -n "$group" ] && [[ "$wanted" == *" $group "* ]] || continue
    if present "$proof" || [[ " ${packages[*]} " == *" $package "* ]]; then continue; fi
    packages+=("$package")
    printf 'setup: %s is missing:%s\n' "$package" "$why"
  done <<<"$TABLE"
}

fail() {
  printf 'setup: %s\nsetup: when that is mended, run this, then try again:\n  %s\n' "$1" "${install[*]}" >&2
  exit 1
}

# apt-get waits for dpkg's lock by itself, but not for the lock of the package lists.
update_lists() {
  local waited=0 said
  until said=$("${root[@]}" env LC_ALL=C "${apt[@]}" update -qq 2>&1); do
    if [[ "$said" != *"Could not get lock"* ]] || [ "$waited" -ge "$lock_wait_s" ]; then
      printf '%s\n' "$said" >&2
      return 1
    fi
    [ "$waited" != 0 ] || printf 'setup: another program updates the package lists: waiting for it\n'
    sleep 2
    waited=$((waited + 2))
  done
}

packages=() root=()
find_missing "$@"
[ ${#packages[@]} -gt 0 ] || exit 0

[ "$(id -u)" = 0 ] || root=(sudo)
install=("${root[@]}" apt-get install -y --no-install-recommends "${packages[@]}")
if ! present apt-get; then
  printf 'setup: this is not a Debian system. Install by hand what Debian calls: %s\n' "${packages[*]}" >&2
  exit 1
fi
if [ "${SETUP:-1}" = 0 ]; then
  printf 'setup: SETUP=0 forbids installing. Run this, then try again:\n  %s\n' "${install[*]}"
  exit 1
fi
[ ${#root[@]} = 0 ] || present sudo || fail "installing needs root, and sudo is missing: become root."
printf 'setup: updating the package lists\n'
update_lists || fail "the package lists could not be updated: is the network there, is /etc/apt right?"
printf 'setup: %s\n' "${install[*]}"
"${root[@]}" env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -q -y --no-install-recommends "${packages[@]}" ||
  fail "apt-get could not install the packages; its own lines above say why."
# A package that no longer brings what its row promises would be missed later, with a worse message.
packages=()
find_missing "$@"
[ ${#packages[@]} = 0 ] || fail "apt-get succeeded, yet this is not there; scripts/setup.sh names the files: ${packages[*]}"
printf 'setup: done\n'
