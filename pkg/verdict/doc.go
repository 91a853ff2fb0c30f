// Package verdict is the small language in which netmend's CNI plugin, and netmendctl, ask the daemon on their node what it already knows.
//
// The daemon listens on a unix stream socket. Each message is one JSON object on one line:
//
//	plugin: {"netmend":1,"ask":"verdicts"}
//	daemon: {"netmend":1,"age":3.2,"judged":["tunnel-tx-checksum"],"findings":[...],"services":[...],"state":"proven"}
//	plugin: {"netmend":1,"tell":{...}}        (after a pod was judged; not answered)
//
//	netmendctl: {"netmend":1,"ask":"status"}
//	daemon:     {"netmend":1,"status":{"apiVersion":"netmend.io/v1alpha1","kind":"NodeStatus",...}}
//	daemon:     {"netmend":1,"error":"unknown question"}      (to whatever else is asked)
//
// Keys are added, never changed; one that is not known is passed over. The daemon may close the connection at any time. The plugin does without whatever it
// does not get in time, and believes only a peer that runs as root, an answer of its own version that is one line of at most [MaxAnswer] bytes, and verdicts that
// are at most [MaxAge] old.
package verdict
