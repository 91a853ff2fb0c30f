package kube

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/netmend/netmend/pkg/cluster"
	"github.com/netmend/netmend/pkg/nodereport"
)

// DecodeClusterFile reads what a cluster is judged by from what kubectl get wrote, as YAML or JSON. What is not in the file is missing, as what may not be read is. The
// file may come from a stranger: see [DecodeFile].
func DecodeClusterFile(r io.Reader, now time.Time) (*cluster.Input, error) {
	var v view
	var nodes, pods, daemons bool
	o := &Objects{sink: func(kind string, text []byte) error {
		switch kind {
		case kindNode:
			nodes = true
		case kindDaemonSet:
			daemons = true
		case kindPod:
			var head struct {
				Metadata struct {
					Namespace string `json:"namespace"`
				} `json:"metadata"`
			}
			if err := json.Unmarshal(text, &head); err != nil {
				return err
			}
			pods = pods || head.Metadata.Namespace == "kube-system" // of another namespace only, they do not say that kube-proxy has none
		}
		return v.take(kind, encoded{decode: func(into any) error { return json.Unmarshal(text, into) }, size: func() int { return len(text) }, again: true})
	}}
	if err := o.read(r); err != nil {
		return nil, err
	}
	in := &v.input
	if len(in.Reports)+len(in.Broken) == 0 {
		return nil, errors.New("decode cluster file: it has no " + nodereport.Kind + " (kubectl get nodenetworkreports,nodes -o yaml)")
	}
	in.Now, in.Missing = now, map[cluster.Source]string{}
	if !nodes {
		in.Missing[cluster.Nodes] = "they are not in the file (kubectl get nodenetworkreports,nodes -o yaml)"
	}
	if !pods || !daemons {
		in.Proxy, in.Missing[cluster.Proxy] = cluster.KubeProxy{}, "pods and DaemonSets of kube-system are not in the file (kubectl -n kube-system get pods,daemonsets -o yaml)"
	}
	return in, nil
}
