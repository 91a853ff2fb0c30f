// Package kubeapi tests netmend's chart against a real API server: what it takes of it, and what the daemon's token may do and may not.
package kubeapi
