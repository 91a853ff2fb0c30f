// Package systemd holds the unit of netmend's daemon for nodes whose service manager is systemd, and its tests: what systemd itself says of it, and the daemon
// under it, with a systemd that is booted for this in namespaces.
package systemd
