// Package herald tests what a node tells its cluster against a real API server.
package herald
