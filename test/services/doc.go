// Package services tests what is read and judged of Services against a real API server and a real kube-proxy.
package services
