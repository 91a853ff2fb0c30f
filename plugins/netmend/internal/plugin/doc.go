// Package plugin is netmend's CNI plugin: protocol, configuration, time budget and verdict.
//
// A pod waits for it, and a healthy pod must never fail because of it. So it reads by single questions (pkg/collect, Pod), has a deadline of its own, takes
// what was not judged by then for "not judged" and not for a fault, asks nobody over the network, and keeps no state.
package plugin
