#!/bin/sh
# Packs the speech synthesisers into one relocatable folder for a machine without packages: flite, festival, espeak-ng,
# their libraries and English voices. Needs them installed on this machine (Debian 12):
#
#   apt-get install flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts espeak-ng espeak-ng-data \
#       flite1-dev libespeak-ng-dev gcc
#   build_voices.sh OUT.tar.xz
#
# Sound output and the two flite voices that are never used are replaced by stub libraries (a third of the size), so gcc
# is needed as well. It also compiles flite_times.c and espeak_times.c, which speak like the programs and print word times.
# Layout: voices/bin, voices/lib (everything the programs link except the C library's own files, so the target's C
# library must not be older than this machine's), voices/festival (libdir) and voices/espeak-ng-data.
# voices.py starts the programs with LD_LIBRARY_PATH=voices/lib and ESPEAK_DATA_PATH=voices.
set -eu
out=$(realpath "${1:?usage: build_voices.sh OUT.tar.xz}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
voices=$work/voices
mkdir -p "$voices/bin" "$voices/lib"

here=$(cd "$(dirname "$0")" && pwd)
gcc -O2 -s -o "$work/espeak_times" "$here/espeak_times.c" -lespeak-ng
gcc -O2 -s -o "$work/flite_times" "$here/flite_times.c" -lflite_cmu_us_slt -lflite_cmu_us_awb -lflite_cmu_us_rms \
  -lflite_cmu_us_kal16 -lflite_usenglish -lflite_cmulex -lflite -lm
for program in flite festival espeak-ng "$work/flite_times" "$work/espeak_times"; do
  path=$(command -v "$program")
  cp -L "$path" "$voices/bin/"
  ldd "$path" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
done | sort -u | grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv)\.so' | while read -r library; do
  cp -L "$library" "$voices/lib/"
done

# stub LIBRARY VERSION SOURCE: compiles the C source under the library's name, its symbols under the given version.
stub() {
  printf '%s { global: *; };\n' "$2" > "$work/stub.map"
  printf '%s\n' "$3" > "$work/stub.c"
  gcc -shared -fPIC -s -Wl,-soname,"$1" -Wl,--version-script="$work/stub.map" -o "$work/stub.so" "$work/stub.c"
  mv "$work/stub.so" "$voices/lib/$1"
}
pulse_functions=$(nm -D --undefined-only "$voices"/lib/libestools.so* "$voices"/lib/libpcaudio.so* |
  awk '$2 ~ /^pa_/ { sub(/@.*/, "", $2); print "void *" $2 "(void) { return 0; }" }' | sort -u)
stub libpulse.so.0 PULSE_0 "$pulse_functions"
stub libpulse-simple.so.0 PULSE_0 "$pulse_functions"
for voice in cmu_us_kal cmu_time_awb; do
  stub "libflite_$voice.so.1" STUB "void *register_cmu_us_kal16(const char *); void unregister_cmu_us_kal16(void *);
    void *register_$voice(const char *folder) { return register_cmu_us_kal16(folder); }
    void unregister_$voice(void *voice) { unregister_cmu_us_kal16(voice); }"
done
# Drop what only the replaced libraries needed.
LD_LIBRARY_PATH=$voices/lib ldd "$voices"/bin/* 2> /dev/null | awk '$2 == "=>" { print $1 }' | sort -u > "$work/needed"
for library in "$voices"/lib/*; do
  grep -qxF "$(basename "$library")" "$work/needed" || rm "$library"
done

# festival: its own scheme files, lexicon and voices; absolute paths become relative to --libdir.
cp -rL /usr/share/festival "$voices/festival"
cd "$voices/festival"
rm -rf multisyn
sed -i 's|(path-as-directory "/usr/share/festival/dicts/")|(path-append libdir "dicts/")|' lexicons.scm
sed -i "s|'(\"/usr/share/festival/voices/\")|(list (path-append libdir \"voices/\"))|" voices.scm
sed -i "s|'(\"/usr/share/festival/languages/\")|(list (path-append libdir \"languages/\"))|" languages.scm
sed -i "s|'(\"/usr/share/festival/languages/\" )|(list (path-append libdir \"languages/\"))|" languages.scm
if grep -rn '"/usr/share/festival' --include='*.scm' .; then
  echo "build_voices.sh: absolute paths remain in festival's files (above)" >&2
  exit 1
fi

# espeak-ng: the phoneme tables, the English dictionary, the English accents and the voice variants.
data=$(dirname "$(find /usr/lib /usr/share -path '*espeak-ng-data/phontab' | head -n 1)")
mkdir -p "$voices/espeak-ng-data/lang" "$voices/espeak-ng-data/voices"
cd "$data"
cp phontab phonindex phondata intonations en_dict "$voices/espeak-ng-data/"
cp -r lang/gmw "$voices/espeak-ng-data/lang/"
cp -r 'voices/!v' "$voices/espeak-ng-data/voices/"

for package in flite festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts festlex-cmu festlex-poslex espeak-ng; do
  cp -L "/usr/share/doc/$package/copyright" "$voices/copyright.$package" 2>/dev/null ||
    zcat "/usr/share/doc/$package/copyright.gz" > "$voices/copyright.$package"
  dpkg-query -W "$package" >> "$voices/VERSIONS"
done
du -sh "$voices"
tar -C "$work" --sort=name --owner=0 --group=0 --mtime=@0 -cf - voices | xz -6e -T2 > "$out"
ls -l "$out"
