#!/bin/sh
# Fetches the text sources of the demo model's training data: Debian packages, downloaded and unpacked, not installed.
#
#   fetch_sources.sh DIR
#
# DIR/deb holds the packages, DIR/root their contents, DIR/SHA256SUMS the hashes. Needs a Debian system with apt;
# runs as any user. The versions used for the shipped model are listed in README.md.
set -eu
dir=${1:?usage: fetch_sources.sh DIR}
mkdir -p "$dir/deb" "$dir/root"
cd "$dir/deb"
apt-get download bible-kjv bible-kjv-text wordnet-base r-cran-janeaustenr dict-devil
for deb in *.deb; do
  dpkg -x "$deb" ../root
done
sha256sum *.deb | tee ../SHA256SUMS
