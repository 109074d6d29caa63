#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the unmodified Linux drivers of drivers/linux/drivers.list with Linux's own build system,
# and the shim with the same flags. Usage: build_linux.sh OUT.o ARCH
#
# A row of drivers.list or fatal.list with a fourth field, config.ARCH and shim/ARCH are for that
# architecture alone; headers of shim/ARCH/include replace Linux's.
#
# Steps, each skipped when it is up to date: fetch, extract, configure, compile, shim, symbols.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD out=$1 arch=$2
list=drivers/linux/drivers.list configs=(drivers/linux/config "drivers/linux/config.$arch")
work=$top/build/linux headers=$top/drivers/linux/shim/$arch/include
case $arch in
  x86_64) linux_arch=x86 cross='' trees=(arch/x86) ;;
  aarch64) linux_arch=arm64 cross=aarch64-linux-gnu- trees=(arch/arm64) work=$work-$arch ;;
  *) echo "build_linux: no Linux drivers for $arch"; exit 1 ;;
esac
tree=$work/source objects=$work/objects
[ -d "$headers" ] || headers=
mkdir -p "$work" "$objects"

say() { printf '  %-8s %s\n' LINUX "$1"; }
# newer FILE STAMP: returns whether FILE has changed since the step that STAMP marks.
newer() { [ ! -e "$2" ] || [ "$1" -nt "$2" ]; }

targets=$(awk -F'|' -v arch="$arch" '/^#/ || NF < 3 { next }
  { gsub(/ /, "", $4); if ($4 == "" || $4 == arch) print $2 }' "$list")
# Linux's build system, on our tree and with our headers first.
linux_make() {
  make -s -C "$tree" O="$objects" ARCH=$linux_arch CROSS_COMPILE=$cross \
    ${headers:+NOSTDINC_FLAGS="-nostdinc -I$headers"} "$@"
}

# Extracted: the targets' own sources, then headers and the build system. tar credits a member to
# the first pattern that matches, so the special ones come first.
extract() {
  local archive=$1 patterns=() t
  local -A folders=()
  for t in $targets; do
    case $t in
      */) patterns+=("linux-source-6.1/$t*") ;;
      lib/* | kernel/* | arch/*) ;;
      *) patterns+=("linux-source-6.1/${t%.o}.c") folders[${t%/*}]=1 ;;
    esac
  done
  for t in "${!folders[@]}"; do patterns+=("linux-source-6.1/$t/*.h"); done
  patterns+=('linux-source-6.1/lib/*' 'linux-source-6.1/kernel/*' 'linux-source-6.1/drivers/tty/hvc/*.h' 'linux-source-6.1/mm/*.h' '*/Makefile' '*/Kconfig*'
    '*/Kbuild' '*/Kbuild.include' '*/include/*' 'linux-source-6.1/scripts/*' 'linux-source-6.1/tools/*')
  for t in "${trees[@]}"; do patterns+=("linux-source-6.1/$t/*"); done
  say "extracting $(basename "$archive")"
  rm -rf "$tree"
  mkdir -p "$tree"
  # A folder without headers of its own is no error; any other complaint is.
  if ! tar xJf "$archive" -C "$tree" --strip-components=1 --wildcards "${patterns[@]}" 2>"$work/tar.log" &&
      grep -vE '\*\.h: Not found in archive$|Exiting with failure status' "$work/tar.log"; then
    exit 1
  fi
  rm -rf "$tree"/arch/*/boot/dts/*/
  echo "$targets" >"$work/extracted"
}

if [ ! -e "$work/extracted" ] || [ "$(cat "$work/extracted")" != "$targets" ]; then
  extract "$(python3 scripts/fetch_third_party.py --path linux)"
  rm -f "$work/configured" "$work/compiled"
fi

if newer "${configs[0]}" "$work/configured" || newer "${configs[1]}" "$work/configured"; then
  say "configuring"
  cat "${configs[@]}" >"$work/config"
  linux_make KCONFIG_ALLCONFIG="$work/config" allnoconfig >"$work/config.log" 2>&1 || { tail -20 "$work/config.log"; exit 1; }
  # Reports a row that Linux dropped, because an option was renamed or a dependency is missing.
  while read -r row; do
    grep -qxF "$row" "$objects/.config" || { echo "build_linux: drivers/linux/config: not taken: $row"; exit 1; }
  done < <(grep -E '^CONFIG_[A-Z0-9_]+=' "$work/config")
  linux_make prepare >>"$work/config.log" 2>&1 || { tail -20 "$work/config.log"; exit 1; }
  touch "$work/configured"
  rm -f "$work/compiled"
fi

if newer "$work/configured" "$work/compiled" ||
    { [ -n "$headers" ] && [ -n "$(find "$headers" -type f -newer "$work/compiled")" ]; }; then
  say "compiling $(wc -w <<<"$targets") targets"
  # kbuild goes to arch/*/lib from arch/* and by itself, at once where it may: two compilers would write one object.
  apart=$(tr ' ' '\n' <<<"$targets" | grep '^arch/' || [ $? = 1 ])
  others=$(tr ' ' '\n' <<<"$targets" | grep -v '^arch/')
  { linux_make -j"$(nproc)" $others &&
    { [ -z "$apart" ] || linux_make -j1 $apart; }; } >"$work/compile.log" 2>&1 ||
    { tail -20 "$work/compile.log"; exit 1; }
  # Linux's flags, for the shim: taken from the record of one of its own files.
  sed -n "1s/^[^=]*:= ${cross}gcc//p" "$objects/drivers/virtio/.virtio.o.cmd" |
    sed -E 's/ -c -o .*//; s/-Wp,-MMD,[^ ]*//; s/-DKBUILD_[A-Z]*=[^ ]*//g; s/-D__KBUILD_MODNAME=[^ ]*//; s/-I [^ ]*virtio//g' >"$work/flags"
  touch "$work/compiled"
fi

shims=()
for source in drivers/linux/shim/*.c drivers/linux/shim/"$arch"/*.c; do
  name=${source#drivers/linux/shim/} name=${name%.c} name=${name//\//_} object=$work/shim_$name.o
  shims+=("$object")
  if newer "$source" "$object" || newer "$work/compiled" "$object" ||
      [ -n "$(find drivers/linux/shim -name '*.h' -newer "$object")" ]; then
    say "$source"
    (cd "$objects" && eval "${cross}gcc" "$(cat "$work/flags")" -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
      -Wno-missing-field-initializers -Wno-type-limits -Werror -I"$top" -I"$tree" -DKBUILD_MODNAME="'\"shim\"'" \
      -DKBUILD_BASENAME="'\"$name\"'" -D__KBUILD_MODNAME=kmod_shim -c -o "$object" "$top/$source")
  fi
done

inputs=()
for t in $targets; do
  case $t in
    */) mapfile -t found < <(find "$objects/$t" -maxdepth 1 -name '*.o' ! -name 'built-in.o' | sort)
        # A composite (nvme.o = core.o pci.o …) is linked by kbuild only into its archive: take the parts.
        inputs+=("${found[@]}") ;;
    *) inputs+=("$objects/$t") ;;
  esac
done
say "linking $(basename "$out")"
mkdir -p "$(dirname "$out")"
"${cross}ld" -r -z noexecstack -o "$work/linked.o" "${inputs[@]}" "${shims[@]}"
# Copies by driver code are counted: its memcpy and memmove are the host's.
"${cross}objcopy" --redefine-sym memcpy=shim_host_memcpy --redefine-sym memmove=shim_host_memmove "$work/linked.o"
python3 scripts/gen_linux_stubs.py "$arch" "$work/linked.o" drivers/linux/fatal.list "$work/stubs.S"
"${cross}gcc" -c -o "$work/stubs.o" "$work/stubs.S"
"${cross}ld" -r -z noexecstack -o "$work/whole.o" "$work/linked.o" "$work/stubs.o"
# Only the shim's interface stays visible, so that Linux's strlen does not clash with the kernel's.
"${cross}objcopy" --wildcard --keep-global-symbol='shim_*' "$work/whole.o" "$out"
