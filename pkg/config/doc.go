// Package config is the daemon's configuration file, /etc/netmend/netmend.yaml: decoded strictly, checked as a whole, and read again when it changes. A file
// that is not there means the defaults. Nothing else of the node is read to understand it.
package config
