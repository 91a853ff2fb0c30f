#!/bin/bash
# Becomes the first process of a node: ROOT is the directory of the node's own files, NAME its name, NETNS its network namespace, GROUP the name of its
# control groups. It runs in the control groups and namespaces that machine.go has made, and ends with the node.
set -eu
hostname "$NAME"
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mkdir -p dev proc sys usr tmp root home mnt .old run/lock var/tmp var/log
chmod 1777 tmp var/tmp
for dir in bin sbin lib lib32 lib64; do
	[ -L "/$dir" ] && [ ! -e "$dir" ] && cp -a "/$dir" "$dir"
done
mount --rbind /usr usr
mount --rbind /dev dev
mount -t proc proc proc
# /sys shows the devices of the network namespace in which it is mounted.
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
# kubelet sets the kernel's, which are everybody's: it finds them set.
for knob in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	[ -e "proc/sys/${knob%=*}" ] || continue
	mkdir -p "run/knobs/${knob%/*}"
	echo "${knob#*=}" >"run/knobs/${knob%=*}"
	mount --bind "run/knobs/${knob%=*}" "proc/sys/${knob%=*}"
done
# A hierarchy that is mounted in a namespace of control groups begins at the group in which that was made.
while read -r _ at type options _; do
	case $type in
	cgroup2) mkdir "sys/fs/cgroup/${at##*/}" && mount -t cgroup2 cgroup2 "sys/fs/cgroup/${at##*/}" ;;
	cgroup) mkdir "sys/fs/cgroup/${at##*/}" && mount -t cgroup -o "$(echo "$options" | sed 's/^rw,//; s/relatime,//; s/no[a-z]*,//g')" cgroup "sys/fs/cgroup/${at##*/}" ;;
	esac
done </proc/mounts
pivot_root . .old
cd /
umount -l .old
rmdir .old
# A pod may ask to see what is mounted later.
mount --make-rshared /
# bash, unlike most programs, waits for processes that it has not started: those that lost their parent.
touch /run/up
sleep infinity &
while true; do wait; done
