#!/bin/bash
# boot.sh DIR: boots systemd as process 1 of these new namespaces, on a copy-on-write view of this machine's file system with DIR/usr over it, to run DIR/inside.sh.
# What that writes to /out is in DIR/out. Nothing of the machine itself is changed.
set -euo pipefail
dir=$1
mkdir -p "$dir/out" "$dir/new"
mount -t tmpfs tmpfs "$dir/new"
mkdir "$dir/new/up" "$dir/new/work" "$dir/new/root"
root=$dir/new/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/new/up,workdir=$dir/new/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/out" "$root/old" "$root/var/lib/netmend"
mount --bind "$dir/out" "$root/out"
rm -rf "$root/etc/netmend" "$root/etc/cni" "$root/opt/cni" "$root/var/lib/netmend" "$root/var/lib/cni"
cp -r "$dir/usr" "$root/"
cp "$dir/netmendd.service" "$root/etc/systemd/system/"
cp "$dir/inside.sh" "$root/inside.sh"
cat >"$root/etc/systemd/system/inside.service" <<-'UNIT'
	[Unit]
	DefaultDependencies=no
	[Service]
	Type=oneshot
	ExecStart=/bin/bash /inside.sh
	ExecStopPost=/bin/systemctl --force exit
	StandardOutput=file:/out/log
	StandardError=inherit
UNIT
cd "$root"
pivot_root . old
umount -l /old
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=inside.service --log-target=console
