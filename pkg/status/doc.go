// Package status is what the daemon knows of its node, as one document: the loop writes it anew after each look, and the socket, the metrics, the live page
// and `netmendctl status` show it. It holds data only.
package status
