// Package serve is what others may ask the daemon: the plugin and netmendctl over a unix socket, people and Prometheus over HTTP, programs by a file, and
// systemd by its notifications. All of it shows what the loop has last put on a [Board]; nothing here reads the node, decides or changes anything.
//
// A surface that cannot be had (a path or a port that is taken, a directory that cannot be written) is no reason to end: its Run tries again until its
// context ends, and tells of each change of its state.
package serve
