#!/usr/bin/env bash
# Lays Python 3.14 of the next Debian with its libraries into build/python, for where uv can't download one; needs patchelf.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p build/python/{lists,archives}/partial
cd build/python
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian forky main" >sources.list
options=(-o Dir::Etc::SourceList="$PWD/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD")
rm -f ./*.deb
apt-get "${options[@]}" --quiet update
apt-get "${options[@]}" --quiet download python3.14 python3.14-minimal libpython3.14-minimal libpython3.14-stdlib libc6 \
  libbz2-1.0 libexpat1 libffi8 liblzma5 libreadline8t64 libsqlite3-0 libssl3t64 libtinfo6 libuuid1 libzstd1 zlib1g
for package in *.deb; do dpkg --extract "$package" .; done
# Its own C library, which is newer than this system's.
libraries=("$PWD"/usr/lib/*-linux-gnu)
patchelf --set-interpreter "$(ls "${libraries[0]}"/ld-linux-*)" --force-rpath --set-rpath "${libraries[0]}" usr/bin/python3.14
usr/bin/python3.14 -c 'import bz2, ctypes, lzma, readline, sqlite3, ssl, sys; print(sys.version)'
