#!/bin/bash
# Runs in a booted systemd: a node with faults, and the daemon as its unit starts it. The test reads what it writes to standard output.
set -u
section() { printf '\n== %s\n' "$1"; }
state() { netmendctl status -o json; }
pod() { # name
	ip netns add "$1"
	ip link add "v$1" type veth peer name eth0 netns "$1"
	ip link set "v$1" up
	ip -n "$1" link set eth0 up
	ip -n "$1" address add "$2/24" dev eth0
}
until_seen() { # text
	for _ in $(seq 300); do
		state | grep -q "$1" && return
		sleep 0.1
	done
	echo "never seen: $1"
}

ip link set lo up
ip link add eth0 type veth peer name lan0
ip link set lan0 up
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
ip link add flannel.1 type vxlan id 1 dev eth0 local 192.0.2.1 dstport 8472 nolearning
ip link set flannel.1 up
ip address add 10.244.0.0/32 dev flannel.1
iptables-nft -t nat -A POSTROUTING -s 192.0.2.0/24 -p udp --dport 8472 -j MASQUERADE --random-fully
sysctl -qw net.ipv4.ip_forward=0
pod early 10.244.0.11
# A pod that is known by its process alone, which is another user's.
unshare -n setpriv --reuid 1234 --clear-groups sleep 600 &
other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link add vother type veth peer name eth0 netns $other
ip link set vother up
nsenter -t $other -n ip link set eth0 up
nsenter -t $other -n ip address add 10.244.0.12/24 dev eth0
mkdir -p /etc/cni/net.d /etc/netmend
printf '{"name": "cbr0", "cniVersion": "1.0.0", "plugins": [{"type": "flannel"}]}\n' >/etc/cni/net.d/10-flannel.conflist
printf 'apiVersion: netmend.io/v1alpha1\nkind: NetmendConfiguration\nmode: fix\nchecks: {ip-forward: {fix: on}}\npodCIDRs: [10.244.0.0/16]\n' >/etc/netmend/netmend.yaml
cp /etc/netmend/netmend.yaml /good.yaml

section start
systemctl start netmendd && echo started
systemctl show netmendd -p ActiveState -p StatusText -p NRestarts
pid=$(systemctl show netmendd -p MainPID --value)
section process
grep -E '^(CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' "/proc/$pid/status" | tr -s '\t ' ' '
section node-state
cat /run/netmend/node-state
section status
state
section effect
sysctl net.ipv4.ip_forward
ethtool -k flannel.1 | grep tx-checksum-ip-generic
cat /etc/cni/net.d/10-flannel.conflist
ls -l /opt/cni/bin
section later
pod late 10.244.0.13
until_seen /run/netns/late && echo 'the later pod is seen'
section refused
echo 'mode: fix' >/etc/netmend/netmend.yaml
systemctl reload netmendd && echo reloaded
until_seen 'the configuration before stays in force' && echo 'the configuration was refused'
cp /good.yaml /etc/netmend/netmend.yaml
section restart
(
	while [ ! -e /stop ]; do
		[ -e /run/netmend/node-state ] && [ -S /run/netmend/netmend.sock ] || echo 'something is missing'
	done | sort -u
) &
watcher=$!
systemctl restart netmendd && echo restarted
touch /stop
wait $watcher
systemctl show netmendd -p ActiveState -p StatusText
section stop
systemctl stop netmendd && echo stopped
systemctl show netmendd -p ActiveState -p Result
[ -e /run/netmend ] && echo 'the directory is left'
section undone
netmendctl undo --all
section uninstalled
netmendctl uninstall
section journal
journalctl -u netmendd --no-pager
section end
