// Package scale measures what a cluster of the largest size that Kubernetes supports, 5,000 nodes, costs: it makes their objects in a real API server.
package scale
