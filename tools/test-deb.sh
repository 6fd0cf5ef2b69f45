#!/bin/sh
# The Debian package: what is in it, and that it works where it was never built. tools/test-deb.sh BUILD_DIR; 77: what makes
# packages is not here.
set -eu
build=$(cd "$1" && pwd)
for tool in cpack dpkg-deb dpkg-shlibdeps gzip; do
    command -v $tool >/dev/null || {
        echo "deb: $tool is not here, so nothing is tested"
        exit 77
    }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "deb: $*" >&2
    exit 1
}

# Packing costs more than all the rest, so it is left out here.
cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work" -D CPACK_DEBIAN_COMPRESSION_TYPE=none >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "cpack failed"
}
deb=$(echo "$work"/kinora_*.deb)
[ -f "$deb" ] || fail "no package was made"

# What it says of itself.
dpkg-deb --info "$deb" >"$work/info"
for text in "Package: kinora" "Section: video" "Architecture: $(dpkg --print-architecture)" "Maintainer: " \
    "local AI video studio" postinst prerm; do
    grep -q "$text" "$work/info" || fail "its control file lacks \"$text\": $(cat "$work/info")"
done
for package in libc6 libdnnl libjansson4 libmicrohttpd libsqlite3-0 libcurl libssl libavcodec libavformat libswscale libavutil; do
    grep -q "Depends: .*$package" "$work/info" || fail "it does not depend on $package: $(grep Depends: "$work/info")"
done

# What is in it, for everybody to read and for root alone to write.
dpkg-deb --contents "$deb" >"$work/contents"
for file in bin/kinora share/man/man1/kinora.1.gz share/bash-completion/completions/kinora \
    share/zsh/vendor-completions/_kinora share/fish/vendor_completions.d/kinora.fish lib/systemd/system/kinora.service \
    lib/systemd/user/kinora.service share/doc/kinora/copyright share/doc/kinora/changelog.gz \
    share/kinora/demo/model_index.json share/kinora/demo/transformer/diffusion_pytorch_model.safetensors; do
    grep -q " ./usr/$file\$" "$work/contents" || fail "it lacks usr/$file"
done
if grep -vE '^(-rwxr-xr-x|-rw-r--r--|drwxr-xr-x) root/root ' "$work/contents"; then
    fail "these have other owners or modes"
fi

# Elsewhere: the demo model is found beside the program.
root=$work/root
dpkg-deb -x "$deb" "$root"
unset KINORA_DEMO_DIR
export KINORA_STATE_DIR="$work/state" KINORA_CACHE_DIR="$work/cache"
cd "$work"
"$root/usr/bin/kinora" generate --model demo --prompt "a red ball" --steps 1 --frames 5 -o out.mp4 2>"$work/log" || {
    cat "$work/log" >&2
    fail "the program of the package made no video"
}
"$root/usr/bin/kinora" info out.mp4 >/dev/null || fail "the video says nothing of itself"

gzip -dc "$root/usr/share/man/man1/kinora.1.gz" >page
if command -v groff >/dev/null; then
    groff -man -Tascii -ww -z page 2>warnings || true
    [ ! -s warnings ] || fail "the man page: $(cat warnings)"
fi
for script in postinst prerm postrm; do
    dpkg-deb --ctrl-tarfile "$deb" | tar -xO ./$script | sh -n || fail "$script is no shell script"
done

# The service, as far as it can be looked at where it does not run.
unit=$root/usr/lib/systemd/system/kinora.service
grep -q '^ExecStart=/usr/bin/kinora serve' "$unit" || fail "the service runs $(grep ExecStart "$unit")"
grep -q '^ExecStart=/usr/bin/kinora serve' "$root/usr/lib/systemd/user/kinora.service" || fail "the user's service"
if command -v systemd-analyze >/dev/null; then
    mkdir units
    sed "s|/usr/bin/kinora|$root/usr/bin/kinora|" "$unit" >units/kinora.service
    systemd-analyze verify --man=no "$work/units/kinora.service" 2>"$work/log" || true
    if grep kinora.service "$work/log"; then
        fail "systemd does not take the service"
    fi
fi
if command -v lintian >/dev/null; then
    lintian --fail-on error --suppress-tags bad-distribution-in-changes-file,no-changelog "$deb" || fail "lintian has found errors"
fi
echo "deb: ok, $(grep -c -v '/$' "$work/contents") files"
