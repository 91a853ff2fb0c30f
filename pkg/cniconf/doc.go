// Package cniconf keeps netmend's plugin in the chain of CNI plugins that the container runtime uses: it finds the configuration, inserts an entry, takes
// it out again, and watches for others who rewrite the directory. It decides nothing else about the network and reads no kernel state.
//
// # Which file
//
// Runtimes sort the names of the .conf, .conflist and .json files of the directory and use the first (containerd) or the first that they can read (CRI-O,
// cri-dockerd). The entry goes to the end of the plugins of the first file that libcni can read.
//
// # What may happen at any moment
//
// The program is in its directory before a chain names it, and leaves it after the last chain has stopped to. Each file is replaced as a whole: beside it
// under a name that libcni does not read, synced, and exchanged with it, so that what somebody else has written meanwhile is seen and put back. A record of
// the bytes before, and a hash of those after, is on the disk before the file is touched.
//
// # Single-plugin files
//
// A .conf or .json file holds one plugin and has no room for a second. It becomes NAME.conflist, with the plugin inside as libcni's own conversion puts
// it, and the file is renamed to NAME.conf.netmend, which libcni does not read: NAME.conf sorts before NAME.conflist and would win. The list is written
// first, so there is a configuration at every moment. The file is renamed, not rewritten, so it comes back with every byte, its owner and its times. An
// installer that writes NAME.conf anew wins at once, since that name sorts first: its file is never hidden behind an old copy of it.
package cniconf
