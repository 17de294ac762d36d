#!/usr/bin/env bash
# The Debian package of the folder that build/dist.sh froze: nothing is unpacked when it starts.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
umask 022

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
architecture=$(dpkg --print-architecture)
# What was linked here asks for no older C library than this one's.
libc=$(dpkg-query -W -f '${Version}' libc6 | sed 's/-.*//')
date=$(date --utc --date "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}" +%F)
readonly version architecture libc date
readonly root=out/freeze/deb
readonly made=out/dist/sungaze_${version}_${architecture}.deb

[[ -x out/dist/sungaze-folder/sungaze ]] || { echo "There is no frozen folder: make dist"; exit 1; }
rm -rf $root out/dist/sungaze_*.deb
mkdir -p $root/DEBIAN $root/usr/bin $root/usr/lib $root/usr/lib/systemd/system $root/usr/share/applications \
  $root/usr/share/metainfo $root/usr/share/doc/sungaze
cp -r out/dist/sungaze-folder $root/usr/lib/sungaze
ln -s ../lib/sungaze/sungaze $root/usr/bin/sungaze
cp build/linux/sungaze.service $root/usr/lib/systemd/system/
cp build/linux/sungaze.desktop $root/usr/share/applications/
sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$date/" build/linux/io.sungaze.Sungaze.metainfo.xml \
  >$root/usr/share/metainfo/io.sungaze.Sungaze.metainfo.xml
cp LICENSE $root/usr/share/doc/sungaze/copyright
for picture in out/icons/*.png; do
  size=$(basename "$picture" .png)
  ((size <= 512)) || continue
  install -D -m 644 "$picture" "$root/usr/share/icons/hicolor/${size}x$size/apps/sungaze.png"
done
install -D -m 644 web/public/icon.svg $root/usr/share/icons/hicolor/scalable/apps/sungaze.svg
chmod -R u=rwX,go=rX $root/usr

cat >$root/DEBIAN/control <<END
Package: sungaze
Version: $version
Architecture: $architecture
Maintainer: Sungaze <sungaze@localhost>
Installed-Size: $(du -sk --apparent-size $root/usr | cut -f1)
Depends: gir1.2-webkit2-4.1, gir1.2-gtk-3.0, libc6 (>= $libc), libgcc-s1, libstdc++6, zlib1g
Section: misc
Priority: optional
Description: One window for every solar site you look after
 Sungaze shows all the solar sites of an installer's office in one list,
 whichever vendor's portal each belongs to. The window is the system's own web
 view; "sungaze --server" needs no display.
END
(cd $root && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >$root/DEBIAN/md5sums

dpkg-deb --root-owner-group -Zgzip --build $root "$made"
rm -rf $root
