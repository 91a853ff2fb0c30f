// Package helm holds netmend's chart and its tests: what Helm says of it, what it renders, and whether that fits the programs and the types that it is for.
package helm
