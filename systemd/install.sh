#!/bin/sh
# Installs zstackd as a service on Raspberry Pi OS or Debian, or takes it away again:
#   sudo make install       also upgrades; configuration, runs and results stay as they are
#   sudo make uninstall     the same stay
# DESTDIR=folder stages the files there and touches nothing of the system.
# WHEELS=folder takes the Python packages from there instead of the package index.
# PIP="command" uses that pip instead of one made for the purpose.
set -eu
umask 022

DESTDIR=${DESTDIR:-}
PYTHON=${PYTHON:-/usr/bin/python3}
WHEELS=${WHEELS:-}
PIP=${PIP:-}
root=/opt/zstackd
config=/etc/zstackd
state=/var/lib/zstackd
lib=/usr/local/lib
share=/usr/local/share
pi_packages="python3-libcamera python3-kms++ libarchive13 libcap-dev gcc python3-dev"

say() { echo "install: $*"; }
die() { echo "install: $*" >&2; exit 1; }
staged() { [ -n "$DESTDIR" ]; }
systemd_runs() { ! staged && [ -d /run/systemd/system ]; }
udev_runs() { [ -S /run/udev/control ]; }
active() { systemd_runs && systemctl --quiet is-active zstackd.service; }
put() { install -D -m 644 "$1" "$DESTDIR$2"; }

# A fresh system may not have fetched the lists yet; without a network it goes on without them.
fetch_lists() {
    for list in /var/lib/apt/lists/*Packages*; do
        if [ -e "$list" ]; then return; fi
    done
    apt-get update || true
}

# The camera's library comes as system packages. All of them are in Raspberry Pi's own archive only;
# where one is missing, apt-cache still says yes if asked for several at once.
has_camera_library() {
    for package in python3-libcamera python3-kms++; do
        apt-cache show "$package" >/dev/null 2>&1 || return 1
    done
}

system_packages() {
    wanted="python3-venv"
    if [ "$extras" = "[pi]" ]; then wanted="$wanted $pi_packages"; fi
    missing=""
    for package in $wanted; do
        dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null |
            grep -q '^ii' || missing="$missing $package"
    done
    if [ -z "$missing" ]; then return; fi
    say "system packages:$missing"
    # Lists that are old name packages that are no longer there.
    apt_install || { apt-get update && apt_install; }
}

apt_install() {
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
}

# All that needs the network happens before anything is replaced.
fetch_wheels() {
    if [ -z "$PIP" ]; then
        "$PYTHON" -m venv "$work/pip"
        PIP="$work/pip/bin/python -m pip"
    fi
    # pip unpacks and builds where TMPDIR says.
    PIP="env TMPDIR=$work $PIP --disable-pip-version-check --quiet"
    if [ -z "$WHEELS" ]; then
        WHEELS=$work/wheels
        say "fetching and building the Python packages (some minutes on a Pi)"
        # Some packages have no pyproject.toml, and an old pip builds these only if told so.
        $PIP wheel --use-pep517 --wheel-dir "$WHEELS" --constraint constraints.txt ".$extras"
    fi
}

# The new program is built beside the old one and takes its place by renaming. It sees the system's
# packages, for libcamera; --ignore-installed because what else the system has of them, the
# camera's JPEG library above all, is built for another numpy.
build_program() {
    new=$DESTDIR$root.new
    rm -rf "$new"
    mkdir -p "$DESTDIR${root%/*}"
    "$PYTHON" -m venv --system-site-packages --without-pip "$new"
    $PIP --python "$new/bin/python" install --no-compile --no-index --find-links "$WHEELS" \
        --ignore-installed --no-warn-script-location "zstackd$extras"
    grep -rlIFZ "$new" "$new/bin" "$new/pyvenv.cfg" | xargs -0 sed -i "s|$new|$root|g"
    "$PYTHON" -m compileall -q -s "$new" -p "$root" "$new/lib"
}

swap_program() {
    rm -rf "$DESTDIR$root.old"
    if [ -e "$DESTDIR$root" ]; then mv "$DESTDIR$root" "$DESTDIR$root.old"; fi
    mv "$new" "$DESTDIR$root"
    rm -rf "$DESTDIR$root.old"
    mkdir -p "$DESTDIR/usr/local/bin"
    for program in zstackd focusstack; do
        ln -sf "$root/bin/$program" "$DESTDIR/usr/local/bin/$program"
    done
}

# Printed by the program itself, which knows its words.
put_completions() {
    for shell in bash zsh fish; do
        script=$work/completion.$shell
        if ! _ZSTACKD_COMPLETE=source_$shell "$DESTDIR$root/bin/python" -m zstackd \
            >"$script" 2>"$work/complaint"; then
            say "no completion for shells: $(tail -n 1 "$work/complaint")"
            return
        fi
    done
    put "$work/completion.bash" "$share/bash-completion/completions/zstackd"
    put "$work/completion.zsh" "$share/zsh/site-functions/_zstackd"
    put "$work/completion.fish" "$share/fish/vendor_completions.d/zstackd.fish"
}

put_files() {
    put systemd/zstackd.service "$lib/systemd/system/zstackd.service"
    put systemd/zstackd.sysusers "$lib/sysusers.d/zstackd.conf"
    put systemd/zstackd.tmpfiles "$lib/tmpfiles.d/zstackd.conf"
    put systemd/zstackd.modules "$lib/modules-load.d/zstackd.conf"
    put systemd/60-zstackd.rules "$lib/udev/rules.d/60-zstackd.rules"
    if [ "$(systemd_version)" -ge 254 ]; then
        put systemd/zstackd-backoff.conf "$lib/systemd/system/zstackd.service.d/backoff.conf"
    fi
    for page in docs/*.md docs/images/*; do
        put "$page" "$share/doc/zstackd/${page#docs/}"
    done
    for example in config/examples/*.yaml; do
        put "$example" "$share/zstackd/examples/${example##*/}"
    done
    if [ ! -e "$DESTDIR$config/rig.yaml" ]; then
        put "$(example_rig)" "$config/rig.yaml"
        # The folders of the simulated rig are meant for a checkout.
        sed -i "s|\.\./\.\./demo/|$state/|" "$DESTDIR$config/rig.yaml"
        say "$config/rig.yaml is an example: make it yours before the first start"
    fi
}

example_rig() {
    if [ "$extras" = "[pi]" ]; then
        echo config/examples/rig.hq-grbl.yaml
    else
        echo config/examples/rig.simulated.yaml
    fi
}

systemd_version() {
    systemctl --version 2>/dev/null | awk '/^systemd/ { print $2; exit }' | grep -x '[0-9]*' || echo 0
}

tell_system() {
    systemd-sysusers "$lib/sysusers.d/zstackd.conf"
    systemd-tmpfiles --create "$lib/tmpfiles.d/zstackd.conf"
    if ! systemd_runs; then return; fi
    systemctl daemon-reload
    systemctl restart systemd-modules-load.service || say "cdc_acm or usbserial did not load"
    if udev_runs; then
        udevadm control --reload
        udevadm trigger --subsystem-match=tty --action=change
    fi
}

# Says what is wrong with the rig; that is no failure of the installation.
doctor() {
    if ! "$root/bin/zstackd" doctor --help >/dev/null 2>&1; then return; fi
    runuser -u zstackd -- "$root/bin/zstackd" doctor --rig "$config/rig.yaml" ||
        say "zstackd doctor found what is written above; run it again when that is mended"
}

# A service that was stopped for an upgrade runs again, also where the upgrade failed half-way.
clean_up() {
    rm -rf "$work" "$DESTDIR$root.new"
    if [ "$running" = yes ]; then systemctl start zstackd.service; fi
}

install_all() {
    staged || [ "$(id -u)" = 0 ] || die "needs root: sudo make install"
    staged || command -v systemd-sysusers >/dev/null ||
        die "no systemd here to run the service; make demo needs none"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$PYTHON is older than 3.11; Raspberry Pi OS bookworm or later is needed"
    staged || fetch_lists
    extras=""
    if has_camera_library; then extras="[pi]"; fi
    [ -n "$extras" ] || say "no python3-libcamera in apt: installing without the Pi's camera"
    # Not /tmp, which is memory on some systems and runs no programs on others: the packages take
    # some hundred megabytes.
    work=$(mktemp -d /var/tmp/zstackd-install.XXXXXX)
    running=no
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
    staged || system_packages
    fetch_wheels
    build_program
    if active; then
        running=yes
        say "stopping the service for the upgrade"
        systemctl stop zstackd.service
    fi
    swap_program
    put_files
    put_completions
    if staged; then return; fi
    tell_system
    doctor
    if [ "$running" = yes ]; then
        running=no
        systemctl start zstackd.service
        say "done; the service runs again"
    else
        say "done; next: edit $config/rig.yaml, then: sudo systemctl enable --now zstackd"
    fi
}

uninstall_all() {
    staged || [ "$(id -u)" = 0 ] || die "needs root: sudo make uninstall"
    if systemd_runs; then systemctl disable --now zstackd.service 2>/dev/null || true; fi
    for program in zstackd focusstack; do
        link=$DESTDIR/usr/local/bin/$program
        if [ "$(readlink "$link" || true)" = "$root/bin/$program" ]; then rm "$link"; fi
    done
    for path in "$root" "$root.old" "$root.new" "$share/zstackd" "$share/doc/zstackd" \
        "$share/bash-completion/completions/zstackd" "$share/zsh/site-functions/_zstackd" \
        "$share/fish/vendor_completions.d/zstackd.fish" \
        "$lib/systemd/system/zstackd.service" "$lib/systemd/system/zstackd.service.d" \
        "$lib/sysusers.d/zstackd.conf" "$lib/tmpfiles.d/zstackd.conf" \
        "$lib/modules-load.d/zstackd.conf" "$lib/udev/rules.d/60-zstackd.rules"; do
        rm -rf "$DESTDIR$path"
    done
    if systemd_runs; then
        systemctl daemon-reload
        if udev_runs; then udevadm control --reload; fi
    fi
    say "removed; $config, $state and the user zstackd stay (remove them by hand if you wish)"
}

case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) die "say install or uninstall" ;;
esac
