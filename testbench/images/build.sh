#!/bin/bash
# Builds MicroPython images from Debian trixie's source packages, on Debian bookworm or later.
#
#   build.sh sources DIR                 unpack the sources and build mpy-cross in DIR (needs root only if a tool is missing)
#   build.sh pico DIR MANIFEST OUT.bin   ports/rp2, board RPI_PICO: the Raspberry Pi Pico
#   build.sh mps2 DIR MANIFEST OUT.elf   ports/qemu, board MPS2_AN385: Cortex-M3 under qemu-system-arm
#
# apt works in directories of its own under DIR and at the mirror this machine already uses: the machine's lists,
# sources and cache stay as they are.
set -euo pipefail

fail() { echo "$*" >&2; exit 1; }

apt_private() {  # $1: directory for lists and cache; the rest goes to apt-get
  local dir=$1; shift
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  apt-get -q -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root "$@"
}

tools() {
  local missing=() tool
  for tool in arm-none-eabi-gcc:gcc-arm-none-eabi cmake:cmake ninja:ninja-build dpkg-source:dpkg-dev make:make gcc:gcc; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
  done
  [[ -e /usr/lib/arm-none-eabi/include/stdio.h || -e /usr/include/newlib/stdio.h ]] || missing+=(libnewlib-arm-none-eabi)
  [[ -n $(find /usr/lib/arm-none-eabi /usr/include/newlib -path '*c++*' -name cstdint -print -quit 2>/dev/null) ]] ||
    missing+=(libstdc++-arm-none-eabi-newlib)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  [[ $(id -u) -eq 0 ]] || fail "tools are missing; install them first: apt-get install ${missing[*]}"
  apt_private "$1/apt-here" update
  apt_private "$1/apt-here" install -y --no-install-recommends "${missing[@]}"
}

sources() {
  local dir=$1 mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
  command -v apt-get >/dev/null || fail "no apt-get here: images are built from Debian's source packages"
  tools "$dir"
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/\?$') ||
    fail "apt knows no Debian mirror on this machine (apt-get indextargets names none ending in /debian)"
  mkdir -p "$dir/apt" "$dir/src"
  printf 'deb [signed-by=%s] %s trixie main\ndeb-src [signed-by=%s] %s trixie main\n' "$key" "$mirror" "$key" "$mirror" \
    >"$dir/apt/sources.list"
  local trixie=("$dir/apt" -o "Dir::Etc::sourcelist=$dir/apt/sources.list" -o Dir::Etc::sourceparts=-)
  apt_private "${trixie[@]}" update
  cd "$dir/src"
  apt_private "${trixie[@]}" source micropython=1.25.0+ds-1 mbedtls
  apt_private "${trixie[@]}" download pico-sdk-source tinyusb-source
  local deb
  for deb in ./*.deb; do dpkg -x "$deb" sdk; done
  mv micropython-1.25.0+ds micropython
  cd micropython
  for lib in pico-sdk tinyusb; do rm -rf "lib/$lib" && ln -s "../../sdk/usr/src/$lib" "lib/$lib"; done
  rm -rf lib/mbedtls && ln -s "../../$(basename "$dir"/src/mbedtls-3*/)" lib/mbedtls
  touch lib/micropython-lib/README.md  # the makefiles take its absence for a submodule that was not fetched
  make -C mpy-cross -j"$(nproc)"
  rm -rf "$dir"/src/*.deb "$dir"/src/*.tar.* "$dir/apt" "$dir/apt-here"
}

pico() {
  local dir=$1 manifest=$2 out=$3
  cmake -S "$dir/src/micropython/ports/rp2" -B "$dir/pico" -G Ninja -DMICROPY_BOARD=RPI_PICO -DPICO_NO_PICOTOOL=1 \
    -DMICROPY_FROZEN_MANIFEST="$manifest"
  ninja -C "$dir/pico"
  cp "$dir/pico/firmware.bin" "$out"
}

mps2() {
  local dir=$1 manifest=$2 out=$3
  # The heap of the Pico's image (its `gc.mem_alloc() + gc.mem_free()`), so that what fits here fits there.
  make -C "$dir/src/micropython/ports/qemu" BOARD=MPS2_AN385 BUILD="$dir/mps2" FROZEN_MANIFEST="$manifest" \
    MICROPY_HEAP_SIZE=251968 -j"$(nproc)"
  cp "$dir/mps2/firmware.elf" "$out"
}

case ${1:-} in
  sources | pico | mps2) "$@" ;;
  *) sed -n 2,7p "$0" >&2; exit 2 ;;
esac
